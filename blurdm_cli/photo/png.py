"""PNG metadata, stored in chunks of a size, a type, data and a checksum."""

import struct
import zlib
from collections.abc import Iterator

from blurdm_cli.photo.metadata import Metadata, aspect_notes, positive_dpi

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
COLOUR = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
READ = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf"})
"""Pixel chunks, and EXIF."""

MOST_INFLATED = 2**26
"""Maximum total size in bytes of a file's inflated chunks: more is probably an attack."""


def chunks_of(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Iterate over the chunks of a PNG file: type and data.

    Raises:
        ValueError: the file is cut off, or a chunk does not match its checksum.
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


def read_metadata(png: bytes) -> tuple[Metadata, list[str]]:
    """Read a PNG file's metadata, not adjusted yet, and a line for each loss."""
    found: dict[str, bytes] = {}
    dpi = None
    inflate = _Inflate()
    notes: list[str] = []
    lost: set[str] = set()
    kept: list[tuple[bytes, bytes]] = []
    for kind, view in chunks_of(png):
        if kind in READ and kind != b"eXIf":
            continue
        data = bytes(view)
        keyword = data.split(b"\0")[0]
        if kind == b"iCCP":
            try:
                found["icc"] = inflate(data[len(keyword) + 2 :])
            except zlib.error:
                notes.append("the colour profile is damaged and is dropped")
        elif kind == b"eXIf":
            found["exif"] = data.removeprefix(b"Exif\0\0")
        elif kind == b"iTXt" and keyword == XMP_KEYWORD:
            try:
                found["xmp"] = _international_text(data, inflate)
            except zlib.error:
                notes.append("XMP is damaged and is dropped")
        elif kind == b"pHYs" and len(data) == 9:
            x, y, per_metre = struct.unpack(">IIB", data)
            dpi = positive_dpi(x * 0.0254, y * 0.0254) if per_metre == 1 else None
            notes += [] if dpi else aspect_notes(x, y)
        elif kind == b"zTXt" and keyword in (b"Raw profile type exif", b"Raw profile type APP1"):
            try:
                lines = inflate(data[len(keyword) + 2 :]).split(b"\n")[3:]
                old = bytes.fromhex(b"".join(lines).decode())
                found.setdefault("exif", old.removeprefix(b"Exif\0\0"))
            except (zlib.error, ValueError):
                notes.append("EXIF is damaged and is dropped")
        elif kind in COLOUR | TEXTS:
            kept.append((kind, data))
        else:
            lost.add(kind.decode("latin-1"))
    if lost:
        notes.append(f"PNG chunks are dropped: {', '.join(sorted(lost))}")
    return Metadata(found.get("icc"), found.get("exif"), found.get("xmp"), dpi, tuple(kept)), notes


def bare(png: bytes) -> bytes:
    """The PNG file without texts and profile, for which decoders have limits of their own."""
    kept = ((kind, data) for kind, data in chunks_of(png) if kind not in TEXTS | {b"iCCP"})
    return b"".join([SIGNATURE, *(chunk(kind, bytes(data)) for kind, data in kept)])


class _Inflate:
    """Inflates a file's chunks, up to `MOST_INFLATED` bytes in total."""

    def __init__(self) -> None:
        self._left = MOST_INFLATED

    def __call__(self, data: bytes) -> bytes:
        """Inflate a chunk.

        Raises:
            zlib.error: it is damaged.
            ValueError: the total is too large.
        """
        if not self._left:
            raise ValueError("the chunks are too large")
        inflated = zlib.decompressobj().decompress(data, self._left)
        self._left -= len(inflated)
        return inflated


def _international_text(data: bytes, inflate: _Inflate) -> bytes:
    rest = data.split(b"\0", 1)[1]
    text = rest[2:].split(b"\0", 2)[2]
    return inflate(text) if rest[0] else text


def with_chunks(png: bytes, metadata: Metadata) -> bytes:
    """The PNG file with the metadata after its header."""
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
    """Serialise a chunk of a PNG file."""
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", checksum)
