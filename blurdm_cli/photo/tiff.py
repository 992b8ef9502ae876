"""Read TIFF files: one page with its pixels and metadata, and a note on everything else.

Pillow decodes common 8-bit files. For others it drops channels or bits, or fails: tifffile reads
their samples as they are stored.
"""

import re
import struct
from contextlib import suppress
from io import BytesIO

import tifffile
from PIL import Image

from blurdm_cli.photo import metadata as md
from blurdm_cli.photo import photoshop
from blurdm_cli.photo import pixels as px
from blurdm_cli.photo.libtiff import noting_damage
from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.pixels import Planes
from blurdm_cli.photo.tiff_samples import CIELAB, COLOURS, ICCLAB, decode_samples

REDUCED, MASK = 1, 4
"""Bits of the subfile type: a smaller copy of another page, a transparency mask."""

PHOTOMETRIC, DESCRIPTION, TRANSFER, SUB_IFDS, INK_SET = 262, 270, 301, 330, 332
CHROMATICITIES = frozenset({318, 319})
LAYERS, RESOURCES = 37724, 34377
"""Photoshop's tags."""
STACK_TAGS = frozenset({DESCRIPTION, 50838, 50839})
"""Tags in which ImageJ and OME describe all pages of a file."""
SHAPE = re.compile(r'\{"shape": \[[\d, ]+\]\}')
"""tifffile's description, which nobody wrote."""

PILLOWS = {3: "palette", 6: "YCbCr"}
"""Photometric interpretations that Pillow alone converts."""


def decode(data: bytes) -> tuple[Planes, Metadata, list[str]]:
    """Read the first page that is neither a thumbnail nor a mask.

    Raises:
        TooLarge, Unsupported: files like this one cannot be read.
    """
    if data[:4] == b"MM\0+":  # Pillow misidentifies it
        raise px.Unsupported("a big-endian BigTIFF file")
    with tifffile.TiffFile(BytesIO(data)) as file:
        place, page = full_page(file)
        check_sort(page)
        pages = len(file.pages)
        data = beginning_with(data, page) if place else data
        upright = unturned(data, page)
        if is_common(page):
            damage: list[str] = []
            with noting_damage(damage):
                planes, notes = px.decode_pillow(px.OPENERS["tiff"](BytesIO(upright)))
            notes += damage
        else:
            planes, notes = decode_samples(upright, page)
    if place:
        which = f"only page {place + 1} is used; earlier pages are thumbnails or masks"
        notes.append(f"{pages} pages: {which}")
    elif pages > 1:
        notes.append(f"{pages} pages: only the first one is used")
    metadata, more = read_metadata(data, pages=pages)
    return planes, metadata, notes + more


def full_page(file: tifffile.TiffFile) -> tuple[int, tifffile.TiffPage]:
    """The first page that is neither a smaller copy nor a mask, and its number from 0."""
    for place, page in enumerate(file.pages):
        if isinstance(page, tifffile.TiffPage) and not page.subfiletype & (REDUCED | MASK):
            return place, page
    return 0, file.pages.first


def check_sort(page: tifffile.TiffPage) -> None:
    """Raise Unsupported for valid variants that neither library reads."""
    bits, colours = page.bitspersample, page.photometric
    if colours not in COLOURS and colours not in PILLOWS:
        name = getattr(colours, "name", colours)
        raise px.Unsupported(f"a TIFF file with colours of type {name}")
    of_lab = colours in (CIELAB, ICCLAB)
    if 8 < bits < 16 or (bits < 8 and colours > 3) or (bits > 16 and of_lab):
        raise px.Unsupported(f"a TIFF file with {bits} bits per channel")
    if bits > 8 and colours in PILLOWS:
        raise px.Unsupported(f"a TIFF file with {bits} bits per channel and {PILLOWS[colours]}")
    inks = page.tags.get(INK_SET)
    if colours == 5 and (page.samplesperpixel < 4 or (inks and inks.value != 1)):
        raise px.Unsupported("a TIFF file with inks other than CMYK")


