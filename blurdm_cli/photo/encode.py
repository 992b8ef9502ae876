"""Encode pixels and metadata as JPEG, PNG, WebP, TIFF and AVIF files.

The same pixels and metadata give the same bytes: no timestamp is written.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, JpegImagePlugin

from blurdm_cli.choices import Quality
from blurdm_cli.photo import cicp, png
from blurdm_cli.photo import metadata as md
from blurdm_cli.photo.jpeg import write_segments
from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.pixels import Planes, strips

GOOD_JPEG = 90
"""A JPEG file of this quality or better keeps its quantisation tables."""


LARGEST_SIDE = {"jpeg": 65500, "webp": 16383, "avif": 65535}
"""Maximum side in pixels; the other formats allow more than we read."""

MOST_IN_JPEG = {"exif": 65527, "xmp": 65504}
"""Maximum size in bytes; each must fit into one segment."""


@dataclass(frozen=True)
class Coding:
    """The source's compression settings that are used again."""

    tables: tuple[tuple[int, ...], ...] = ()
    """JPEG quantisation tables, 64 steps each; none if they are coarse."""
    subsampling: int = 0
    """JPEG chroma subsampling in Pillow's numbering: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0."""
    progressive: bool = False
    lossless: bool = False
    """Whether a WebP file was lossless."""


def read_coding(image: Image.Image, data: bytes) -> Coding:
    """Read the compression settings of a JPEG or WebP file."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        tables = tuple(tuple(table) for _, table in sorted(image.quantization.items()))
        subsampling = JpegImagePlugin.get_sampling(image)
        good = tables and all(map(_is_fine, tables, range(len(tables))))
        return Coding(
            tables=tables if good and image.mode in ("L", "RGB") else (),
            subsampling=max(subsampling, 0),
            progressive=bool(image.info.get("progressive")),
        )
    return Coding(lossless=image.format == "WEBP" and _is_lossless_webp(data))


def _is_fine(table: tuple[int, ...], place: int) -> bool:
    return sum(table) <= sum(_tables(GOOD_JPEG)[min(place, 1)])


@cache
def _tables(quality: int) -> list[list[int]]:
    """The quantisation tables of a quality setting: for luma and for chroma."""
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    quantization = JpegImagePlugin.JpegImageFile(BytesIO(file.getvalue())).quantization
    return [list(quantization[place]) for place in (0, 1)]


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the image, or an animation's first frame, is in a VP8L chunk."""
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)
    return False


def encode(
    planes: Planes, format: str, metadata: Metadata, coding: Coding, quality: Quality
) -> bytes:
    """Encode pixels as a file of a format.

    Args:
        planes: gray or RGB and alpha, in a type that the format supports.
        format: "jpeg", "png", "webp", "tiff" or "avif".
        metadata: already adjusted; parts that the format cannot store are left out.
        coding: the source's compression settings.
        quality: for JPEG, WebP and AVIF.

    Raises:
        OSError, ValueError, cv2.error: the codec failed.
    """
    metadata, _ = drop_unsupported(metadata, format)
    if format == "png":
        return png.with_chunks(encode_png(planes), metadata)
    if format == "tiff":
        return encode_tiff(planes, metadata)
    options: dict[str, Any] = {"icc_profile": metadata.icc}
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.xmp:
        options["xmp"] = metadata.xmp
    lossy: dict[str, Callable[..., bytes]] = {
        "jpeg": _encode_jpeg,
        "webp": _encode_webp,
        "avif": _encode_avif,
    }
    return lossy[format](to_pillow(planes), metadata, coding, quality, options)


def drop_unsupported(metadata: Metadata, format: str) -> tuple[Metadata, list[str]]:
    """Drop metadata that a format cannot store; return the rest, and a line for each loss."""
    name, lost = format.upper(), []
    if format == "jpeg":
        if len(metadata.exif or b"") > MOST_IN_JPEG["exif"]:
            metadata = replace(metadata, exif=None)
            lost.append("EXIF is too large for JPEG and is dropped")
        if len(metadata.xmp or b"") > MOST_IN_JPEG["xmp"]:
            metadata = replace(metadata, xmp=None)
            lost.append("XMP is too large for JPEG and is dropped")
    elif metadata.segments:
        lost.append(f"captions (IPTC) are not written to {name}")
    if metadata.others and format != "jpeg":
        names = sorted({"comments" if kind == "COM" else kind for kind, _ in metadata.others})
        lost.append(f"JPEG segments are not written to {name}: {', '.join(names)}")
    if format in ("webp", "avif") and (metadata.icc or b"")[16:20] == b"GRAY":
        metadata = replace(metadata, icc=None)
        lost.append(f"{name} stores gray as RGB, and the gray profile is dropped: tones may change")
    kinds = {kind.decode() for kind, _ in metadata.chunks}
    if "sRGB" in kinds or metadata.icc:
        kinds -= {"sRGB", "gAMA", "cHRM"}  # they repeat what all programs assume
    if format != "png" and "cICP" in kinds:
        kinds.remove("cICP")
        tags = cicp.unlike_srgb(metadata.chunks)
        if tags and not metadata.icc and not (format == "avif" and cicp.for_avif(metadata.chunks)):
            lost.append(f"{name} cannot store colour tags ({tags}): colours will look different")
    if kinds and format != "png":
        lost.append(f"PNG chunks are not written to {name}: {', '.join(sorted(kinds))}")
    if metadata.dpi and not metadata.exif and format in ("webp", "avif"):
        lost.append(f"{name} cannot store the resolution (dpi)")
    return metadata, lost


