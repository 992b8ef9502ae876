"""Photos and metadata for tests: files made without the code under test, and shorthands."""

import io
import struct
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from blurdm_cli.photo.photo import Photo, encode_photo, read_photo

FORMATS = ("jpeg", "png", "webp", "tiff")
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + b"\0not only sRGB\0"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b'xmp:Rating="4"><xmp:Thumbnails><rdf:li>BLURREDTHUMB</rdf:li></xmp:Thumbnails>'
    b"</rdf:Description></x:xmpmeta>"
)
MAKER_NOTE = bytes(range(256)) * 2
THUMBNAIL = b"\xff\xd8BLURREDTHUMB\xff\xd9"


def noise(*shape: int, dtype: type[np.generic] = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height: int = 24, width: int = 40) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 9, columns * 5, rows * 3 + columns * 2], axis=2).astype(np.uint8)


def exif(
    orientation: int = 1,
    order: str = "<",
    thumbnail: bool = True,
    software: bytes = b"Cam 1.0\0",
) -> bytes:
    """EXIF as a camera writes it: a maker note, GPS, and a thumbnail in a second directory."""

    def directory(at: int, entries: list[tuple[int, int, int, bytes]], following: int = 0) -> bytes:
        behind = at + 2 + 12 * len(entries) + 4
        table, values = b"", b""
        for tag, kind, count, data in entries:
            if len(data) > 4:
                place = struct.pack(f"{order}I", behind + len(values))
                values += data + b"\0" * (len(data) % 2)
            else:
                place = data.ljust(4, b"\0")
            table += struct.pack(f"{order}HHI", tag, kind, count) + place
        size = struct.pack(f"{order}H", len(entries))
        return size + table + struct.pack(f"{order}I", following) + values

    def short(n: int) -> bytes:
        return struct.pack(f"{order}H", n)

    def long(n: int) -> bytes:
        return struct.pack(f"{order}I", n)

    first = [
        (271, 2, 5, b"Acme\0"),
        (274, 3, 1, short(orientation)),
        (305, 2, len(software), software),
        (34665, 4, 1, long(200)),
        (34853, 4, 1, long(900)),
    ]
    sub = directory(200, [(33434, 5, 1, long(1) + long(50)), (37500, 7, 512, MAKER_NOTE)])
    gps = directory(900, [(1, 2, 2, b"N\0"), (2, 5, 3, b"".join(map(long, (48, 1, 8, 1, 14, 1))))])
    second = directory(1000, [(513, 4, 1, long(1100)), (514, 4, 1, long(len(THUMBNAIL)))])
    head = (b"II*\0" if order == "<" else b"MM\0*") + long(8)
    blob = head + directory(8, first, 1000 if thumbnail else 0)
    for at, part in ((200, sub), (900, gps), (1000, second), (1100, THUMBNAIL)):
        assert len(blob) <= at
        blob = blob.ljust(at, b"\0") + part
    return blob


def photo_file(
    format: str, pixels: np.ndarray, orientation: int = 1, order: str = "<", **extra: Any
) -> bytes:
    """A file with everything in it, made without the code under test."""
    if format == "tiff":
        return tiff_file(pixels, orientation, **extra)
    options = {
        "icc_profile": ICC,
        "dpi": (300, 300),
        "exif": b"Exif\0\0" + exif(orientation, order),
    }
    if format == "png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        text.add_text("Comment", "kept")
        options["pnginfo"] = text
    else:
        options["xmp"] = XMP
    if format == "webp":
        options |= {"lossless": True, "exact": True}
    if format == "jpeg":
        options["quality"] = 96
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **(options | extra))
    return file.getvalue()


def tiff_file(pixels: np.ndarray, orientation: int = 1, **extra: Any) -> bytes:
    file = io.BytesIO()
    tags = [
        (271, 2, 5, "Acme", True),
        (274, 3, 1, orientation, True),
        (700, 1, len(XMP), XMP, True),
        (34675, 7, len(ICC), ICC, True),
    ]
    options = {"photometric": "rgb" if pixels.ndim == 3 else "minisblack", "metadata": None}
    options |= {"extratags": tags, "resolution": (300, 300), "software": "Cam 1.0"}
    tifffile.imwrite(file, pixels, **(options | extra))
    return file.getvalue()


def png16(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])[1].tobytes()


def again(photo: Photo, format: str | None = None) -> Photo:
    return read_photo(encode_photo(photo, format))


def exif_of(data: bytes) -> Image.Exif:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.getexif()


def converted(image: Image.Image, format: str, **options: Any) -> Photo:
    file = io.BytesIO()
    image.save(file, format, **options)
    return read_photo(file.getvalue())
