"""Pixel arrays: decoding from the bytes of a photo's file, rotation, filling, rounding.

Arrays are height x width x channels, 8 or 16 bit: gray or RGB, then alpha if there is any.
Pillow silently opens 16-bit RGB as 8-bit, so 16-bit files never go through it.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from threading import Lock

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8, UInt16
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from blurdm_cli.errors import TooManyPixels

Planes = UInt8[np.ndarray, "height width channels"] | UInt16[np.ndarray, "height width channels"]
NewPlanes = UInt8[np.ndarray, "rows columns planes"] | UInt16[np.ndarray, "rows columns planes"]
Plane = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]

LARGEST, LONGEST = 500_000_000, 250_000
"""Maximum number of pixels of a photo, and on its longest side: a small file can declare a far
larger size, and a row of many pixels takes as much memory as many rows."""

OPENERS: dict[str, Callable[[BytesIO], ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
}
"""Pillow's readers, called directly: `Image.open` tries dozens and has its own size limit."""

MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
"""Pillow modes that match our arrays, and their number of channels."""

# Both libraries would print a warning to stderr for every oddity in a file.
for name in ("tifffile", "PIL"):
    logging.getLogger(name).addHandler(logging.NullHandler())
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Quiet:
    """Suppress Python's warnings while any thread is inside: several may read photos at once.

    If each thread used `warnings.catch_warnings`, one would restore what another had set.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._held = warnings.catch_warnings(action="ignore")

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._held = warnings.catch_warnings(action="ignore")
                self._held.__enter__()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._held.__exit__(None, None, None)


class TooLarge(ValueError):
    """The file declares more than `LARGEST` pixels, or more than `LONGEST` on a side."""


CONVERT = "Convert it to a 16-bit TIFF, a PNG or a JPEG file first"


class Unsupported(ValueError):
    """The file is valid but of an unsupported variant; the message names the variant."""

    def __init__(self, sort: str, hint: str = CONVERT) -> None:
        super().__init__(sort)
        self.hint = hint


class ExtraMissing(ValueError):
    """Reading the file needs a package that is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package


def too_large(name: str) -> TooManyPixels:
    """The error for a file above the limits."""
    return TooManyPixels(
        f"{name} is too large",
        hint=f"The limit is {LARGEST:,} pixels, and {LONGEST:,} on a side",
    )


def check_size(height: int, width: int, channels: int = 4) -> None:
    """Raise TooLarge above the limits, which are for up to four channels."""
    if height * width * max(channels, 4) > 4 * LARGEST or max(height, width) > LONGEST:
        raise TooLarge(f"{width} x {height} pixels")


def decode_pillow(image: ImageFile.ImageFile) -> tuple[Planes, list[str]]:
    """Read an 8-bit image; other modes are converted to RGB or gray, with a note."""
    check_size(image.height, image.width)
    image.load()
    mode, notes = image.mode, []
    ready: Image.Image = image
    if mode == "P" or (mode in ("L", "RGB") and "transparency" in image.info):
        ready = image.convert(_with_transparency(image))
        notes = ["palette converted to RGB"] if mode == "P" else []
    elif mode == "1":
        ready, notes = image.convert("L"), ["1-bit black and white converted to 8-bit gray"]
    elif mode in ("PA", "La", "RGBa", "RGBX"):
        ready = image.convert({"La": "LA", "RGBX": "RGB"}.get(mode, "RGBA"))
    elif mode in ("CMYK", "YCbCr", "HSV"):
        profile = image.info.get("icc_profile")
        ready, notes = to_srgb(image, profile), [f"{mode} converted to RGB"]
    elif mode not in MODES:
        raise Unsupported(f"a photo with pixels of type {mode}")
    return np.asarray(ready).reshape(ready.height, ready.width, -1), notes


def _with_transparency(image: Image.Image) -> str:
    if "transparency" not in image.info:
        return "RGB"
    return "LA" if image.mode == "L" else "RGBA"


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert CMYK with its own profile; without a valid one, and other modes, approximately."""
    if image.mode != "CMYK" or not profile:
        return image.convert("RGB")
    srgb = ImageCms.createProfile("sRGB")
    try:
        converted = ImageCms.profileToProfile(image, BytesIO(profile), srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")
    return converted or image.convert("RGB")


def decode_png16(png: bytes, colour_type: int) -> Planes:
    """Read a PNG file with 16 bits per channel."""
    planes = from_opencv(png)
    return planes[..., [0, 3]] if colour_type == 4 and planes.shape[2] == 4 else planes


def with_hidden_colour(planes: Planes, colour: tuple[int, ...]) -> NewPlanes:
    """Add transparency that is 0 where pixels have this colour, and full elsewhere."""
    seen = (planes != np.array(colour, planes.dtype)).any(axis=2, keepdims=True)
    alpha = seen.astype(planes.dtype) * np.iinfo(planes.dtype).max
    return np.concatenate([planes, alpha], axis=2)


def from_opencv(data: bytes) -> Planes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV cannot read the pixels")
    if pixels.ndim == 2:
        return pixels[..., None]
    swap = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[pixels.shape[2]]
    return cv2.cvtColor(pixels, swap, dst=pixels)


def strips(array: Shaped[np.ndarray, "h ..."]) -> Iterator[slice]:
    """Ranges of rows to process one at a time, so that wider types need little memory."""
    rows = max(1, 2**18 // max(1, array[0].size))
    return (slice(top, top + rows) for top in range(0, len(array), rows))


def upright(planes: Planes, orientation: int) -> NewPlanes:
    """Rotate and mirror the pixels as EXIF's Orientation, 1 to 8, specifies."""
    planes = planes.swapaxes(0, 1) if orientation >= 5 else planes
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return planes[::rows, ::columns]


def fill_hidden(pixels: Planes, alpha: Plane) -> Planes:
    """Give every pixel under alpha 0 the colour of the nearest visible pixel.

    Returns:
        New pixels, or the same array if no pixel is hidden, or all are.
    """
    hidden = (alpha == 0).view(np.uint8)
    if not hidden.any() or hidden.all():
        return pixels
    edge = cv2.dilate(hidden, np.ones((3, 3), np.uint8)) > hidden  # visible, next to hidden
    _, labels = cv2.distanceTransformWithLabels(
        (~edge).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(int(labels.max()) + 1, np.int64)
    nearest[labels[edge]] = np.flatnonzero(edge)
    filled = pixels.copy()
    colours = pixels.reshape(-1, pixels.shape[2])
    for rows in strips(filled):
        where = hidden[rows].view(bool)
        filled[rows][where] = colours[nearest[labels[rows][where]]]
    return filled


def to_8_bit(planes: Planes) -> UInt8[np.ndarray, "height width channels"]:
    """Round 16 bits to 8; 8-bit pixels are returned unchanged."""
    if planes.dtype == np.uint8:
        return planes
    return cv2.convertScaleAbs(planes, alpha=255 / 65535).reshape(planes.shape)


def over_white(planes: Planes) -> NewPlanes:
    """Composite gray or RGB with alpha over white; the result has no alpha."""
    flat = np.empty((*planes.shape[:2], planes.shape[2] - 1), planes.dtype)
    white = np.uint32(np.iinfo(planes.dtype).max)
    for rows in strips(planes):
        alpha = planes[rows, :, -1:].astype(np.uint32)
        mixed = planes[rows, :, :-1] * alpha + white * (white - alpha)
        flat[rows] = (mixed + white // 2) // white
    return flat
