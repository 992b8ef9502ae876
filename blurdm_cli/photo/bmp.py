"""The colour space of a BMP file: an ICC profile, sRGB, or primaries and a gamma.

    14 bytes of file header, then: size (4) ... | 56: type (4), primaries (36), gammas (12)
    | 108: intent (4), profile's offset from here (4), profile's size (4), 0 (4)

Source: Microsoft, BITMAPV4HEADER and BITMAPV5HEADER; chunks: PNG (third edition), 11.3.2.
"""

import struct

Chunks = tuple[tuple[bytes, bytes], ...]

HEADER = 14
V4, V5 = 108, 124
"""Sizes of the headers that have a colour space; the second may have a profile."""

SRGB, WINDOWS, LINKED, EMBEDDED = b"BGRs", b" niW", b"KNIL", b"DEBM"
INTENTS = {1: 2, 2: 1, 4: 0, 8: 3}
"""Rendering intents by Microsoft's numbers, in PNG's (and ICC's)."""


def read_colours(bmp: bytes) -> tuple[bytes | None, Chunks, list[str]]:
    """Read a file's colour space.

    Returns:
        The ICC profile; PNG chunks for what is no profile; and a line for each loss.
    """
    (size,) = struct.unpack_from("<I", bmp, HEADER)
    if size < V4 or len(bmp) < HEADER + size:
        return None, (), []
    header = bmp[HEADER : HEADER + size]
    kind, intent = header[56:60], 0
    if size >= V5:
        intent, offset, length = struct.unpack_from("<III", header, 108)
        if kind == EMBEDDED:
            return bmp[HEADER + offset : HEADER + offset + length], (), []
    if kind == LINKED:
        return None, (), ["the linked colour profile is dropped: the file only names it"]
    if kind in (SRGB, WINDOWS):
        return None, ((b"sRGB", bytes([INTENTS.get(intent, 0)])),), []
    if kind != bytes(4) or not any(header[60:108]):
        return None, (), []
    chunks = _calibration(header)
    return None, chunks, [] if chunks else ["the colour calibration is damaged and is dropped"]


def _calibration(header: bytes) -> Chunks:
    """Chromaticities and gamma; none if they are not plausible, or the gammas differ."""
    primaries = struct.unpack_from("<9i", header, 60)
    gammas = set(struct.unpack_from("<3I", header, 96))
    colours = [primaries[at : at + 3] for at in (0, 3, 6)]
    white = tuple(map(sum, zip(*colours, strict=True)))
    if min(primaries) < 0 or not all(map(sum, colours)) or len(gammas) > 1 or 0 in gammas:
        return ()
    points = [round(1e5 * value / sum(xyz)) for xyz in (white, *colours) for value in xyz[:2]]
    gamma = round(1e5 * 2**16 / gammas.pop())
    return (b"gAMA", struct.pack(">I", gamma)), (b"cHRM", struct.pack(">8I", *points))
