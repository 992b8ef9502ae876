"""JPEG content besides the image: application segments, and data after the end of the image.

A segment is a marker (2 bytes), a length that includes itself (2 bytes), and data.
"""

import re
import struct
from collections.abc import Iterable

OWN_WAY = {
    "APP0": (b"JFIF", b"JFXX"),
    "APP1": (b"Exif\0", b"http://ns.adobe.com/xap/", b"http://ns.adobe.com/xmp/"),
    "APP2": (b"ICC_PROFILE\0", b"MPF\0", b"urn:iso:std:iso:ts:21496"),
    "APP8": (b"SPIFF\0",),
    "APP11": (b"JP",),
    "APP13": (b"",),
    "APP14": (b"Adobe",),
}
"""First bytes of segments that are read elsewhere, or that describe the old image: its coding,
thumbnail, gain map or signature."""

MARKER = re.compile(rb"(?<!\xff)\xff+([^\x00\xff\xd0-\xd7])")
"""In pixel data, a byte 255 is followed by 0 or by a restart marker."""

FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Start-of-frame markers, with size and precision; the lower four bits are the coding mode."""

UNREAD = {3: "lossless", 11: "lossless", **dict.fromkeys((5, 6, 7, 13, 14, 15), "hierarchical")}

FILM = re.compile(rb"(?s)\0\0\0.ftyp")


def unread_sort(jpeg: bytes) -> str | None:
    """Name of a JPEG variant that is valid but not supported here; None for all others."""
    at = 2
    while at + 5 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker in FRAMES:
            sort = UNREAD.get(marker & 15)
            bits = jpeg[at + 4]
            return sort or (f"{bits}-bit" if bits != 8 else None)
        at += 1 if marker == 0xFF else 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return None


def other_segments(segments: Iterable[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    """Select comments and vendor segments: all that can be kept unchanged.

    Args:
        segments: all segments of a file, by Pillow's names: "COM", "APP0" to "APP15".
    """
    return tuple(
        (name, data) for name, data in segments if not data.startswith(OWN_WAY.get(name, ()))
    )


def has_profile(segments: Iterable[tuple[str, bytes]]) -> bool:
    """Whether segments hold a colour profile, maybe an incomplete one."""
    return any(name == "APP2" and data.startswith(b"ICC_PROFILE\0") for name, data in segments)


def write_segments(segments: Iterable[tuple[str, bytes]]) -> bytes:
    """Serialise segments, one after the other."""
    written = []
    for name, data in segments:
        marker = 0xFFFE if name == "COM" else 0xFFE0 + int(name.removeprefix("APP"))
        written += [struct.pack(">HH", marker, len(data) + 2), data]
    return b"".join(written)


def behind(jpeg: bytes) -> bytes:
    """The bytes after the end of the image."""
    at = 2
    while found := MARKER.search(jpeg, at):
        at = found.end()
        if found[1] == b"\xd9":
            return jpeg[at:]
        at += int.from_bytes(jpeg[at : at + 2])
    return b""


def dropped_behind(jpeg: bytes, pictures: bool) -> list[str]:
    """Describe the data after the image; other images listed in the file are noted elsewhere."""
    rest = behind(jpeg)
    if FILM.search(rest):
        return ["the video after the image (motion photo) is dropped"]
    count = len(rest.strip(b"\0\r\n "))
    return [f"{count:,} bytes after the image are dropped"] if count and not pictures else []
