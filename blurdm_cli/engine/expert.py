"""Choice between a model's picture and an expert's, for each part of a photo.

An expert is another model, such as one trained on moving scenes. Either leaves a blur that it does
not know nearly as it is: the model where no motion of the camera explains the photo, the expert
where its training had nothing like it. Therefore the one that changes a part of the photo more is
taken there. On a sharp photo an expert changes detail slightly; the model's picture stays.
benchmarks/experts.py prints what the choice is worth for other numbers than those here.
"""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from blurdm_cli.engine.pixels import Pixels, quantise, white_of
from blurdm_cli.engine.restored import Restored
from blurdm_cli.motion.light import LUMA

BLOCK = 8
"""Side in pixels of the squares that changes are averaged over first."""

SPREAD = 4.0
"""Standard deviation in blocks of the weights that a part's changes are averaged with."""

WHOLE = 3.0
"""Weight of the mean change of the whole photo beside that of a part."""

LEAD = 1.1
"""How much the expert's change counts beside the model's."""

LEAST = 0.5
"""Change of an expert below which it is not taken, as a multiple of the photo's mean gradient."""

POWER = 32
"""How fast one picture fades into the other as the changes become unequal."""

BAND = 256
"""Rows that are worked on at a time; a multiple of `BLOCK`."""

TINY = 1e-5
"""Added to changes, as shares of white."""

Blocks = Float32[np.ndarray, "rows columns"]


def choose(photo: Pixels, own: Restored, expert: Restored, strength: float = 1.0) -> Restored:
    """Take the expert's picture where it changes the photo more than the model's.

    Args:
        photo: the blurred photo.
        own: the model's result; its pixels are overwritten.
        expert: the expert's result.
        strength: the strength that both were made with, above 0.
    """
    pixels, white = own.pixels, white_of(photo)
    ours, theirs = (_blocks(photo, made) for made in (pixels, expert.pixels))
    detail = _blocks(photo)
    scale = np.float32(1 / (strength * white))
    share = expert_share(ours * scale, theirs * scale, detail / np.float32(white))
    for rows in _bands(len(photo)):
        values = pixels[rows].astype(np.float32)
        values += (expert.pixels[rows] - values) * _enlarged(share, rows, photo.shape[1])[..., None]
        values /= np.float32(white)
        quantise(np.ascontiguousarray(values.transpose(2, 0, 1)), pixels[rows], white)
    notes = tuple(dict.fromkeys((*own.notes, *expert.notes)))
    return replace(own, guarded=own.guarded or expert.guarded, notes=notes)


def expert_share(own: Blocks, expert: Blocks, detail: Blocks) -> Blocks:
    """Share of the expert's picture in each block, between 0 and 1.

    Neighbours count by their distance, and the whole photo counts too: a small part is taken from
    the other model only where the difference is clear.

    Args:
        own: mean change of the photo by the model, as a share of white.
        expert: the same by the expert.
        detail: mean gradient of the photo, as a share of white for each pixel.
    """
    ours, theirs, least = (_smoothed(each) + TINY for each in (own, expert, LEAST * detail))
    rivals = (ours / (LEAD * theirs)) ** POWER + (least / theirs) ** POWER
    return (1 / (1 + rivals)).astype(np.float32)


def _smoothed(blocks: Blocks) -> Float64[np.ndarray, "rows columns"]:
    near = cv2.GaussianBlur(blocks, (0, 0), SPREAD, borderType=cv2.BORDER_REPLICATE)
    return near.astype(np.float64) + WHOLE * blocks.mean()


def _blocks(photo: Pixels, made: Pixels | None = None) -> Blocks:
    """Mean change of each block of a photo by what was made of it; without that, its gradient."""
    height, width = photo.shape[:2]
    blocks = []
    for rows in _bands(height):
        values = _gradient(photo[rows]) if made is None else _change(photo[rows], made[rows])
        size = -(-width // BLOCK), -(-len(values) // BLOCK)
        blocks.append(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
    return np.concatenate(blocks)


def _bands(height: int) -> Iterator[slice]:
    return (slice(top, min(top + BAND, height)) for top in range(0, height, BAND))


def _change(before: Pixels, after: Pixels) -> Float32[np.ndarray, "h w"]:
    return cv2.absdiff(before, after).mean(axis=2, dtype=np.float32)


def _gradient(photo: Pixels) -> Float32[np.ndarray, "h w"]:
    grey = photo @ LUMA
    along = np.diff(grey, axis=1, append=grey[:, -1:])
    down = np.diff(grey, axis=0, append=grey[-1:])
    return np.hypot(along, down)


def _enlarged(share: Blocks, rows: slice, width: int) -> Float32[np.ndarray, "h w"]:
    """The share of each pixel of some rows, interpolated between the centres of blocks."""
    scale = 1 / BLOCK
    place = np.array([[scale, 0, scale / 2 - 0.5], [0, scale, (rows.start + 0.5) * scale - 0.5]])
    return cv2.warpAffine(
        share,
        place,
        (width, rows.stop - rows.start),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
