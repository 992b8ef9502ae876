"""Evaluation of a model on pairs, each photo deblurred as a user's photo would be."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample

from blurdm_cli.training.layouts import Pair
from blurdm_cli.training.metrics import WINDOW, psnr, ssim, ssim_3d

LARGEST_SHIFT = 24
"""Largest shift along each axis that `best_shift` tries, in pixels. A photo blurred by a long
exposure does not show which instant the sharp photo is of."""

EDGE = LARGEST_SHIFT + 2
INNER = slice(EDGE, -EDGE)
"""Pixels along each axis that stay valid after a shift."""

RESAMPLES = 10_000
"""Number of bootstrap resamples of the pairs for the interval of a mean."""

Align = Literal["none", "shift", "homography", "realblur"]
"""How blurred and restored photos are moved onto the sharp one before each is scored:
not at all; by `best_shift`; by `best_homography`; by it after matching intensities, as RealBlur is
scored."""

Deblur = Callable[[np.ndarray], np.ndarray]
"""Takes and returns 8-bit photos, height x width x 3."""


@dataclass(frozen=True)
class Scores:
    """Scores of one pair: PSNR in dB and SSIM, both against the sharp photo."""

    name: str
    psnr_blurred: float
    psnr_restored: float
    ssim_blurred: float
    ssim_restored: float
    ssim_3d_blurred: float
    ssim_3d_restored: float
    psnr_sharp: float
    """PSNR of the deblurred sharp photo: how little deblurring changes it."""
    gain_unaligned: float
    """PSNR gain without the alignment, in dB."""
    seconds: float
    """Time to deblur the blurred photo."""

    @property
    def gain(self) -> float:
        """PSNR gain of deblurring, in dB."""
        return self.psnr_restored - self.psnr_blurred


def evaluate(
    deblur: Deblur, pairs: Iterable[tuple[str, Pair]], *, align: Align = "none"
) -> Iterator[tuple[Scores, UInt8[Tensor, "3 h w"]]]:
    """Deblur and score each pair, after rounding to 8 bits as a file would hold it.

    Yields:
        The scores, and the restored photo.
    """
    for name, (blurred, sharp) in pairs:
        wanted = _unit(sharp)
        kept = psnr(_unit(deblurred(deblur, sharp)), wanted).item()
        start = time.perf_counter()
        restored = deblurred(deblur, blurred)
        seconds = time.perf_counter() - start
        photos = _unit(blurred), _unit(restored)
        plain = [psnr(photo, wanted).item() for photo in photos]
        before, after = (score(photo, wanted, align) for photo in photos)
        yield (
            Scores(
                name,
                *(before[0], after[0], before[1], after[1], before[2], after[2]),
                *(kept, plain[1] - plain[0], seconds),
            ),
            restored,
        )


def smallest(align: Align = "none") -> int:
    """The shortest side, in pixels, of a photo that can be scored."""
    return WINDOW if align == "none" else WINDOW + 2 * EDGE


def deblurred(deblur: Deblur, photo: UInt8[Tensor, "3 h w"]) -> UInt8[Tensor, "3 h w"]:
    """Deblur a channels-first photo."""
    pixels = np.ascontiguousarray(photo.permute(1, 2, 0).numpy())
    return torch.from_numpy(deblur(pixels)).permute(2, 0, 1)


def mean(scores: Sequence[Scores]) -> Scores:
    """The mean of each figure."""
    figures = [field.name for field in fields(Scores) if field.name != "name"]
    values = {name: float(np.mean([getattr(s, name) for s in scores])) for name in figures}
    return Scores("mean", **values)


def interval(scores: Sequence[Scores]) -> tuple[float, float]:
    """The 95 % interval of the mean gain, in dB.

    The same pairs give the same interval.
    """
    return bootstrap(np.array([score.gain for score in scores]))


def bootstrap(values: Float64[np.ndarray, "n"]) -> tuple[float, float]:
    """The 95 % interval of a mean, by bootstrap (Efron 1979, percentiles)."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def score(
    found: Float[Tensor, "1 3 h w"], wanted: Float[Tensor, "1 3 h w"], align: Align
) -> tuple[float, float, float]:
    """PSNR, SSIM and 3-D SSIM after the alignment."""
    inside = None
    if align == "shift":
        found, _ = best_shift(found, wanted)
        found, wanted = found[..., INNER, INNER], wanted[..., INNER, INNER]
    elif align in ("homography", "realblur"):
        if align == "realblur":
            found = found * ((found * wanted).sum() / found.square().sum().clamp(min=1e-12))
        found, inside = best_homography(found, wanted)
    measures = (psnr, ssim, ssim_3d)
    first, second, third = (measure(found, wanted, inside).item() for measure in measures)
    return first, second, third


