"""What a JPEG file holds beside its picture: segments of many makers, and what follows its end.

A segment is a marker (2 bytes), a length that counts itself (2 bytes), and data.
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
"""How segments begin that are read elsewhere, or tell of the old picture: how it was coded, its
thumbnail, its gain map, who signed it."""

MARKER = re.compile(rb"(?<!\xff)\xff+([^\x00\xff\xd0-\xd7])")
"""A byte 255 amid pixels is followed by 0, or by a mark to start again at."""

FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers that tell size and precision; the lower four bits tell how the picture is coded."""

UNREAD = {3: "lossless", 11: "lossless", **dict.fromkeys((5, 6, 7, 13, 14, 15), "hierarchical")}

FILM = re.compile(rb"(?s)\0\0\0.ftyp")


def unread_sort(jpeg: bytes) -> str | None:
    """Words for a sort of JPEG that is whole and yet not read here; None for all others."""
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
    """Comments and makers' segments: all that can be kept as they are.

    Args:
        segments: all of a file, by names as Pillow gives: "COM", "APP0" to "APP15".
    """
    return tuple(
        (name, data) for name, data in segments if not data.startswith(OWN_WAY.get(name, ()))
    )


def write_segments(segments: Iterable[tuple[str, bytes]]) -> bytes:
    """Segments one after the other."""
    written = []
    for name, data in segments:
        marker = 0xFFFE if name == "COM" else 0xFFE0 + int(name.removeprefix("APP"))
        written += [struct.pack(">HH", marker, len(data) + 2), data]
    return b"".join(written)


def behind(jpeg: bytes) -> bytes:
    """What follows the end of the picture."""
    at = 2
    while found := MARKER.search(jpeg, at):
        at = found.end()
        if found[1] == b"\xd9":
            return jpeg[at:]
        at += int.from_bytes(jpeg[at : at + 2])
    return b""


def dropped_behind(jpeg: bytes, pictures: bool) -> list[str]:
    """Name what follows the picture; other pictures that the file lists are named elsewhere."""
    rest = behind(jpeg)
    if FILM.search(rest):
        return ["the video behind the picture (of a motion photo) is dropped"]
    count = len(rest.strip(b"\0\r\n "))
    return [f"{count:,} bytes behind the picture are dropped"] if count and not pictures else []
