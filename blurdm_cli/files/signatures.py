"""Detect the kind of a file from its first bytes; its name is ignored."""

import os
import stat
from pathlib import Path

HEAD = 4096
"""Number of bytes to examine."""

HEIC, RAW, VIDEO = "heic", "raw", "a video"

PHOTOS = ("jpeg", "png", "webp", "tiff", "avif", "bmp", "gif", HEIC, RAW)
"""The supported kinds of photos. Many RAW files start like TIFF files."""

SIGNATURES = (
    *((0, b"\xff\xd8\xff", "jpeg"), (0, b"\x89PNG\r\n\x1a\n", "png"), (8, b"WEBP", "webp")),
    *((0, b"GIF8", "gif"), (0, b"BM", "bmp")),
    *((8, b"CR\x02", RAW), (0, b"IIRO", RAW), (0, b"IIRS", RAW)),
    *((0, b"IIU\0", RAW), (0, b"FUJIFILM", RAW), (4, b"ftypcrx", RAW)),
    *((0, magic, "tiff") for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *((4, b"ftypavi", "avif"), (0, b"8BPS", "a Photoshop file"), (0, b"%PDF", "a PDF file")),
    *((4, b"ftyp" + brand, HEIC) for brand in (b"hei", b"hev")),
    *((0, b"\xff\x0a", "a JPEG XL file"), (4, b"JXL ", "a JPEG XL file")),
    *((4, b"ftyp", VIDEO), (8, b"AVI ", VIDEO), (0, b"\x1a\x45\xdf\xa3", VIDEO)),
    *((0, b"\0\0\1\xba", VIDEO), (0, b"OggS", VIDEO), (0, b"FLV", VIDEO)),
    *((4, box, VIDEO) for box in (b"moov", b"mdat", b"wide", b"free", b"skip")),
    *((0, b"0&\xb2u", VIDEO), (0, b"\x06\x0e\x2b\x34", VIDEO)),
)
"""Offset, bytes, and the kind; the first match counts."""

TRANSPORT = ((0, 188), (4, 192))
"""Offset and length of the packets of MPEG streams; each packet starts with a G."""

SYNCS = 8
"""Packets in a row by which an MPEG stream is known that begins in the middle of one."""

START_CODES = (b"\0\0\0\1", b"\0\0\1")
FIRST_UNITS = frozenset({0x67, 0x27, 0x47, 0x09, 0x06, 0x40, 0x42, 0x46, 0x4E})
"""First bytes of the units that raw H.264 and HEVC begin with: parameter sets, delimiters, SEI."""


SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def special(path: Path) -> str | None:
    """Name of a special file, which may block forever when opened; None for all others."""
    try:
        return SPECIAL.get(stat.S_IFMT(os.stat(path).st_mode))
    except OSError:
        return None


def kind_of_file(path: Path) -> str | None:
    """Detect the kind of a file; None if it cannot be read."""
    if special(path):
        return None
    try:
        with path.open("rb") as file:
            return kind_of(file.read(HEAD))
    except OSError:
        return None


def kind_of(head: bytes) -> str:
    """Detect the kind from a file's first bytes: one of `PHOTOS`, or a description."""
    if head[4:12] in (b"ftypmif1", b"ftypmsf1"):  # any image: the other brands decide
        return "avif" if b"avi" in head[16 : int.from_bytes(head[:4])] else HEIC
    for at, magic, kind in SIGNATURES:
        if head[at : at + len(magic)] == magic:
            return kind
    if any(head[at : at + 3 * step : step] == b"GGG" for at, step in TRANSPORT):
        return VIDEO
    if _is_transport(head) or _is_raw_video(head):
        return VIDEO
    valid = head.decode("utf-8", "ignore").encode()
    is_text = b"\0" not in head and len(valid) >= len(head) - 3  # may be cut inside a character
    return "text" if is_text else "a file of no known kind"


def _is_transport(head: bytes) -> bool:
    """Whether packets of MPEG streams begin somewhere in the first one's length."""
    return any(
        head[at : at + SYNCS * step : step] == SYNCS * b"G"
        for _, step in TRANSPORT
        for at in range(step)
    )


def _is_raw_video(head: bytes) -> bool:
    """Whether it begins as raw H.264 or HEVC does."""
    for code in START_CODES:
        if head.startswith(code) and head[len(code) : len(code) + 1]:
            return head[len(code)] in FIRST_UNITS
    return False