def is_common(page: tifffile.TiffPage) -> bool:
    """Whether Pillow reads all of the page's colours and transparency."""
    if page.photometric in PILLOWS:
        return True
    extras = page.samplesperpixel - COLOURS[page.photometric]
    alpha = extras == 1 and page.extrasamples in ((1,), (2,)) and page.photometric < 3
    unsigned = page.bitspersample <= 8 and page.sampleformat == 1
    return unsigned and page.photometric in (0, 1, 2, 5) and (alpha or not extras)


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


def read_metadata(
    data: bytes, only: frozenset[int] | None = None, pages: int = 1
) -> tuple[Metadata, list[str]]:
    """Read the metadata of a TIFF file's first page.

    Args:
        data: the file.
        only: the tags to read; None for all that do not describe the stored pixels.
        pages: the number of pages in the file.

    Returns:
        The metadata, not adjusted yet, and a line for each loss.
    """
    exif, start = Image.Exif(), None
    if data[:4] == b"II+\0":  # Pillow does not detect BigTIFF here
        exif.bigtiff, exif.endian = True, "<"
        (start,) = struct.unpack_from("<Q", data, 8)
    exif.load_from_fp(BytesIO(data), start)
    exif.bigtiff = False
    unit = exif.get(md.RESOLUTION_UNIT, 2)
    per_inch = {2: 1.0, 3: 2.54}.get(unit, 0.0)  # 1: a ratio of the sides, which EXIF keeps
    x, y = exif.get(md.X_RESOLUTION) or 0, exif.get(md.Y_RESOLUTION) or 0
    icc, xmp = exif.get(md.ICC), exif.get(md.XMP)
    notes = _drop_stale(exif, pages) if only is None else []
    for tag in set(exif) & md.PIXEL_TAGS if only is None else set(exif) - only:
        del exif[tag]
    try:
        blob = exif.tobytes()
    except (ValueError, TypeError, AttributeError, struct.error):  # Pillow's, on odd values
        kept = Image.Exif()
        kept[md.ORIENTATION] = exif.get(md.ORIENTATION, 1)
        blob, notes = kept.tobytes(), [*notes, "EXIF is damaged and is dropped"]
    dpi = md.positive_dpi(float(x) * per_inch, float(y) * per_inch)
    blob = blob.removeprefix(b"Exif\0\0") if len(exif) else b""
    return Metadata(icc or None, blob or None, bytes(xmp) if xmp else None, dpi), notes


def _drop_stale(exif: Image.Exif, pages: int) -> list[str]:
    """Remove what describes images or colours that the result does not have; return notes."""
    notes = []
    described = str(exif.get(DESCRIPTION, ""))
    is_imagej = described.startswith("ImageJ=")
    many = pages > 1 or (is_imagej and "images=" in described)
    stack = many and (is_imagej or "<OME " in described)
    if stack:
        notes.append("the description of the pages (ImageJ, OME) is dropped")
    if stack or SHAPE.fullmatch(described):
        for tag in STACK_TAGS & set(exif):
            del exif[tag]
    if exif.get(PHOTOMETRIC) not in (0, 1, 2):
        for tag in CHROMATICITIES & set(exif):
            del exif[tag]
    if SUB_IFDS in exif:
        notes.append("further images in the page (SubIFDs: smaller copies, masks) are dropped")
    if LAYERS in exif:
        notes.append("Photoshop's layers are dropped")
        del exif[LAYERS]
    if TRANSFER in exif:
        notes.append("the transfer function is dropped")
    with suppress(ValueError, TypeError):  # unknown contents are kept as they are
        if RESOURCES in exif:
            exif[RESOURCES] = photoshop.without_resources(exif[RESOURCES], photoshop.OF_OLD_PIXELS)
    return notes
