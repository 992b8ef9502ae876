"""Read HEIC and RAW photos with the packages of the extras `heic` and `raw`.

Neither format is written. HEIC photos are read as 8 bits, or as 16 if they have more; RAW photos
are developed to 16-bit sRGB. Both are read in a separate process: the libraries may crash on
damaged files, and this must not affect other photos.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import numpy as np
import tifffile

from blurdm_cli.files.signatures import HEIC, RAW
from blurdm_cli.photo import cicp, tiff
from blurdm_cli.photo import metadata as md
from blurdm_cli.photo.auxiliary import dropped_images
from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.pixels import ExtraMissing, Planes, TooLarge, check_size

Decoded = tuple[Planes, Metadata, list[str]]

PACKAGES = {HEIC: "pi_heif", RAW: "rawpy"}
"""The package that reads each kind; the extra has the kind's name."""

SECONDS = 600
"""Time limit, after which a reader is assumed to hang."""

TOO_LARGE = 3
"""The exit code of a reader that refuses a photo for its size."""

CAMERA_TAGS = frozenset(
    {270, 271, 272, md.ORIENTATION, md.SOFTWARE, 306, 315, 33432, 34665, 34853}
    | {md.X_RESOLUTION, md.Y_RESOLUTION, md.RESOLUTION_UNIT}
)
"""EXIF tags of a RAW file that also apply to the developed photo."""


def decode_apart(kind: str, data: bytes) -> Decoded:
    """Read a HEIC or RAW photo in a separate process.

    Raises:
        ExtraMissing: the package is not installed.
        TooLarge: the photo has too many pixels, according to its header.
        ValueError: it cannot be read.
    """
    if find_spec(PACKAGES[kind]) is None:
        raise ExtraMissing(PACKAGES[kind].replace("_", "-"))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__, kind],
            input=data,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError("the reader timed out") from error
    if done.returncode == TOO_LARGE:
        raise TooLarge(kind)
    if done.returncode != 0:
        raise ValueError(f"the reader exited with {done.returncode}")
    found = np.load(BytesIO(done.stdout))
    icc, exif, xmp = (found[name].tobytes() or None for name in ("icc", "exif", "xmp"))
    dpi, tags, notes = json.loads(found["words"].tobytes())
    chunks = tuple((b"cICP", bytes(content)) for content in tags)
    return found["planes"], Metadata(icc, exif, xmp, tuple(dpi) if dpi else None, chunks), notes


def _read_apart(kind: str) -> None:
    """Main function of the process: read a photo from stdin, write its arrays to stdout."""
    readers: dict[str, Callable[[bytes], Decoded]] = {HEIC: _decode_heic, RAW: _decode_raw}
    try:
        planes, metadata, notes = readers[kind](sys.stdin.buffer.read())
    except TooLarge:
        sys.exit(TOO_LARGE)
    tags = [list(content) for _, content in metadata.chunks]
    words = json.dumps([metadata.dpi, tags, notes]).encode()
    blobs = {"icc": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp, "words": words}
    arrays: dict[str, Any] = {
        name: np.frombuffer(blob or b"", np.uint8) for name, blob in blobs.items()
    }
    file = BytesIO()
    np.savez(file, planes=planes, **arrays)
    sys.stdout.buffer.write(file.getbuffer())


def _decode_heic(data: bytes) -> Decoded:
    """Read a HEIC photo; the library applies the file's rotation and mirroring."""
    import pi_heif

    file = pi_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=True)
    image = file[file.primary_index]
    check_size(*image.size[::-1])
    planes = np.asarray(image)
    planes = planes.reshape(*planes.shape[:2], -1)
    if planes.dtype == np.uint16:  # 10 or 12 bits are in the upper ones: keep white white
        planes = planes | planes >> int(image.info.get("bit_depth", 16))
    notes = ["HEIC can be read but not written"]
    if len(file) > 1:
        notes.append(f"{len(file)} images: only the primary one is used")
    notes += dropped_images(data)
    info: dict[str, Any] = image.info
    exif, icc, tags = info.get("exif"), info.get("icc_profile"), info.get("nclx_profile")
    metadata = Metadata(
        icc=icc or None,
        exif=_upright(exif.removeprefix(b"Exif\0\0")) if exif else None,
        xmp=info.get("xmp") or None,
        chunks=cicp.chunk(tags["color_primaries"], tags["transfer_characteristics"])
        if tags and not icc
        else (),
    )
    return planes, metadata, notes


def _decode_raw(data: bytes) -> Decoded:
    """Develop a RAW photo as the camera would: camera white balance, sRGB, upright."""
    import rawpy

    with rawpy.imread(BytesIO(data)) as raw:
        check_size(raw.sizes.raw_height, raw.sizes.raw_width)
        planes = raw.postprocess(use_camera_wb=True, output_bps=16, gamma=(2.4, 12.92))
    notes = ["RAW can be read but not written: it is developed to 16-bit sRGB"]
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return planes, Metadata(), [*notes, "EXIF of this type of RAW file is not read"]
    metadata, more = tiff.read_metadata(data, CAMERA_TAGS)
    exif = metadata.exif and _upright(metadata.exif)
    return planes, replace(metadata, exif=exif, icc=None), notes + more


def is_raw(tiff: bytes) -> bool:
    """Whether a file with a TIFF header holds raw sensor data."""
    with tifffile.TiffFile(BytesIO(tiff)) as file:
        page = file.pages.first
        reduced = bool(page.subfiletype & 1) and 330 in page.tags
        return page.photometric in (32803, 34892) or 50706 in page.tags or reduced


def _upright(exif: bytes) -> bytes:
    """The EXIF with Orientation set to 1, if it has one."""
    order = md.byte_order(exif)
    entries, _ = md.read_directory(exif)
    if md.ORIENTATION not in entries:
        return exif
    at = exif.index(entries[md.ORIENTATION])
    value = md.field(order, md.SHORT, [1]).data
    return exif[: at + 8] + value + exif[at + 8 + len(value) :]


if __name__ == "__main__":
    _read_apart(sys.argv[1])