def _encode_jpeg(
    image: Image.Image,
    metadata: Metadata,
    coding: Coding,
    quality: Quality,
    options: dict[str, Any],
) -> bytes:
    segments = metadata.segments + write_segments(metadata.others)
    options |= {"extra": segments, "subsampling": 0}
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    if quality == "auto" and coding.tables:
        tables = coding.tables[:1] if image.mode == "L" else coding.tables
        options |= {"qtables": [list(table) for table in tables]}
        options["subsampling"] = coding.subsampling
    else:
        options["quality"] = 95 if quality == "auto" else quality
    if coding.progressive:
        try:
            return _save(image, "JPEG", progressive=True, **options)
        except OSError:  # Pillow's buffer is too small for noise at high quality
            pass
    return _save(image, "JPEG", **options)


def _encode_webp(
    image: Image.Image, _: Metadata, coding: Coding, quality: Quality, options: dict[str, Any]
) -> bytes:
    if quality == "auto" and coding.lossless:
        return _save(image, "WEBP", lossless=True, exact=True, **options)
    return _save(image, "WEBP", quality=95 if quality == "auto" else quality, exact=True, **options)


def _encode_avif(
    image: Image.Image, metadata: Metadata, _: Coding, quality: Quality, options: dict[str, Any]
) -> bytes:
    options |= {"quality": 95 if quality == "auto" else quality, "subsampling": "4:4:4"}
    tags = cicp.for_avif(metadata.chunks)
    if tags is None:
        return _save(image, "AVIF", **options)
    avif = _save(image, "AVIF", advanced=cicp.encoder_options(tags), **options)
    return cicp.tagged(avif, tags)


def _save(image: Image.Image, format: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def to_pillow(planes: UInt8[np.ndarray, "height width channels"]) -> Image.Image:
    """Convert pixels to a Pillow image; the mode follows from the number of channels."""
    return Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)


def encode_png(planes: Planes) -> bytes:
    """Encode a PNG file without metadata."""
    if planes.dtype == np.uint16 and planes.shape[2] != 2:
        if planes.shape[2] > 1:
            swap = cv2.COLOR_RGB2BGR if planes.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
            planes = cv2.cvtColor(planes, swap)
        return cv2.imencode(".png", planes)[1].tobytes()
    if planes.dtype == np.uint8:
        return _save(to_pillow(planes), "PNG", compress_level=4)  # 6: thrice the time, -8 %
    # No library writes 16-bit gray with alpha. PNG's filters only see four bytes per pixel, so
    # it is written as 8-bit RGBA, and the header is changed afterwards.
    as_rgba = planes.astype(">u2").view(np.uint8)
    plain = encode_png(as_rgba)
    header = plain[16:24] + bytes([16, 4]) + plain[26:29]
    return plain[:8] + png.chunk(b"IHDR", header) + plain[33:]


def encode_tiff(planes: Planes, metadata: Metadata) -> bytes:
    """Encode a TIFF file: deflate with a predictor, and EXIF at its original offsets."""
    exif = metadata.exif or b"II*\0" + bytes(4)
    order = md.byte_order(exif)
    entries = {
        tag: entry for tag, entry in md.read_directory(exif)[0].items() if tag not in md.PIXEL_TAGS
    }
    parts = [b"", exif[8:] + b"\0" * (len(exif) % 2)]
    offsets, sizes, end = [], [], 8 + len(parts[1])
    for rows in strips(planes):
        strip = planes[rows]
        steps = strip.copy()
        steps[:, 1:] -= strip[:, :-1]
        parts.append(zlib.compress(steps.astype(steps.dtype.newbyteorder(order)).tobytes(), 6))
        offsets.append(end)
        sizes.append(len(parts[-1]))
        parts[-1] += b"\0" * (len(parts[-1]) % 2)
        end += len(parts[-1])
    fields = _tiff_fields(planes, metadata, order, offsets, sizes)
    parts[0] = exif[:4] + struct.pack(f"{order}I", end)
    return b"".join([*parts, md.write_directory(order, {**entries, **fields}, end)])


def _tiff_fields(
    planes: Planes, metadata: Metadata, order: str, offsets: list[int], sizes: list[int]
) -> dict[int, md.Field]:
    height, width, channels = planes.shape
    rows = next(strips(planes)).stop
    values: dict[int, tuple[int, bytes | list[int]]] = {
        256: (md.LONG, [width]),
        257: (md.LONG, [height]),
        258: (md.SHORT, [8 * planes.itemsize] * channels),
        259: (md.SHORT, [8]),
        262: (md.SHORT, [2 if channels > 2 else 1]),
        273: (md.LONG, offsets),
        277: (md.SHORT, [channels]),
        278: (md.LONG, [min(rows, height)]),
        279: (md.LONG, sizes),
        284: (md.SHORT, [1]),
        317: (md.SHORT, [2]),
    }
    if channels in (2, 4):
        values[338] = (md.SHORT, [2])
    if metadata.dpi:
        for tag, dpi in zip((md.X_RESOLUTION, md.Y_RESOLUTION), metadata.dpi, strict=True):
            values[tag] = (md.RATIONAL, [round(dpi * 1000), 1000])
        values[md.RESOLUTION_UNIT] = (md.SHORT, [2])
    if metadata.icc:
        values[md.ICC] = (md.UNDEFINED, metadata.icc)
    if metadata.xmp:
        values[md.XMP] = (md.BYTE, metadata.xmp)
    return {tag: md.field(order, kind, value) for tag, (kind, value) in values.items()}
