"""Privacy filter for a photo's metadata: keep all, strip all, or strip the location."""

import re
import struct
from dataclasses import replace

from blurdm_cli.choices import Keep
from blurdm_cli.photo import metadata as md
from blurdm_cli.photo import png
from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.photoshop import COPIES, without

GPS = 34853
"""The EXIF tag that points to the GPS directory."""

PLACES = frozenset({GPS, 33550, 33920, 33922, 34264, 34377, *range(34735, 34738), 50844})
"""EXIF and TIFF tags of the location: map points, scales and projections; and Photoshop
resources, which contain copies of EXIF and XMP."""

PLACE = re.compile(rb"(?i)gps|latitude|longt?itude|altitude|(?:^|:)(?:lat|lon|long|lng)$")
"""Matches names of coordinates; one drone vendor writes "Longtitude"."""

ATTRIBUTE = re.compile(rb"\s([\w.-]+:[\w.-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
TAG = re.compile(rb"<([\w.-]+:[\w.-]+)(?=[\s/>])(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>")
"""XMP attributes and tags, each with a prefix."""

UNREAD = re.compile(rb"(?i)Raw profile type (exif|APP1|xmp)$|XML:com\.adobe\.xmp$")
"""Keywords of PNG texts that contain EXIF or XMP that was not read."""

VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes per value, by the type of a TIFF field."""


def apply_privacy(metadata: Metadata, keep: Keep) -> Metadata:
    """Filter the metadata to write.

    Args:
        metadata: all metadata.
        keep: "keep" changes nothing; "strip" keeps only what affects the look of the pixels
            (colour profile, colour chunks, resolution); "strip-gps" removes coordinates from EXIF
            and XMP, and drops PNG texts, and copies and vendor data in JPEG segments, that may
            contain some.
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
            if kind not in png.TEXTS or not _text_tells(data)
        ),
    )


def _exif_without_gps(exif: bytes) -> bytes | None:
    """Blank the values of the location, and remove the entries that point to them.

    Everything else stays at its offset. Returns None if that fails: no EXIF is better than
    EXIF that still contains the location.
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
    """Remove coordinates, both attributes and elements.

    Returns None if that fails: an element is not closed, or the XMP is not UTF-8.
    """
    if b"\0" in xmp.rstrip(b"\0"):
        return None
    parts, at = list[bytes](), 0
    for tag in TAG.finditer(xmp):
        if tag.start() < at or not _tells(tag[1]):
            continue
        parts.append(xmp[at : tag.start()])
        at = tag.end()
        if not tag[0].endswith(b"/>"):
            end = xmp.find(b"</" + tag[1], at)
            at = xmp.find(b">", end) + 1
            if end < 0 or at == 0:
                return None
    rest = b"".join([*parts, xmp[at:]])
    return ATTRIBUTE.sub(lambda found: b"" if _tells(found[1]) else found[0], rest)


def _tells(name: bytes) -> bool:
    """Whether an XMP name stands for coordinates; prefixes and their declarations do not."""
    prefix, _, local = name.partition(b":")
    return prefix != b"xmlns" and bool(PLACE.search(local))


def _text_tells(text: bytes) -> bool:
    """Whether a PNG text contains, or may contain, the location."""
    keyword = text.partition(b"\0")[0]
    return bool(PLACE.search(keyword) or UNREAD.match(keyword))


def _segments_without_gps(segments: bytes) -> bytes:
    """Remove the copies of EXIF and XMP; drop everything if the segments cannot be parsed."""
    try:
        return without(segments, COPIES)
    except ValueError:
        return b""