def best_homography(
    found: Float[Tensor, "1 3 h w"], wanted: Float[Tensor, "1 3 h w"]
) -> tuple[Float[Tensor, "1 3 h w"], Bool[Tensor, "1 1 h w"]]:
    """Warp an image by the homography that correlates it best with another one.

    Source: the evaluation of Rim et al., "Real-World Blur Dataset", ECCV 2020: OpenCV's
    enhanced correlation coefficient on gray values, at most 100 iterations, filter of 5.
    If it finds no homography, the image is not moved.

    Returns:
        The warped image, and a mask of the pixels that came from inside the image.
    """
    image, target = (i[0].permute(1, 2, 0).numpy() for i in (found, wanted))
    gray, gray_target = (cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in (image, target))
    start = np.eye(3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0.0)
    everywhere = np.ones(gray.shape, dtype=np.uint8)
    try:
        _, matrix = cv2.findTransformECC(
            gray_target, gray, start, cv2.MOTION_HOMOGRAPHY, stop, everywhere, 5
        )
    except cv2.error:
        matrix = start
    size = (image.shape[1], image.shape[0])
    warp = cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(
        image, matrix, size, flags=warp | cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    ones = np.ones(image.shape[:2], dtype=np.float32)
    inside = cv2.warpPerspective(ones, matrix, size, flags=warp | cv2.INTER_NEAREST) > 0.5
    return torch.from_numpy(moved).permute(2, 0, 1)[None], torch.from_numpy(inside)[None, None]


def best_shift(
    found: Float[Tensor, "1 3 h w"], wanted: Float[Tensor, "1 3 h w"]
) -> tuple[Float[Tensor, "1 3 h w"], tuple[float, float]]:
    """Move an image by the shift that brings it closest to another one.

    Tries all whole pixels up to `LARGEST_SHIFT` by squared differences in gray, then halves,
    quarters and eighths around the best. Interpolation is bicubic.

    Returns:
        The moved image, and (down, right) in pixels.
    """
    images = (found[0].mean(dim=0).numpy(), wanted[0].mean(dim=0).numpy()[INNER, INNER].copy())
    reach = np.s_[EDGE - LARGEST_SHIFT : EDGE + LARGEST_SHIFT + 1]
    differences = cv2.matchTemplate(*images, cv2.TM_SQDIFF)[reach, reach]
    place = np.unravel_index(int(differences.argmin()), differences.shape)
    down, right = (float(LARGEST_SHIFT - axis) for axis in place)
    for step in (1.0, 0.5, 0.25, 0.125):
        around = [(down + y * step, right + x * step) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        inside = [s for s in around if max(map(abs, s)) <= LARGEST_SHIFT]
        down, right = max(inside, key=lambda shift: _likeness(_move(found, *shift), wanted))
    return _move(found, down, right), (down, right)


def _likeness(found: Float[Tensor, "1 3 h w"], wanted: Float[Tensor, "1 3 h w"]) -> float:
    return psnr(found[..., INNER, INNER], wanted[..., INNER, INNER]).item()


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
