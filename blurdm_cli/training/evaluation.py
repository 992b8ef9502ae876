"""How well a model deblurs pairs, photo by photo, as a user's photo would be deblurred."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample

from blurdm_cli.training.metrics import psnr, ssim

LARGEST_SHIFT = 4.0
"""Pixels, along each axis, that `best_shift` looks up to."""

Pair = tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 h w"]]
"""A blurred photo and the sharp one."""


@dataclass(frozen=True)
class Scores:
    """One pair's; PSNR in dB and SSIM, both against the sharp photo."""

    name: str
    psnr_blurred: float
    psnr_restored: float
    ssim_blurred: float
    ssim_restored: float
    psnr_sharp: float
    """Of the sharp photo, when it is deblurred too: how well it is left alone."""


def evaluate(
    deblur: Callable[[np.ndarray], np.ndarray], pairs: Mapping[str, Pair], *, align: bool = False
) -> Iterator[Scores]:
    """Deblur and score each pair.

    Args:
        deblur: takes and gives 8-bit photos, height x width x 3.
        pairs: by name.
        align: move the blurred and the restored photo by the best sub-pixel shift before
            scoring each, for data whose sharp frame is not in the middle of the exposure.
    """
    for name, (blurred, sharp) in pairs.items():
        wanted = _unit(sharp)
        before, after = _unit(blurred), _unit(_deblur(deblur, blurred))
        kept = psnr(_unit(_deblur(deblur, sharp)), wanted).item()
        if align:
            before, _ = best_shift(before, wanted)
            after, _ = best_shift(after, wanted)
            inside = slice(int(LARGEST_SHIFT) + 2, -int(LARGEST_SHIFT) - 2)
            before, after, wanted = (i[..., inside, inside] for i in (before, after, wanted))
        yield Scores(
            name,
            psnr(before, wanted).item(),
            psnr(after, wanted).item(),
            ssim(before, wanted).item(),
            ssim(after, wanted).item(),
            kept,
        )


def mean(scores: list[Scores]) -> Scores:
    """The mean of each figure."""
    figures = [field.name for field in fields(Scores) if field.name != "name"]
    values = {name: float(np.mean([getattr(s, name) for s in scores])) for name in figures}
    return Scores("mean", **values)


def best_shift(
    found: Float[Tensor, "1 3 h w"], wanted: Float[Tensor, "1 3 h w"]
) -> tuple[Float[Tensor, "1 3 h w"], tuple[float, float]]:
    """Move an image by the shift that brings it closest to another one.

    Whole pixels first, then halves, quarters and eighths around the best; bicubic.

    Returns:
        The image moved, and (down, right) in pixels.
    """
    down = right = 0.0
    steps = [LARGEST_SHIFT / 2, 1.0, 1.0, 0.5, 0.25, 0.125]
    for step in steps:
        around = [(down + y * step, right + x * step) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        inside = [s for s in around if max(map(abs, s)) <= LARGEST_SHIFT]
        down, right = max(inside, key=lambda shift: _likeness(_move(found, *shift), wanted))
    return _move(found, down, right), (down, right)


def _likeness(found: Float[Tensor, "1 3 h w"], wanted: Float[Tensor, "1 3 h w"]) -> float:
    inside = slice(int(LARGEST_SHIFT) + 2, -int(LARGEST_SHIFT) - 2)
    return psnr(found[..., inside, inside], wanted[..., inside, inside]).item()


def _move(image: Float[Tensor, "1 3 h w"], down: float, right: float) -> Float[Tensor, "1 3 h w"]:
    if down == right == 0:
        return image
    height, width = image.shape[2:]
    rows = (torch.arange(height) - down + 0.5) * 2 / height - 1
    columns = (torch.arange(width) - right + 0.5) * 2 / width - 1
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1)[None]
    return grid_sample(image, grid, "bicubic", "border", align_corners=False)


def _unit(photo: UInt8[Tensor, "3 h w"]) -> Float[Tensor, "1 3 h w"]:
    return photo[None].float() / 255


def _deblur(
    deblur: Callable[[np.ndarray], np.ndarray], photo: UInt8[Tensor, "3 h w"]
) -> UInt8[Tensor, "3 h w"]:
    pixels = np.ascontiguousarray(photo.permute(1, 2, 0).numpy())
    return torch.from_numpy(deblur(pixels)).permute(2, 0, 1)
