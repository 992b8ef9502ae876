"""HEIC and RAW photos, read with the packages of the extras `heic` and `raw`.

Neither is written: a HEIC photo becomes PNG, of 8 or 16 bits; a RAW photo is developed into
16 bits of sRGB, and becomes TIFF.
"""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import tifffile

from blurdm_cli.media import metadata as md
from blurdm_cli.media.kinds import HEIC, RAW
from blurdm_cli.media.metadata import Metadata
from blurdm_cli.media.pixels import ExtraMissing, Planes, check_size

Decoded = tuple[Planes, Metadata, list[str]]

CAMERA_TAGS = frozenset(
    {270, 271, 272, md.ORIENTATION, md.SOFTWARE, 306, 315, 33432, 34665, 34853}
    | {md.X_RESOLUTION, md.Y_RESOLUTION, md.RESOLUTION_UNIT}
)
"""EXIF tags of a RAW file that are true of the developed photo as well."""


def decode_heic(data: bytes) -> Decoded:
    """Read a HEIC photo; the file's own turns and mirrorings are done by the library.

    Raises:
        ExtraMissing: the extra `heic` is not installed.
    """
    try:
        import pi_heif
    except ModuleNotFoundError as error:
        raise ExtraMissing("heic") from error
    file = pi_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=True)
    image = file[file.primary_index]
    check_size(*image.size[::-1])
    planes = np.asarray(image)
    planes = planes.reshape(*planes.shape[:2], -1)
    if planes.dtype == np.uint16:  # 10 or 12 bits in the upper ones: white becomes white
        planes = planes | planes >> int(image.info.get("bit_depth", 16))
    notes = ["HEIC is read, but not written"]
    if len(file) > 1:
        notes.append(f"{len(file)} pictures: only the first one is taken")
    info: dict[str, Any] = image.info
    exif = info.get("exif")
    metadata = Metadata(
        icc=info.get("icc_profile") or None,
        exif=_upright(exif.removeprefix(b"Exif\0\0")) if exif else None,
        xmp=info.get("xmp") or None,
    )
    return planes, metadata, notes


def decode_raw(data: bytes) -> Decoded:
    """Develop a RAW photo as the camera would: its white balance, sRGB, upright.

    Raises:
        ExtraMissing: the extra `raw` is not installed.
        ValueError: it cannot be developed.
    """
    try:
        import rawpy
    except ModuleNotFoundError as error:
        raise ExtraMissing("raw") from error
    try:
        with rawpy.imread(BytesIO(data)) as raw:
            check_size(raw.sizes.raw_height, raw.sizes.raw_width)
            planes = raw.postprocess(use_camera_wb=True, output_bps=16, gamma=(2.4, 12.92))
    except rawpy.LibRawError as error:
        raise ValueError("LibRaw cannot read it") from error
    notes = ["RAW is read, but not written: it is developed to 16 bits of sRGB"]
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return planes, Metadata(), [*notes, "EXIF of this kind of RAW file is not read"]
    metadata, more = md.tiff_metadata(data, CAMERA_TAGS)
    exif = metadata.exif and _upright(metadata.exif)
    return planes, replace(metadata, exif=exif, icc=None), notes + more


DEVELOPED: dict[str, Callable[[bytes], Decoded]] = {HEIC: decode_heic, RAW: decode_raw}
"""Readers by kind."""


def is_raw(tiff: bytes) -> bool:
    """Whether a file that begins like a TIFF file holds what a sensor saw."""
    with tifffile.TiffFile(BytesIO(tiff)) as file:
        page = file.pages.first
        reduced = bool(page.subfiletype & 1) and 330 in page.tags
        return page.photometric in (32803, 34892) or 50706 in page.tags or reduced


def _upright(exif: bytes) -> bytes:
    """The same EXIF, with Orientation 1 where it says another."""
    order = md.byte_order(exif)
    entries, _ = md.read_directory(exif)
    if md.ORIENTATION not in entries:
        return exif
    at = exif.index(entries[md.ORIENTATION])
    value = md.field(order, md.SHORT, [1]).data
    return exif[: at + 8] + value + exif[at + 8 + len(value) :]
