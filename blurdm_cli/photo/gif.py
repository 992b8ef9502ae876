"""GIF content besides the first image: comments, colour profile, XMP, the number of frames.

    header (6 bytes), screen descriptor (7), colour table, then blocks:
    extension   0x21, label, sub-blocks
    image       0x2C, descriptor (9), colour table, code size (1), sub-blocks
    sub-blocks  length (1) and data, repeated, until a length of 0

Source: CompuServe, "Graphics Interchange Format, Version 89a"; Adobe, "XMP Specification Part 3".
"""

from collections.abc import Iterator
from dataclasses import replace

from blurdm_cli.photo.metadata import Metadata

EXTENSION, IMAGE = 0x21, 0x2C
TEXT, COMMENT, APPLICATION = 0x01, 0xFE, 0xFF
PROFILE, XMP = b"ICCRGBG1012", b"XMP DataXMP"

XMP_TRAILER = 258
"""Bytes after XMP, which is not in sub-blocks; they lead any reader to the end of it."""


def read_metadata(gif: bytes, metadata: Metadata) -> tuple[Metadata, list[str]]:
    """Add what the file's extensions store to the metadata; note what is not read."""
    chunks, notes, frames = list[tuple[bytes, bytes]](), list[str](), 0
    for kind, label, data in _blocks(gif):
        parts = list(_sub_blocks(data))
        frames += kind == IMAGE
        if label == COMMENT:
            chunks.append(_text_chunk(b"".join(parts)))
        elif label == TEXT:
            notes.append("text that is drawn over the image is dropped")
        elif label == APPLICATION and parts[:1] == [PROFILE]:
            metadata = replace(metadata, icc=b"".join(parts[1:]))
        elif label == APPLICATION and parts[:1] == [XMP]:
            metadata = replace(metadata, xmp=data[1 + len(XMP) : -XMP_TRAILER])
    if frames > 1:
        notes.append(animation_note(frames))
    if gif[12] not in (0, 49):
        notes.append(f"the pixel aspect ratio {(gif[12] + 15) / 64:.2f}:1 is dropped")
    return replace(metadata, chunks=tuple(chunks)), notes


def animation_note(frames: int, way: str = "--output NAME.mp4 restores") -> str:
    """The warning for an animation of which one frame is restored, and how to restore all."""
    return f"animation: only the first of {frames} frames is used; {way} all of them"


def _blocks(gif: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Iterate over the blocks: kind, label of an extension or 0, sub-blocks; stop at damage."""
    at = 13 + _table(gif[10:11])
    while gif[at : at + 1] in (b"\x21", b"\x2c"):
        kind, label = gif[at], 0
        if kind == EXTENSION:
            label, begin = int.from_bytes(gif[at + 1 : at + 2]), at + 2
        else:
            begin = at + 11 + _table(gif[at + 9 : at + 10])
        at = begin
        while size := int.from_bytes(gif[at : at + 1]):
            at += 1 + size
        at += 1
        yield kind, label, gif[begin:at]


def _table(flags: bytes) -> int:
    """The size of a colour table in bytes."""
    packed = int.from_bytes(flags)
    return 3 * 2 ** (packed % 8 + 1) if packed & 0x80 else 0


def _sub_blocks(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data) and (size := data[at]):
        yield data[at + 1 : at + 1 + size]
        at += 1 + size


def _text_chunk(comment: bytes) -> tuple[bytes, bytes]:
    """The PNG chunk of a comment: ASCII by specification, often UTF-8, else read as Latin-1."""
    text = comment.replace(b"\0", b" ")
    try:
        is_utf8 = not text.isascii() and bool(text.decode())
    except UnicodeDecodeError:
        is_utf8 = False
    return (b"iTXt", b"Comment" + bytes(5) + text) if is_utf8 else (b"tEXt", b"Comment\0" + text)
