"""Photo metadata: EXIF, XMP, colour profile.

EXIF has the structure of a TIFF file: a header, directories of 12-byte entries, and values
at absolute offsets. To edit it, a new first directory is appended, so that everything else
stays at its offset: maker notes contain offsets that cannot be corrected.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image

from blurdm_cli.photo.jpeg import has_profile, other_segments
from blurdm_cli.photo.photoshop import write_segments
from blurdm_cli.version import __version__

ORIENTATION, SOFTWARE, XMP, EXIF, ICC, C2PA = 274, 305, 700, 34665, 34675, 52545
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296

WIDTHS, HEIGHTS = (256, 40962), (257, 40963)
"""Tags of the photo's size, in the first TIFF directory and in the EXIF directory."""

PIXEL_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284}
    | {288, 289, 290, 291, 292, 293, 297, 301, 317, 320, 321, 322, 323, 324, 325, 330}
    | {332, 333, 334, 336, 338, 339, 340, 341, 347, *range(512, 522), 529, 530, 531, 532}
    | {XMP, ICC, C2PA}
)
"""TIFF tags that describe pixel storage, sign pixels, or have their own field in `Metadata`."""

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
SRGB_IN_XMP = {
    b"photoshop:ColorMode": b"3",
    b"photoshop:ICCProfile": b"sRGB IEC61966-2.1",
    b"tiff:PhotometricInterpretation": b"2",
    b"tiff:SamplesPerPixel": b"3",
    b"exif:ColorSpace": b"1",
}
"""What XMP says of sRGB photos."""

GONE = rb"(?:hdrgm|GDepth|GImage|GAudio):\w+|xmpNote:HasExtendedXMP"
GONE_ATTRIBUTE = re.compile(rb"\s(?:" + GONE + rb")\s*=\s*(?:\"[^\"]*\"|'[^']*')")
GONE_ELEMENT = re.compile(rb"<(xmp:Thumbnails|Container:Directory|" + GONE + rb")(?=[\s/>])")
"""XMP about images that are gone: thumbnails, gain maps, depth maps, a further part of the XMP."""

LETTERS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I"}


@dataclass(frozen=True)
class Metadata:
    """The metadata that is written with the restored pixels."""

    icc: bytes | None = None
    """The colour profile, byte for byte."""
    exif: bytes | None = None
    """A TIFF structure with Orientation 1 or none, and without a thumbnail."""
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    """Pixels per inch, horizontal and vertical."""
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    """PNG colour and text chunks by type, for PNG files; AVIF stores the content of cICP."""
    segments: bytes = b""
    """JPEG segments with captions (IPTC) and other Photoshop resources, for JPEG files only."""
    others: tuple[tuple[str, bytes], ...] = ()
    """JPEG comments and vendor segments by name ("COM", "APP6"), for JPEG files only."""


@dataclass(frozen=True)
class Field:
    """A value of a TIFF directory, as bytes in the file's byte order."""

    kind: int
    count: int
    data: bytes


def field(order: str, kind: int, values: bytes | Iterable[int]) -> Field:
    """Pack a value; rationals are given as numerator and denominator."""
    if isinstance(values, bytes):
        return Field(kind, len(values), values)
    numbers = list(values)
    count = len(numbers) // 2 if kind == RATIONAL else len(numbers)
    return Field(kind, count, struct.pack(f"{order}{len(numbers)}{LETTERS[kind]}", *numbers))


def byte_order(tiff: bytes) -> Literal["<", ">"]:
    """Byte order of a TIFF structure in the notation of `struct`: "<" or ">".

    Raises:
        ValueError: this is not a TIFF structure.
    """
    if tiff[:4] not in (b"II*\0", b"MM\0*"):
        raise ValueError("not a TIFF structure")
    return "<" if tiff[:1] == b"I" else ">"


def read_directory(tiff: bytes, start: int | None = None) -> tuple[dict[int, bytes], int]:
    """Read a directory's 12-byte entries by tag, and the offset of the next directory.

    Args:
        tiff: the whole structure.
        start: the directory's offset; None for the first one.

    Raises:
        ValueError, struct.error: the structure is damaged.
    """
    order = byte_order(tiff)
    if start is None:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start == 0:
        return {}, 0
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    end = start + 2 + 12 * count
    (following,) = struct.unpack_from(f"{order}I", tiff, end)
    entries = [tiff[at : at + 12] for at in range(start + 2, end, 12)]
    return {struct.unpack_from(f"{order}H", entry)[0]: entry for entry in entries}, following


