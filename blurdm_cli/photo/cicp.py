"""A photo's colour space as two ITU-T H.273 numbers, as in AVIF, HEIC and PNG files.

We keep them as the content of PNG's cICP chunk: primaries, transfer, 0 (RGB), 1 (full range). An
AVIF file stores them in the `colr` box, which readers use, and again in the bitstream.

Source: PNG (third edition), 11.3.2.6; ISO/IEC 14496-12, 12.1.5.
"""

import struct
from collections.abc import Iterable

BOX = b"colrnclx"

PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
TRANSFERS = {8: "linear", 14: "BT.2020", 15: "BT.2020", 16: "PQ", 18: "HLG"}
"""Names of the values other than sRGB that occur in photos."""

LIKE_SRGB = {1, 2, 6, 13}
"""Transfers that programs show the same, or nearly; 2 means unspecified, for primaries too."""

NOTHING = b"\2\2\0\1"
"""The content of a cICP chunk that specifies no colour space."""

CODED = ({1, 2, *range(4, 13), 22}, {1, 2, *range(4, 19)})
"""The primaries and transfers that AV1 supports."""


def chunk(primaries: int, transfer: int) -> tuple[tuple[bytes, bytes], ...]:
    """A cICP chunk, type and content; none for sRGB, which is the default, or if unspecified."""
    if (primaries, transfer) in ((1, 13), (2, 2)) or max(primaries, transfer) > 255:
        return ()
    return ((b"cICP", bytes([primaries, transfer, 0, 1])),)


def read_avif(avif: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The chunk for an AVIF file's tags, from its first image; gain maps come after it."""
    at = avif.find(BOX)
    return () if at < 0 else chunk(*struct.unpack_from(">HH", avif, at + len(BOX)))


def for_avif(chunks: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The content of the cICP chunk, if there is one and AVIF can store it."""
    content = _content(chunks)
    fits = content[2:] == b"\0\1" and content[0] in CODED[0] and content[1] in CODED[1]
    return content if fits and content != NOTHING else None


def _content(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    content = dict(chunks).get(b"cICP", NOTHING)
    return content if len(content) == len(NOTHING) else NOTHING


def encoder_options(content: bytes) -> dict[str, str]:
    """Options that pass the numbers to an AV1 encoder."""
    return {"color-primaries": str(content[0]), "transfer-characteristics": str(content[1])}


def tagged(avif: bytes, content: bytes) -> bytes:
    """The AVIF file with the numbers written to its `colr` box."""
    at = avif.index(BOX) + len(BOX)
    return avif[:at] + struct.pack(">HH", *content[:2]) + avif[at + 4 :]


def unlike_srgb(chunks: Iterable[tuple[bytes, bytes]]) -> str:
    """Describe the cICP chunk in words; empty if the photo looks the same without it."""
    primaries, transfer = _content(chunks)[:2]
    words = [] if primaries in (1, 2) else [PRIMARIES.get(primaries, f"primaries {primaries}")]
    if transfer not in LIKE_SRGB:
        words.append(TRANSFERS.get(transfer, f"transfer {transfer}"))
    return ", ".join(words)
