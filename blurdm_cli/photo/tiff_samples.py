"""Convert the samples of a TIFF file, as they are stored, to pixels."""

import numpy as np
import tifffile
from jaxtyping import Shaped
from PIL import Image

from blurdm_cli.motion.light import to_encoded
from blurdm_cli.photo import pixels as px
from blurdm_cli.photo.pixels import Planes

OVERSHOOT = 0.01
"""How far values may exceed the range 0 to 1, as filters overshoot."""


COLOURS = {0: 1, 1: 1, 2: 3, 5: 4, 8: 3, 9: 3}
"""Channels of each photometric interpretation: gray (0: white is 0), RGB, CMYK, two of Lab."""

CIELAB, ICCLAB = 8, 9

MOST_CHANNELS = 64
"""Maximum number of channels: a file of a few bytes can declare 65535."""

SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
"""Light of sRGB's primaries, adapted to the white of ICC profiles (D50) by Bradford's method."""


def decode_samples(data: bytes, page: tifffile.TiffPage) -> tuple[Planes, list[str]]:
    """Read a page's colours, in 8 or 16 bits, and its first channel of transparency.

    Args:
        data: the file, with this page as the first one and Orientation 1.
        page: its photometric interpretation is in `COLOURS`.

    Raises:
        TooLarge, Unsupported: the size, the type of the values or the channels are not supported.
    """
    px.check_size(page.imagelength, page.imagewidth, page.samplesperpixel)
    if page.samplesperpixel > MOST_CHANNELS:
        raise px.Unsupported(f"a TIFF file with {page.samplesperpixel} channels")
    colours = COLOURS[page.photometric]
    samples = _samples(data, page)
    extras = page.extrasamples or (0,) * (page.samplesperpixel - colours)
    alpha = next((place for place, kind in enumerate(extras) if kind in (1, 2)), None)
    if alpha:
        samples[..., colours] = samples[..., colours + alpha]
    dropped = len(extras) - (alpha is not None)
    notes = [f"extra channels (inks, masks) are dropped: {dropped}"] if dropped else []
    planes, more = _to_integers(samples[..., : colours + (alpha is not None)], colours)
    notes += more
    if page.photometric == 0:
        planes[..., 0] = np.iinfo(planes.dtype).max - planes[..., 0]
    if alpha is not None and extras[alpha] == 1:
        _divide_by_alpha(planes)
    if page.photometric in (CIELAB, ICCLAB):
        planes[..., :3] = _rgb_of_lab(planes[..., :3], page.photometric)
        notes.append("LAB converted to RGB")
    elif page.photometric == 5:
        notes.append("CMYK converted to RGB")
        if planes.dtype != np.uint8:
            notes.append("16 bits per channel converted to 8")
        planes = px.to_8_bit(planes)
        inks = Image.fromarray(np.ascontiguousarray(planes[..., :4]), "CMYK")
        rgb = np.asarray(px.to_srgb(inks, page.iccprofile))
        planes = np.concatenate([rgb, planes[..., 4:]], axis=2)
    return planes, notes


def _samples(data: bytes, page: tifffile.TiffPage) -> Shaped[np.ndarray, "h w c"]:
    try:
        samples = page.asarray()
        if samples.ndim == 3 and page.planarconfig == 2:
            samples = samples.transpose(1, 2, 0)
    except ValueError:  # a compression that tifffile does not support
        samples = px.from_opencv(data)
    samples = samples.reshape(page.imagelength, page.imagewidth, -1)
    if samples.shape[2] != page.samplesperpixel:
        raise px.Unsupported("a TIFF file with these channels and this compression")
    return samples


def _rgb_of_lab(lab: Planes, photometric: int) -> Planes:
    """Convert CIELAB with the white of D50 to sRGB, at the same number of bits.

    Source: ISO 11664-4; TIFF 6.0, section 23 (a and b are signed); for ICCLAB Adobe's TIFF
    Technical Notes of 2002 (a and b have an offset, white is 0xFF00 in 16 bits).
    """
    white, rgb = np.iinfo(lab.dtype).max, np.empty_like(lab)
    half = white // 2 + 1
    full = 0xFF00 if white > 255 and photometric == ICCLAB else white
    of_xyz = np.linalg.inv(SRGB_TO_XYZ) * SRGB_TO_XYZ.sum(axis=1)
    for rows in px.strips(lab):
        stored = lab[rows].astype(np.int32)
        ab = (stored[..., 1:] ^ half if photometric == CIELAB else stored[..., 1:]) - half
        a, b = np.moveaxis(ab / (half / 128), 2, 0)
        y = (stored[..., 0] * (100 / full) + 16) / 116
        roots = np.stack([y + a / 500, y, y - b / 200], axis=2)
        xyz = np.where(roots > 6 / 29, roots**3, (roots - 4 / 29) * 3 * (6 / 29) ** 2)
        encoded = to_encoded((xyz @ of_xyz.T).astype(np.float32))
        rgb[rows] = encoded * white + 0.5
    return rgb


def _to_integers(samples: Shaped[np.ndarray, "h w c"], colours: int) -> tuple[Planes, list[str]]:
    """Convert what has neither 8 nor 16 bits to 16; an unknown white level is refused."""
    name = samples.dtype.name
    if name in ("uint8", "uint16"):
        return np.require(samples, name, ["C", "W"]), []
    if samples.dtype.kind not in "uf":
        raise px.Unsupported("a TIFF file with signed values")
    planes = np.empty(samples.shape, np.uint16)
    if samples.dtype.kind == "f":
        least, most = samples.min(), samples.max()
        if not np.isfinite([least, most]).all():
            raise px.Unsupported(f"a TIFF file with {name} values, some of them NaN or infinite")
        if least < -OVERSHOOT or most > 1 + OVERSHOOT:
            hint = "Scale them to 0...1, or save the photo with 16 bits per channel"
            raise px.Unsupported(f"a TIFF file with {name} values from {least:g} to {most:g}", hint)
        for rows in px.strips(samples):
            planes[rows] = samples[rows].astype(np.float64).clip(0, 1) * 65535 + 0.5
        return planes, [f"{name} converted to 16 bit"]
    most, bits = samples.max(), 8 * samples.dtype.itemsize
    if most < 2**16:
        planes[:] = samples
        return planes, [f"{name} values of up to {most} read as 16 bit"]
    if samples[..., :colours].max() < 2 ** (bits - 1):
        sort = f"a TIFF file with {name} values of up to {most} and an unknown white level"
        raise px.Unsupported(sort, "Save the photo with 16 bits per channel")
    for rows in px.strips(samples):
        planes[rows] = samples[rows] >> (bits - 16)
    return planes, [f"{name} converted to 16 bit"]


def _divide_by_alpha(planes: Planes) -> None:
    white = np.uint32(np.iinfo(planes.dtype).max)
    for rows in px.strips(planes):
        alpha = np.maximum(planes[rows, :, -1:], 1).astype(np.uint32)
        planes[rows, :, :-1] = np.minimum(planes[rows, :, :-1] * white // alpha, white)
