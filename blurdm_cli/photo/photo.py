"""Read and write photos with their metadata.

The kind of a file is detected from its bytes, not from its name. This is the only place where
errors of other libraries are converted to ours.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from blurdm_cli.choices import Quality
from blurdm_cli.errors import BlurdmError, DecodeError, MemoryFull, OutputError, UsageError
from blurdm_cli.files.atomic import Seal, atomic_output, no_seal
from blurdm_cli.files.formats import FORMATS, INSTEAD, format_of
from blurdm_cli.files.reading import check_regular, no_input
from blurdm_cli.files.signatures import HEAD, HEIC, PHOTOS, RAW, kind_of
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.machine import lacks_memory
from blurdm_cli.photo import metadata as md
from blurdm_cli.photo import pixels as px
from blurdm_cli.photo.decode import decode
from blurdm_cli.photo.encode import LARGEST_SIDE, Coding, drop_unsupported, encode
from blurdm_cli.photo.heic_raw import is_raw
from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.photoshop import THUMBNAILS, without

RGB = UInt8[np.ndarray, "height width 3"] | UInt16[np.ndarray, "height width 3"]

FOREIGN = (
    *(OSError, SyntaxError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError),
    *(EOFError, RuntimeError, struct.error, zlib.error, cv2.error, Image.DecompressionBombError),
)
"""Errors that Pillow, OpenCV and tifffile raise on photos that they cannot write."""

QUIET = px.Quiet()
COPY_AGAIN = "Copy it again from its source"


@dataclass(frozen=True, eq=False)
class Photo:
    """An upright photo, in the encoded gray or RGB values of its file."""

    pixels: UInt8[np.ndarray, "height width channels"] | UInt16[np.ndarray, "height width channels"]
    """1 channel (gray) or 3; may be read-only."""
    alpha: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"] | None = None
    """0 is transparent; same type as the pixels."""
    format: str = "png"
    """The format to write by default: "jpeg", "png", "webp", "tiff" or "avif"."""
    metadata: Metadata = field(default_factory=Metadata)
    coding: Coding = field(default_factory=Coding)
    notes: tuple[str, ...] = ()
    """Conversions and losses on reading, a line each."""

    def rgb(self) -> RGB:
        """Pixels for the network: gray in three channels, and no odd colours under alpha 0.

        If no conversion is needed, these are the photo's own pixels: do not write to them.
        """
        filled = self.pixels if self.alpha is None else px.fill_hidden(self.pixels, self.alpha)
        return filled if filled.shape[2] == 3 else np.repeat(filled, 3, axis=2)

    def with_rgb(self, restored: RGB) -> "Photo":
        """The photo with new pixels; pixels under alpha 0 stay unchanged.

        Raises:
            ValueError: the restored pixels have another size or type.
        """
        if restored.shape[:2] != self.pixels.shape[:2] or restored.dtype != self.pixels.dtype:
            raise ValueError(f"{restored.dtype} pixels of shape {restored.shape} do not fit")
        if self.pixels.shape[2] == 1:
            # Luma: its weights add up to one exactly, so equal channels keep their value.
            restored = cv2.cvtColor(np.ascontiguousarray(restored), cv2.COLOR_RGB2GRAY)[..., None]
        if self.alpha is not None and not self.alpha.all():
            restored = np.where(self.alpha[..., None] == 0, self.pixels, restored)
        return replace(self, pixels=restored)


UNNAMED = "The photo"


def read_photo(source: Path | bytes) -> Photo:
    """Read a photo from a file, or from the bytes of a file.

    Raises:
        InputError: the file does not exist or may not be read.
        DecodeError: it is not a photo, is damaged, or is of an unsupported kind.
        MemoryFull: it does not fit in memory.
    """
    if isinstance(source, bytes):
        return _decode(_kind(source, UNNAMED), source, UNNAMED)
    kind, data, _ = _read(source)
    return _decode(kind, data, str(source))


def read_stamped(path: Path) -> tuple[Photo, Stamp]:
    """Read a photo, and identify the bytes that were read; the file is read once.

    Raises:
        InputError, DecodeError, MemoryFull: as `read_photo`; or the file was changed meanwhile.
    """
    kind, data, before = _read(path)
    photo = _decode(kind, data, str(path))
    return photo, Stamp.of_bytes(data, path, before)


def _read(path: Path) -> tuple[str, bytes, os.stat_result]:
    """Read a photo's file: its kind, its bytes, and its status before they were read."""
    check_regular(path)
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            head = file.read(HEAD)  # a whole video would be too much
            kind = _kind(head, str(path))
            return kind, head + file.read(), before
    except OSError as error:
        raise no_input(path, error) from error


def _kind(head: bytes, name: str) -> str:
    """Detect the kind from a file's first bytes; unsupported kinds raise a DecodeError."""
    if not head:
        raise DecodeError(f"{name} is empty", hint=COPY_AGAIN)
    kind = kind_of(head)
    if kind in PHOTOS:
        return kind
    if kind.endswith(" file"):
        raise DecodeError(f"{name} is {kind}, which is not supported yet", hint=px.CONVERT)
    known = ", ".join(kind.upper() for kind in PHOTOS)
    raise DecodeError(f"{name} is {kind}, not a photo", hint=f"Supported formats: {known}")


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    """Convert errors of other libraries into a DecodeError of one line."""
    try:
        with QUIET:
            yield
    except (px.TooLarge, Image.DecompressionBombError) as error:
        raise px.too_large(name) from error
    except px.ExtraMissing as error:
        raise DecodeError(
            f"{name} needs {error.package}, which is not installed",
            hint=f"pip install {error.package}",
        ) from error
    except px.Unsupported as error:
        raise DecodeError(
            f"{name} is {error}, which is not supported yet", hint=error.hint
        ) from error
    except BlurdmError:
        raise
    except Exception as error:  # codecs raise all kinds of errors: LZMAError, RecursionError, ...
        if lacks_memory(error):
            raise MemoryFull(name) from error
        raise DecodeError(f"{name} is damaged or cut off", hint=COPY_AGAIN) from error


