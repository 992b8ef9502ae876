"""What of a photo's file is kept, format by format: files are written, sent through, read again.

    python benchmarks/formats.py

The files are made and looked at with Pillow; blurdm reads them, restores
nothing, and writes them. docs/formats.md quotes the table.
"""

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from blurdm_cli.photo.photo import Photo, encode_photo, read_photo

SAMPLES = Path(__file__).parents[1] / "tests" / "photo" / "files"
FORMATS = ("JPEG", "PNG", "WebP", "TIFF", "AVIF", "BMP", "GIF", "HEIC")
GPS, MAKER, THUMBNAIL = 34853, b"a maker's note", b"\xff\xd8the blurred photo\xff\xd9"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/' tiff:Orientation='6' xmp:Rating='4'></x:xmpmeta>"
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + b"not only sRGB"


def pixels() -> np.ndarray:
    """Red down, green to the right, blue to the upper left."""
    rows, columns = np.mgrid[:48, :64]
    planes = np.stack([rows * 5, columns * 4, 250 - rows * 2 - columns * 2], axis=2)
    return planes.astype(np.uint8)


def exif() -> bytes:
    """Of a camera held upright, with a place, a maker's note and a thumbnail."""
    tags = Image.Exif()
    tags[271], tags[274], tags[282], tags[283], tags[296] = "Acme", 6, 300.0, 300.0, 2
    tags.get_ifd(34665)[37500] = MAKER
    tags.get_ifd(GPS)[1] = "N"
    blob = bytearray(tags.tobytes().removeprefix(b"Exif\0\0"))
    order = "<" if blob[:2] == b"II" else ">"
    (count,) = struct.unpack_from(f"{order}H", blob, 8)
    end, size = len(blob), len(THUMBNAIL)
    struct.pack_into(f"{order}I", blob, 10 + 12 * count, end)
    entries = struct.pack(f"{order}HHHII", 2, 513, 4, 1, end + 30)
    entries += struct.pack(f"{order}HHIII", 514, 4, 1, size, 0)
    return b"Exif\0\0" + bytes(blob) + entries + THUMBNAIL


def full_file(format: str) -> bytes:
    """A photo with all metadata that the library can put into a file of the format."""
    if format == "HEIC":
        return (SAMPLES / "turned.heic").read_bytes()
    file, options = BytesIO(), dict[str, Any](icc_profile=ICC, exif=exif(), dpi=(300, 300))
    if format == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
        options["pnginfo"].add_text("Title", "of the photo")
    elif format == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags.update({271: "Acme", 274: 6, 700: XMP})
        tags[GPS] = {1: "N"}
        options = {"icc_profile": ICC, "dpi": (300, 300), "tiffinfo": tags}
    elif format == "BMP":
        options = {"dpi": (300, 300)}
    elif format == "GIF":
        options = {"comment": b"of the photo"}
    else:
        options["xmp"] = XMP
    Image.fromarray(pixels()).save(file, format, **options)
    return file.getvalue()


def facts(data: bytes) -> dict[str, Any]:
    """What Pillow finds in a file."""
    image = Image.open(BytesIO(data))
    tags, info = image.getexif(), image.info
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or tags.get(700) or b""
    text = info.get("Title") or info.get("Comment") or info.get("comment")
    dpi = info.get("dpi") or (tags.get(282), tags.get(283))
    return {
        "profile": info.get("icc_profile"),
        "EXIF": tags.get(271),
        "location": dict(tags.get_ifd(GPS)).get(1),
        "maker note": dict(tags.get_ifd(34665)).get(37500),
        "XMP": b"Rating" in (xmp.encode() if isinstance(xmp, str) else xmp) or None,
        "resolution": round(float(dpi[0])) if dpi[0] else None,
        "text": text.decode() if isinstance(text, bytes) else text,
        "orientation": (image.size, tags.get(274, 1), b"Orientation='6'" in data),
        "thumbnail": THUMBNAIL in data,
    }


def source_facts(format: str, data: bytes) -> dict[str, Any]:
    if format != "HEIC":
        return facts(data)
    import pi_heif

    pi_heif.register_heif_opener()
    return facts(data)


def through(data: bytes) -> tuple[bytes, Photo]:
    """What blurdm writes of a file if restoring changes nothing."""
    photo = read_photo(data)
    return encode_photo(photo.with_rgb(photo.rgb()), photo.format), photo


def metadata_rows() -> Iterator[list[str]]:
    """For each format: what is kept of each sort of metadata."""
    names = ["profile", "EXIF", "location", "maker note", "XMP", "resolution", "text"]
    yield ["read", "written as", *names, "orientation", "thumbnail"]
    for format in FORMATS:
        data = full_file(format)
        written, photo = through(data)
        before, after = source_facts(format, data), facts(written)
        row = [_kept(before[name], after[name]) for name in names]
        turned = after["orientation"] == ((48, 64), 1, False)
        upright = "applied" if turned else "-" if before["orientation"][1] == 1 else "lost"
        thumbnail = "-" if not before["thumbnail"] else "lost" if after["thumbnail"] else "dropped"
        yield [format, photo.format.upper(), *row, upright, thumbnail]


def _kept(before: Any, after: Any) -> str:
    return "-" if before is None else "kept" if before == after else "lost"


def table(rows: Iterator[list[str]]) -> str:
    """Markdown."""
    first, *others = rows
    lines = [first, ["---"] * len(first), *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table(metadata_rows()))
