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

PLACES = frozenset({GPS, 33550, 33920, 33922, 34264, 34377, *range(34735, 34738), 50844})
"""EXIF and TIFF tags of the place: maps' points, scales and projections; and Photoshop's
resources, which hold EXIF and XMP once more."""

WORDS, SHORT = rb"gps|latitude|longt?itude|altitude", rb"lat|lon|long|lng"
"""What names of coordinates hold, or are; a maker of drones writes "Longtitude"."""

PROPERTY = rb"(?!xmlns:)[\w.-]+:(?:[\w.-]*(?:" + WORDS + rb")[\w.-]*|" + SHORT + rb")"

ATTRIBUTE = re.compile(rb"(?i)\s" + PROPERTY + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')")

ELEMENT = re.compile(
    rb"(?is)<(" + PROPERTY + rb")(?=[\s/>])(?:[^<>\"']|\"[^\"]*\"|'[^']*')*?(?:/>|>.*?</\1\s*>)"
)

TELLING = re.compile(
    rb"(?i)(?:[^\0]*(?:" + WORDS + rb")[^\0]*|(?:[^\0]*:)?(?:" + SHORT + rb"))\0"
    rb"|Raw profile type (?:exif|APP1|xmp)|XML:com\.adobe\.xmp\0"
)
"""How the PNG texts begin that tell the place, or hold EXIF or XMP that was not read."""

VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes a value, by the kind of a TIFF field."""


def kept(metadata: Metadata, keep: Keep) -> Metadata:
    """The metadata to write.

    Args:
        metadata: all there is.
        keep: "strip" leaves what decides how the pixels look (colour profile, colour chunks,
            resolution); "strip-gps" takes coordinates out of EXIF and XMP, and drops PNG texts,
            and copies and makers' data in JPEG segments, that may hold some.
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
        others=tuple(segment for segment in metadata.others if segment[0] == "COM"),
        chunks=tuple(
            (kind, data)
            for kind, data in metadata.chunks
            if kind not in png.TEXTS or not TELLING.match(data)
        ),
    )


def _exif_without_gps(exif: bytes) -> bytes | None:
    """Blank the values that tell the place, and the entries that lead there.

    Everything else stays at its offset. None where that cannot be done: better no EXIF
    than a place in it that was to be taken out.
    """
    order = md.byte_order(exif)
    result = bytearray(exif)
    try:
        entries, _ = md.read_directory(exif)
        telling = [entries[tag] for tag in PLACES & entries.keys()]
        if not telling:
            return exif
        (start,) = struct.unpack_from(f"{order}I", entries.get(GPS, bytes(12)), 8)
        if start:
            places, _ = md.read_directory(exif, start)
            telling += places.values()
            end = start + 2 + 12 * len(places) + 4
            result[start:end] = bytes(end - start)
        for entry in telling:
            kind, count, at = struct.unpack_from(f"{order}HII", entry, 2)
            size = VALUE_BYTES.get(kind, 1) * count
            if size > 4:
                result[at : at + size] = bytes(len(result[at : at + size]))
    except (ValueError, struct.error):
        return None
    rest = {tag: entry for tag, entry in entries.items() if tag not in PLACES}
    struct.pack_into(f"{order}I", result, 4, len(result))
    return bytes(result) + md.write_directory(order, rest, len(result))


def _xmp_without_gps(xmp: bytes) -> bytes | None:
    """Take coordinates out, as attributes and as elements; None of XMP that is not UTF-8."""
    return None if b"\0" in xmp.rstrip(b"\0") else ATTRIBUTE.sub(b"", ELEMENT.sub(b"", xmp))


def _segments_without_gps(segments: bytes) -> bytes:
    """Take out the copies of EXIF and XMP; all of what is not understood."""
    try:
        return without(segments, COPIES)
    except ValueError:
        return b""