def write_directory(order: str, entries: Mapping[int, bytes | Field], offset: int) -> bytes:
    """Serialise a last directory to be placed at `offset`; its new values follow it."""
    behind = offset + 2 + 12 * len(entries) + 4
    table = [struct.pack(f"{order}H", len(entries))]
    values: list[bytes] = []
    for tag in sorted(entries):
        entry = entries[tag]
        if isinstance(entry, Field):
            place = entry.data.ljust(4, b"\0")
            if len(place) > 4:
                place = struct.pack(f"{order}I", behind)
                values.append(entry.data + b"\0" * (len(entry.data) % 2))
                behind += len(values[-1])
            entry = struct.pack(f"{order}HHI", tag, entry.kind, entry.count) + place
        table.append(entry)
    return b"".join([*table, bytes(4), *values])


def settle_exif(exif: bytes) -> tuple[bytes, int | None]:
    """Adjust EXIF to the restored, upright photo.

    Orientation is set to 1, the thumbnail is removed, and blurdm is added to Software.

    Returns:
        The new EXIF, and the orientation (1 to 8) of the old one, if it had one.

    Raises:
        ValueError, struct.error: the EXIF is damaged.
    """
    order = byte_order(exif)
    raw, thumbnail = read_directory(exif)
    entries: dict[int, bytes | Field] = dict(raw)
    orientation = None
    if ORIENTATION in raw:
        kind = raw[ORIENTATION][2:4] == struct.pack(f"{order}H", LONG)
        (value,) = struct.unpack_from(order + ("I" if kind else "H"), raw[ORIENTATION], 8)
        orientation = value if 1 <= value <= 8 else 1
        entries[ORIENTATION] = field(order, SHORT, [1])
    if orientation and orientation >= 5 and {X_RESOLUTION, Y_RESOLUTION} <= raw.keys():
        for tag, other in ((X_RESOLUTION, Y_RESOLUTION), (Y_RESOLUTION, X_RESOLUTION)):
            entries[tag] = struct.pack(f"{order}H", tag) + raw[other][2:]
    software = _text(exif, raw[SOFTWARE], order) if SOFTWARE in raw else ""
    name = f"blurdm {__version__}"
    if not software.endswith(name):
        software = f"{software}; {name}" if software else name
        entries[SOFTWARE] = field(order, ASCII, software.encode("latin-1", "replace") + b"\0")
    body = bytearray(_without_thumbnail(exif, thumbnail, order))
    body += b"\0" * (len(body) % 2)
    struct.pack_into(f"{order}I", body, 4, len(body))
    directory = write_directory(order, entries, len(body))
    return bytes(body) + directory, orientation


def _text(tiff: bytes, entry: bytes, order: str) -> str:
    count, start = struct.unpack_from(f"{order}II", entry, 4)
    data = entry[8 : 8 + count] if count <= 4 else tiff[start : start + count]
    return data.split(b"\0")[0].decode("latin-1").strip()


def _without_thumbnail(exif: bytes, start: int, order: str) -> bytes:
    """Blank the image of the second directory, or cut it off if it is at the end."""
    if start == 0:
        return exif
    entries, _ = read_directory(exif, start)
    for where, size in ((513, 514), (273, 279)):
        if where in entries and size in entries:
            begin = struct.unpack_from(f"{order}I", entries[where], 8)[0]
            end = begin + struct.unpack_from(f"{order}I", entries[size], 8)[0]
            if begin >= 8 and end >= len(exif) - 3:
                return exif[:begin]
            if end > len(exif):
                raise ValueError("the thumbnail is longer than the file")
            return exif[:begin] + bytes(end - begin) + exif[end:]
    return exif


def settle_xmp(xmp: bytes, *, turned: bool) -> bytes:
    """Adjust XMP to the restored, upright photo.

    Thumbnails and references to further images are removed: the result is no longer a motion
    photo and has no gain map.

    Args:
        xmp: UTF-8, possibly invalid.
        turned: whether the pixels were rotated as some tag specified; then tiff:Orientation
            is set to 1.

    Raises:
        ValueError: the XMP is damaged.
    """
    xmp = re.sub(rb"(\w:(?:MotionPhoto|MicroVideo)\s*(?:=\s*[\"']|>)\s*)1", rb"\g<1>0", xmp)
    xmp = GONE_ATTRIBUTE.sub(b"", _without_gone_elements(xmp))
    if not turned:
        return xmp
    return re.sub(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)\d+", rb"\g<1>1", xmp)


