"""What of a photo's metadata is written: all of it, none, or all but where it was taken."""

import re
import struct
from dataclasses import replace

from blurdm_cli.choices import Keep
from blurdm_cli.photo import metadata as md
from blurdm_cli.photo import png
from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.photoshop import COPIES, without

GPS = 34853
"""The EXIF tag that leads to the directory of the place."""

PLACES = frozenset({GPS, 33550, 33920, 33922, 34264, 34377, *range(34735, 34738), 50844})
"""EXIF and TIFF tags of the place: maps' points, scales and projections; and Photoshop's
resources, which hold EXIF and XMP once more."""

PLACE = re.compile(rb"(?i)gps|latitude|longt?itude|altitude|(?:^|:)(?:lat|lon|long|lng)$")
"""What is in the names of coordinates; a maker of drones writes "Longtitude"."""

ATTRIBUTE = re.compile(rb"\s([\w.-]+:[\w.-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
TAG = re.compile(rb"<([\w.-]+:[\w.-]+)(?=[\s/>])(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>")
"""Of XMP, with a prefix each."""

UNREAD = re.compile(rb"(?i)Raw profile type (exif|APP1|xmp)$|XML:com\.adobe\.xmp$")
"""Keywords of PNG texts that hold EXIF or XMP that was not read."""

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
            if kind not in png.TEXTS or not _text_tells(data)
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
    """Take coordinates out, as attributes and as elements.

    None where that cannot be done: an element has no end, or the XMP is not UTF-8.
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
    """Whether an XMP name is one of coordinates; a prefix or its explanation is none."""
    prefix, _, local = name.partition(b":")
    return prefix != b"xmlns" and bool(PLACE.search(local))


def _text_tells(text: bytes) -> bool:
    """Whether a PNG text tells the place, or may."""
    keyword = text.partition(b"\0")[0]
    return bool(PLACE.search(keyword) or UNREAD.match(keyword))


def _segments_without_gps(segments: bytes) -> bytes:
    """Take out the copies of EXIF and XMP; all of what is not understood."""
    try:
        return without(segments, COPIES)
    except ValueError:
        return b""
