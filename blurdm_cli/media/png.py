"""What a PNG file says besides its pixels, in chunks: a size, a type, data and a checksum."""

import struct
import zlib
from collections.abc import Iterator

from blurdm_cli.media.metadata import Metadata, positive_dpi

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
COLOUR = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})


def chunks_of(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """All chunks of a PNG file, type and data.

    Raises:
        ValueError: the file is cut off, or a chunk does not fit its checksum.
    """
    view, at, kind = memoryview(png), len(SIGNATURE), b""
    while kind != b"IEND":
        if at + 12 > len(png):
            raise ValueError("the file is cut off")
        size, kind = struct.unpack_from(">I4s", png, at)
        data = view[at + 8 : at + 8 + size]
        if at + 12 + size > len(png) or zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(
            view[at + 8 + size : at + 12 + size]
        ):
            raise ValueError("a chunk is damaged")
        at += 12 + size
        yield kind, data


def read_metadata(png: bytes) -> Metadata:
    """What a PNG file's chunks say; nothing is settled yet."""
    found: dict[str, bytes] = {}
    dpi = None
    kept: list[tuple[bytes, bytes]] = []
    for kind, view in chunks_of(png):
        if kind == b"IDAT":
            continue
        data = bytes(view)
        keyword = data.split(b"\0")[0]
        if kind == b"iCCP":
            found["icc"] = _inflate(data[len(keyword) + 2 :])
        elif kind == b"eXIf":
            found["exif"] = data.removeprefix(b"Exif\0\0")
        elif kind == b"iTXt" and keyword == XMP_KEYWORD:
            found["xmp"] = _international_text(data)
        elif kind == b"pHYs" and data[8:9] == b"\1":
            x, y = struct.unpack_from(">II", data)
            dpi = positive_dpi(x * 0.0254, y * 0.0254)
        elif kind == b"zTXt" and keyword in (b"Raw profile type exif", b"Raw profile type APP1"):
            lines = _inflate(data[len(keyword) + 2 :]).split(b"\n")[3:]
            found.setdefault("exif", bytes.fromhex(b"".join(lines).decode()))
            found["exif"] = found["exif"].removeprefix(b"Exif\0\0")
        elif kind in COLOUR | TEXTS:
            kept.append((kind, data))
    return Metadata(found.get("icc"), found.get("exif"), found.get("xmp"), dpi, tuple(kept))


def _international_text(data: bytes) -> bytes:
    rest = data.split(b"\0", 1)[1]
    text = rest[2:].split(b"\0", 2)[2]
    return _inflate(text) if rest[0] else text


def _inflate(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, 2**26)  # more than this is meant to do harm


def with_chunks(png: bytes, metadata: Metadata) -> bytes:
    """The same PNG file with the metadata behind its header."""
    chunks = list(metadata.chunks)
    if metadata.icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc, 9)))
    if metadata.dpi:
        x, y = (round(value / 0.0254) for value in metadata.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", XMP_KEYWORD + bytes(5) + metadata.xmp))
    end = len(SIGNATURE) + 25  # the header chunk is always 25 bytes
    packed = [chunk(kind, data) for kind, data in chunks]
    return b"".join([png[:end], *packed, memoryview(png)[end:]])


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in a PNG file."""
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", checksum)
