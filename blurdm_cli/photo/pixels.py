"""Pixel arrays: decoding from the bytes of a photo's file, rotation, filling, rounding.

Arrays are height x width x channels, 8 or 16 bit: gray or RGB, then alpha if there is any.
Pillow silently opens 16-bit RGB as 8-bit, so 16-bit files never go through it.
"""

import logging
import struct
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from threading import Lock

import cv2
import numpy as np
import tifffile
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

from blurdm_cli.photo import metadata as md

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
logging.getLogger("tifffile").addHandler(logging.NullHandler())
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

OVERSHOOT = 0.01
"""How far values may exceed the range 0 to 1, as filters overshoot."""


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


def check_size(height: int, width: int) -> None:
    if height * width > LARGEST or max(height, width) > LONGEST:
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
    elif mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        ready, notes = _to_srgb(image), [f"{mode} converted to RGB"]
    elif mode not in MODES:
        raise Unsupported(f"a photo with pixels of type {mode}")
    return np.asarray(ready).reshape(ready.height, ready.width, -1), notes


def _with_transparency(image: Image.Image) -> str:
    if "transparency" not in image.info:
        return "RGB"
    return "LA" if image.mode == "L" else "RGBA"


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert with the photo's own profile, or Lab's; without one, approximately."""
    profile = image.info.get("icc_profile")
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif image.mode == "CMYK" and profile:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
        else:
            return image.convert("RGB")
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        return converted or image.convert("RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        if image.mode == "LAB":
            raise Unsupported("a Lab photo of this kind") from error
        return image.convert("RGB")


def decode_png16(png: bytes, colour_type: int) -> Planes:
    """Read a PNG file with 16 bits per channel."""
    planes = _from_opencv(png)
    return planes[..., [0, 3]] if colour_type == 4 and planes.shape[2] == 4 else planes


def _from_opencv(data: bytes) -> Planes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV cannot read the pixels")
    if pixels.ndim == 2:
        return pixels[..., None]
    swap = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[pixels.shape[2]]
    return cv2.cvtColor(pixels, swap, dst=pixels)


def is_deep_tiff(page: tifffile.TiffPage) -> bool:
    """Whether Pillow would drop bits, or fail to open the file."""
    bits = page.bitspersample
    if 8 < bits < 16:
        raise Unsupported(f"a TIFF file with {bits} bits per channel")
    return bits > 8 and page.photometric in (0, 1, 2)


def decode_deep_tiff(data: bytes, page: tifffile.TiffPage) -> tuple[Planes, list[str]]:
    """Read a TIFF file with 16 or more bits per channel; more are converted to 16."""
    check_size(page.imagelength, page.imagewidth)
    colours = 3 if page.photometric == 2 else 1
    extra = page.extrasamples or (0,) * (page.samplesperpixel - colours)
    try:
        samples = page.asarray()
        if samples.ndim == 3 and page.planarconfig == 2:
            samples = samples.transpose(1, 2, 0)
    except ValueError:  # a compression that tifffile does not support
        samples = _from_opencv(unturned(data, page))
    samples = samples.reshape(page.imagelength, page.imagewidth, -1)
    if samples.shape[2] != page.samplesperpixel:
        raise Unsupported("a 16-bit TIFF file with these channels and this compression")
    alpha = bool(extra) and extra[0] in (1, 2)
    notes = [] if alpha or not extra else ["extra channels without a defined meaning are dropped"]
    planes, more = _to_16_bit(samples[..., : colours + alpha], colours)
    if page.photometric == 0:
        planes[..., 0] = 65535 - planes[..., 0]
    if alpha and extra[0] == 1:
        _divide_by_alpha(planes)
    return planes, notes + more


def full_page(file: tifffile.TiffFile) -> tuple[int, tifffile.TiffPage]:
    """The first page that is not marked as a smaller copy, and its number from 0."""
    for place, page in enumerate(file.pages):
        if isinstance(page, tifffile.TiffPage) and not page.subfiletype & 1:
            return place, page
    return 0, file.pages.first


def beginning_with(data: bytes, page: tifffile.TiffPage) -> bytes:
    """The TIFF file with this page as its first one."""
    order, at = page.parent.byteorder, 8 if page.parent.is_bigtiff else 4
    start = struct.pack(f"{order}{'Q' if at == 8 else 'I'}", page.offset)
    return data[:at] + start + data[at + len(start) :]


def unturned(data: bytes, page: tifffile.TiffPage) -> bytes:
    """The file with Orientation 1: Pillow and OpenCV always rotate TIFF pixels."""
    tag = page.tags.get(md.ORIENTATION)
    if tag is None or tag.value == 1:
        return data
    at = tag.valueoffset
    return data[:at] + struct.pack(f"{page.parent.byteorder}H", 1) + data[at + 2 :]


def _to_16_bit(samples: Shaped[np.ndarray, "h w c"], colours: int) -> tuple[Planes, list[str]]:
    """Convert to 16 bits; values with an unknown white level are refused."""
    name = samples.dtype.name
    if name == "uint16":
        return np.require(samples, np.uint16, ["C", "W"]), []
    if samples.dtype.kind not in "uf":
        raise Unsupported("a TIFF file with signed values")
    planes = np.empty(samples.shape, np.uint16)
    if samples.dtype.kind == "f":
        least, most = samples.min(), samples.max()
        if not np.isfinite([least, most]).all():
            raise Unsupported(f"a TIFF file with {name} values, some of them NaN or infinite")
        if least < -OVERSHOOT or most > 1 + OVERSHOOT:
            hint = "Scale them to 0...1, or save the photo with 16 bits per channel"
            raise Unsupported(f"a TIFF file with {name} values from {least:g} to {most:g}", hint)
        for rows in strips(samples):
            planes[rows] = samples[rows].astype(np.float64).clip(0, 1) * 65535 + 0.5
        return planes, [f"{name} converted to 16 bit"]
    most, bits = samples.max(), 8 * samples.dtype.itemsize
    if most < 2**16:
        planes[:] = samples
        return planes, [f"{name} values of up to {most} read as 16 bit"]
    if samples[..., :colours].max() < 2 ** (bits - 1):
        sort = f"a TIFF file with {name} values of up to {most} and an unknown white level"
        raise Unsupported(sort, "Save the photo with 16 bits per channel")
    for rows in strips(samples):
        planes[rows] = samples[rows] >> (bits - 16)
    return planes, [f"{name} converted to 16 bit"]


def _divide_by_alpha(planes: Planes) -> None:
    for rows in strips(planes):
        alpha = np.maximum(planes[rows, :, -1:], 1).astype(np.uint32)
        planes[rows, :, :-1] = np.minimum(planes[rows, :, :-1] * np.uint32(65535) // alpha, 65535)


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