def _decode(kind: str, data: bytes, name: str) -> Photo:
    with _damage_named(name):
        return _photo_of(kind, data)


def _photo_of(kind: str, data: bytes) -> Photo:
    if kind == "tiff" and is_raw(data):
        kind = RAW
    planes, metadata, coding, notes = decode(kind, data)
    if any(note.startswith(("CMYK", "LAB")) for note in notes):
        metadata = md.as_srgb(metadata)
    metadata, orientation, more = _settled(metadata, turned=kind in (HEIC, RAW))
    planes = px.upright(planes, orientation)
    if orientation >= 5 and metadata.dpi:
        metadata = replace(metadata, dpi=metadata.dpi[::-1])
    colours = 1 if planes.shape[2] < 3 else 3
    return Photo(
        pixels=np.ascontiguousarray(planes[..., :colours]),
        alpha=None if planes.shape[2] == colours else np.ascontiguousarray(planes[..., -1]),
        format=kind if kind in FORMATS.values() else format_of(INSTEAD[f".{kind}"]),
        metadata=md.sized(metadata, *planes.shape[:2]),
        coding=coding,
        notes=tuple(notes + more),
    )


def _settled(metadata: Metadata, *, turned: bool) -> tuple[Metadata, int, list[str]]:
    """Adjust metadata to the upright, restored photo; return the orientation that it had.

    Args:
        metadata: as read from the file.
        turned: whether the pixels are upright already.
    """
    told, notes, exif, icc = None, list[str](), metadata.exif, metadata.icc
    if icc is not None and not md.is_profile(icc):
        icc, notes = None, ["the colour profile is damaged and is dropped"]
    if exif is not None:
        try:
            exif, told = md.settle_exif(exif)
        except (ValueError, struct.error):
            exif = None
            notes.append("EXIF is damaged and is dropped")
    xmp = metadata.xmp
    if xmp is not None:
        try:
            xmp = md.settle_xmp(xmp, turned=turned or told is not None)
        except ValueError:
            xmp = None
            notes.append("XMP is damaged and is dropped")
    segments = metadata.segments
    with suppress(ValueError):  # unknown segments are kept as they are
        segments = without(segments, THUMBNAILS)
    return replace(metadata, icc=icc, exif=exif, xmp=xmp, segments=segments), told or 1, notes


def write_photo(
    photo: Photo,
    path: Path,
    *,
    quality: Quality = "auto",
    format: str | None = None,
    seal: Seal = no_seal,
) -> list[str]:
    """Write a photo atomically.

    Args:
        photo: pixels and metadata.
        path: the output file; its folder is created if missing.
        quality: 1 to 100 for JPEG, WebP and AVIF; "auto" keeps the source's quality if that
            was good, else uses 95.
        format: "jpeg", "png", "webp", "tiff" or "avif"; None: the format of the suffix, or the
            photo's own if there is no suffix.
        seal: see `files.Seal`.

    Returns:
        Everything that the format cannot store, a line each.

    Raises:
        UsageError: the suffix or the quality is unknown.
        OutputError: the format cannot store the photo, or the file cannot be written.
    """
    if format is None:
        format = format_of(path.suffix) if path.suffix else photo.format
    data = encode_photo(photo, format, quality)
    with atomic_output(path, seal) as part:
        part.write_bytes(data)
    return losses(photo, format)


def losses(photo: Photo, format: str | None = None) -> list[str]:
    """List everything in the photo that a file of this format cannot store, a line each."""
    format = format_of(format or photo.format)
    name, lost = format.upper(), drop_unsupported(photo.metadata, format)[1]
    if photo.pixels.dtype == np.uint16 and format not in ("png", "tiff"):
        lost.append(f"{name} stores 8 bits per channel: 16 bits are rounded")
    opaque = photo.alpha is None or photo.alpha.min() == np.iinfo(photo.alpha.dtype).max
    if format == "jpeg" and not opaque:
        lost.append("JPEG has no transparency: the photo is composited over white")
    return lost


def encode_photo(photo: Photo, format: str | None = None, quality: Quality = "auto") -> bytes:
    """Encode a photo as the bytes of a file; None is the photo's own format.

    Raises:
        UsageError: the format or the quality is unknown.
        OutputError: the format cannot store the photo.
        MemoryFull: it does not fit in memory.
    """
    format = format_of(format or photo.format)
    if quality != "auto" and not 1 <= quality <= 100:
        raise UsageError(f"The quality {quality} is not between 1 and 100", hint="Try auto")
    largest = LARGEST_SIDE.get(format, max(photo.pixels.shape))
    if max(photo.pixels.shape) > largest:
        raise OutputError(
            f"{format.upper()} is limited to {largest} pixels per side",
            hint="Write a PNG file",
        )
    planes = photo.pixels
    if photo.alpha is not None:
        planes = np.concatenate([planes, photo.alpha[..., None]], axis=2)
        planes = px.over_white(planes) if format == "jpeg" else planes
    if format not in ("png", "tiff"):
        planes = px.to_8_bit(planes)
    try:
        return encode(planes, format, photo.metadata, photo.coding, quality)
    except FOREIGN as error:
        if lacks_memory(error):
            raise MemoryFull("The photo") from error
        raise OutputError(
            f"The photo cannot be written as {format.upper()}", hint="Write a PNG file"
        ) from error
