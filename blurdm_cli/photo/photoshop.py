"""Photoshop image resources, in which JPEG files store captions (IPTC) and much else.

    APP13 segments: "Photoshop 3.0", then resources, which may continue in the next segment:
    signature (4 bytes), number (2), name (its length, padded to even), size (4), data (to even)

Source: Adobe, "Adobe Photoshop File Formats Specification", Image Resources Section.
"""

import struct
from collections.abc import Collection, Iterator, Sequence

from blurdm_cli.photo import jpeg

BEGIN = b"Photoshop 3.0\0"

THUMBNAILS = frozenset({0x0409, 0x040C})

OF_OLD_PIXELS = THUMBNAILS | {0x03EE, 0x03EF, 0x0400, 0x0402, 0x0415, 0x041D, 0x042B, 0x042D}
OF_OLD_PIXELS |= {0x0430, 0x0435}
"""Thumbnails, and the names and states of channels and layers."""

COPIES = frozenset({0x0422, 0x0423, 0x0424})
"""Copies of EXIF (two kinds) and XMP from when Photoshop saved the photo."""

LARGEST = 0xFFFF - 2 - len(BEGIN)
"""The maximum size of the resources in a segment, in bytes."""


def read_segments(segments: bytes) -> list[bytes]:
    """The contents of consecutive APP13 segments."""
    found = []
    while segments:
        (size,) = struct.unpack_from(">H", segments, 2)
        found.append(segments[4 : 2 + size])
        segments = segments[2 + size :]
    return found


def write_segments(contents: Sequence[bytes]) -> bytes:
    """Serialise APP13 segments, one after the other."""
    return jpeg.write_segments(("APP13", data) for data in contents)


def without(segments: bytes, numbers: Collection[int]) -> bytes:
    """Remove some resources from APP13 segments; without any of these, nothing changes.

    Raises:
        ValueError: the resources are damaged, or are not Photoshop's.
    """
    contents = read_segments(segments)
    if not all(data.startswith(BEGIN) for data in contents):
        raise ValueError("a segment is not Photoshop's")
    resources = b"".join(data[len(BEGIN) :] for data in contents)
    joined = without_resources(resources, numbers)
    if joined == resources:
        return segments
    parts = [joined[first : first + LARGEST] for first in range(0, len(joined), LARGEST)]
    return write_segments([BEGIN + part for part in parts])


def without_resources(resources: bytes, numbers: Collection[int]) -> bytes:
    """Remove some resources.

    Raises:
        ValueError: the resources are damaged.
    """
    return b"".join(data for number, data in _resources(resources) if number not in numbers)


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Iterate over the resources: number, and all bytes."""
    at = 0
    while at < len(data):
        begin = at
        try:
            number, name = struct.unpack_from(">HB", data, at + 4)
            at += 6 + (name + 2) // 2 * 2
            (size,) = struct.unpack_from(">I", data, at)
        except struct.error as error:
            raise ValueError("a resource is cut off") from error
        at += 4 + size
        if at > len(data):
            raise ValueError("a resource is cut off")
        at = min(at + size % 2, len(data))
        yield number, data[begin:at]