def _without_gone_elements(xmp: bytes) -> bytes:
    """Remove elements about images that are gone with their content, in one pass."""
    parts, at = list[bytes](), 0
    while found := GONE_ELEMENT.search(xmp, at):
        name, begin = found[1], found.start()
        end = xmp.find(b">", begin)
        if xmp[end - 1 : end] != b"/":
            closing = b"</" + name + b">"
            end = xmp.find(closing, begin) + len(closing) - 1
        if end < begin + len(name):
            raise ValueError(f"{name.decode()} is not closed")
        parts.append(xmp[at:begin])
        at = end + 1
    return b"".join([*parts, xmp[at:]])


def sized(metadata: Metadata, height: int, width: int) -> Metadata:
    """The metadata with the photo's actual size wherever EXIF and XMP store one."""
    exif, xmp = metadata.exif, metadata.xmp
    with suppress(ValueError, struct.error):  # a damaged directory stays as it is
        exif = exif and _sized_exif(exif, height, width)
    for name, size in ((rb"PixelX|ImageWidth", width), (rb"PixelY|ImageLength", height)):
        told = rb"((?:exif|tiff):(?:" + name + rb")(?:Dimension)?\s*(?:=\s*[\"']|>)\s*)\d+"
        xmp = xmp and re.sub(told, rb"\g<1>%d" % size, xmp)
    return replace(metadata, exif=exif, xmp=xmp)


def _sized_exif(exif: bytes, height: int, width: int) -> bytes:
    """Write the size into existing entries, so that no offset changes."""
    order, result = byte_order(exif), bytearray(exif)
    sizes = dict.fromkeys(WIDTHS, width) | dict.fromkeys(HEIGHTS, height)
    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    (inner,) = struct.unpack_from(f"{order}I", read_directory(exif)[0].get(EXIF, bytes(12)), 8)
    for start in (first, inner):
        entries, _ = read_directory(exif, start)
        for tag in sizes.keys() & entries.keys():
            kind, count = struct.unpack_from(f"{order}HI", entries[tag], 2)
            size = sizes[tag]
            if count == 1 and (kind == LONG or (kind == SHORT and size < 2**16)):
                at = exif.index(entries[tag], start) + 8
                struct.pack_into(f"{order}{LETTERS[kind]}", result, at, size)
    return bytes(result)


def is_profile(icc: bytes) -> bool:
    """Whether this is a whole colour profile, by its header."""
    return icc[36:40] == b"acsp" and 128 < int.from_bytes(icc[:4]) <= len(icc)


def as_srgb(metadata: Metadata) -> Metadata:
    """The metadata of a photo whose colours were converted to sRGB."""
    xmp = metadata.xmp
    for name, value in SRGB_IN_XMP.items():
        told = rb"(" + name + rb"\s*(?:=\s*[\"']|>)\s*)[^\"'<]*"
        xmp = xmp and re.sub(told, rb"\g<1>" + value, xmp)
    return replace(metadata, icc=None, xmp=xmp)


def pillow_metadata(image: Image.Image) -> Metadata:
    """Metadata that Pillow found in a JPEG, WebP, AVIF, BMP or GIF file; not adjusted yet."""
    info = image.info
    exif = info.get("exif")
    segments = getattr(image, "applist", [])
    captions = [data for name, data in segments if name == "APP13"]
    return Metadata(
        icc=info.get("icc_profile") or (b"" if has_profile(segments) else None),
        exif=exif.removeprefix(b"Exif\0\0") if exif else None,
        xmp=info.get("xmp") or None,
        dpi=positive_dpi(*info.get("dpi", (0, 0))),
        segments=write_segments(captions),
        others=other_segments(segments),
    )


def aspect_notes(x: float, y: float) -> list[str]:
    """A note on densities without a unit, horizontal and vertical, if pixels are not square."""
    return [f"the pixel aspect ratio {y:g}:{x:g} is dropped"] if x != y and min(x, y) > 0 else []


def positive_dpi(x: float, y: float) -> tuple[float, float] | None:
    return (float(x), float(y)) if 0 < x < 1e6 and 0 < y < 1e6 else None
