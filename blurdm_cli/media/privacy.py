"""What of a photo's metadata is written: all of it, none, or all but where it was taken."""

import re
import struct
from dataclasses import replace
from typing import Literal

from blurdm_cli.media import metadata as md
from blurdm_cli.media import png
from blurdm_cli.media.metadata import Metadata
from blurdm_cli.media.photoshop import COPIES, without

Keep = Literal["keep", "strip", "strip-gps"]

GPS = 34853
"""The EXIF tag that leads to the directory of the place."""

TELLING = re.compile(rb"(?i)exif:GPS|Raw profile type (exif|APP1|xmp)|XML:com\.adobe\.xmp\0")
"""How the PNG texts begin that tell the place, or hold EXIF or XMP that was not read."""

VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}
"""Bytes a value, by the kind of a TIFF field."""


def kept(metadata: Metadata, keep: Keep) -> Metadata:
    """The metadata to write.

    Args:
        metadata: all there is.
        keep: "strip" leaves what decides how the pixels look (colour profile, colour chunks,
            resolution); "strip-gps" takes coordinates out of EXIF and XMP, and drops PNG texts
            and copies in JPEG segments that may hold some.
    """
    if keep == "keep":
        return metadata
    if keep == "strip":
        chunks = tuple(chunk for chunk in metadata.chunks if chunk[0] in png.COLOUR)
        return Metadata(icc=metadata.icc, dpi=metadata.dpi, chunks=chunks)
    return replace(
        metadata,
        exif=metadata.exif and _exif_without_gps(metadata.exif),
        xmp=metadata.xmp and _xmp_without_gps(metadata.xmp),
        segments=_segments_without_gps(metadata.segments),
        chunks=tuple(
            (kind, data)
            for kind, data in metadata.chunks
            if kind not in png.TEXTS or not TELLING.match(data)
        ),
    )


def _exif_without_gps(exif: bytes) -> bytes | None:
    """Blank the directory of the place and its values, and the entry that leads there.

    Everything else stays at its offset. None where that cannot be done: better no EXIF
    than a place in it that was to be taken out.
    """
    order = md.byte_order(exif)
    result = bytearray(exif)
    try:
        entries, following = md.read_directory(exif)
        if GPS not in entries:
            return exif
        (start,) = struct.unpack_from(f"{order}I", entries[GPS], 8)
        places, _ = md.read_directory(exif, start)
        for entry in places.values():
            kind, count, at = struct.unpack_from(f"{order}HII", entry, 2)
            size = VALUE_BYTES.get(kind, 1) * count
            if size > 4:
                result[at : at + size] = bytes(len(result[at : at + size]))
        end = start + 2 + 12 * len(places) + 4
        result[start:end] = bytes(end - start)
    except (ValueError, struct.error):
        return None
    del entries[GPS], following
    struct.pack_into(f"{order}I", result, 4, len(result))
    return bytes(result) + md.write_directory(order, entries, len(result))


def _xmp_without_gps(xmp: bytes) -> bytes:
    """Take out `exif:GPS…`, as attributes and as elements."""
    xmp = re.sub(rb"(?s)<(exif:GPS\w+)\b[^>]*?(?:/>|>.*?</\1>)", b"", xmp)
    return re.sub(rb"\sexif:GPS\w+\s*=\s*(\"[^\"]*\"|'[^']*')", b"", xmp)


def _segments_without_gps(segments: bytes) -> bytes:
    """Take out the copies of EXIF and XMP; all of what is not understood."""
    try:
        return without(segments, COPIES)
    except ValueError:
        return b""
