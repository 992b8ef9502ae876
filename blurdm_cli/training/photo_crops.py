"""Crops of sharp photos in areas with detail, blurred anew each time; see `synthesis`.

An exposure takes most of the time of a crop, so each exposure is used several times.
"""

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from blurdm_cli.errors import TrainingError
from blurdm_cli.training.pairs import Batch, Order, random_turn
from blurdm_cli.training.synthesis import (
    MARGIN,
    Exposure,
    Shot,
    Synthesis,
    blur,
    develop,
    random_shot,
)

CELL = 32
"""Side, in pixels, of the squares whose sharpness is measured."""

ROUND = 256
"""Number of exposures that are kept for reuse."""

REUSE = 4
"""Number of uses of each exposure, rotated and developed anew each time."""


class PhotoCrops:
    """Crops of sharp photos, blurred anew each time."""

    def __init__(
        self,
        photos: Sequence[UInt8[Tensor, "3 _ _"]],
        recipe: Synthesis,
        device: torch.device | str = "cpu",
    ) -> None:
        """Copy the photos to the device.

        Raises:
            TrainingError: no photo has any detail.
        """
        self.photos = [photo.to(device) for photo in photos]
        self.recipe = recipe
        cells = [_detail(photo) for photo in self.photos]
        threshold = np.quantile(np.concatenate([cell.ravel() for cell in cells]), 0.75)
        if threshold == 0:
            raise TrainingError("The photos have no detail to learn from")
        # a cell with half of the threshold's detail is drawn a quarter as often
        weights = [np.minimum(cell / threshold, 1) ** 2 + 0.01 for cell in cells]
        self._weights = weights
        self._first = np.cumsum([0] + [weight.size for weight in weights])
        self._cumulated: dict[int, np.ndarray] = {}
        self._exposures: dict[tuple[float, ...], Exposure] = {}
        self._one_at_a_time = Lock()

    def too_small(self, crop: int) -> int:
        """Number of photos that are too small for crops of this size and are not used for them.

        Raises:
            TrainingError: all are.
        """
        cumulated = self._cells(crop + 2 * MARGIN)
        ends = cumulated[self._first[1:] - 1]
        return int((np.diff(ends, prepend=0) == 0).sum())

    def draw(self, order: Order) -> Batch:
        with self._one_at_a_time:
            exposures = self._exposed(order)
        return self._photograph(exposures, order)

    def _exposed(self, order: Order) -> list[Exposure]:
        """The exposures for an order's crops.

        A round of `ROUND` exposures is used `REUSE` times before the next round.
        """
        kind = (order.side, max(order.partial_steps, 1), order.reach)
        numbers = [order.first + number for number in order.numbers]
        places = [
            (order.seed, number // (ROUND * REUSE), number % ROUND, *kind) for number in numbers
        ]
        missing = list(dict.fromkeys(p for p in places if p not in self._exposures))
        if missing:
            rounds = {place[:2] for place in places}
            self._exposures = {p: e for p, e in self._exposures.items() if p[:2] in rounds}
            rngs = [np.random.default_rng(place[:3]) for place in missing]
            made = self._expose(rngs, *kind)
            self._exposures.update(zip(missing, made, strict=True))
        return [self._exposures[place] for place in places]

    def scene(self, rng: np.random.Generator, side: int) -> Float[Tensor, "3 {side} {side}"]:
        """Cut a square with detail out of a photo that is at least as large; sRGB-encoded."""
        cumulated = self._cells(side)
        cell = int(np.searchsorted(cumulated, rng.random() * cumulated[-1]))
        index = int(np.searchsorted(self._first, cell, side="right")) - 1
        row, column = divmod(cell - int(self._first[index]), self._weights[index].shape[1])
        photo = self.photos[index]
        height, width = photo.shape[1:]
        extent = side
        if rng.random() < self.recipe.shrink_share:
            extent = min(int(side * rng.uniform(1, 2)), height, width)
        centre = np.array([row, column]) * CELL + rng.integers(CELL, size=2)
        top = int(np.clip(centre[0] - extent // 2, 0, height - extent))
        left = int(np.clip(centre[1] - extent // 2, 0, width - extent))
        scene = photo[:, top : top + extent, left : left + extent] / 255
        if extent != side:
            scene = interpolate(
                scene[None], size=(side, side), mode="bilinear", antialias=True
            ).squeeze(0)
        return scene

    def _cells(self, side: int) -> Float[np.ndarray, "cells"]:
        """Cumulative weights of all cells; those of photos smaller than `side` are 0.

        Small photos are not enlarged: an enlarged photo has no sharp detail to learn from.

        Raises:
            TrainingError: all photos are too small.
        """
        if side not in self._cumulated:
            extents = [min(photo.shape[1:]) for photo in self.photos]
            if max(extents) < side:
                raise TrainingError(
                    f"All photos are too small for crops of {side - 2 * MARGIN} pixels, which "
                    f"need {side} with the margin around them",
                    hint=_smaller(max(extents) - 2 * MARGIN),
                )
            weights = zip(self._weights, extents, strict=True)
            large = [weight.ravel() * (extent >= side) for weight, extent in weights]
            self._cumulated[side] = np.cumsum(np.concatenate(large))
        return self._cumulated[side]

    def _expose(
        self, rngs: Sequence[np.random.Generator], side: int, steps: int, reach: float
    ) -> list[Exposure]:
        """Blur a scene for each generator; the moving object in front is a piece of another."""
        extent = side + 2 * MARGIN

        def shot(rng: np.random.Generator) -> Shot:
            return random_shot(rng, self.recipe, lambda: self.scene(rng, extent), reach)

        return blur([shot(rng) for rng in rngs], steps)

    def _photograph(self, exposures: Sequence[Exposure], order: Order) -> Batch:
        """Rotate the exposures and develop them."""
        rng = order.rng()
        all_turns = [random_turn(rng) for _ in range(order.count)]
        turns = [all_turns[number] for number in order.numbers]
        turned = [turn(exposure.light) for turn, exposure in zip(turns, exposures, strict=True)]
        motion = [turn(exposure.motion) for turn, exposure in zip(turns, exposures, strict=True)]
        light = torch.stack(turned, dim=1)
        batch = develop(
            light,
            self.recipe,
            rng,
            keep_partial=order.partial_steps > 0,
            among=(order.count, order.numbers),
        )
        return replace(batch, motion=torch.stack(motion))


def _smaller(largest: int) -> str:
    """Hint for photos that are too small; `largest` is the side of the largest possible crop."""
    if largest < CELL:
        return "Train on larger photos"
    return f"Train on larger photos, or on smaller crops: --crop {largest // CELL * CELL}"


def _detail(photo: UInt8[Tensor, "3 h w"]) -> np.ndarray:
    """Mean absolute Laplacian of each whole cell of a photo, in steps of 8 bits."""
    gray = pad(photo.float().mean(dim=0)[None, None], (1, 1, 1, 1), mode="replicate")
    across = gray[:, :, 1:-1, :-2] + gray[:, :, 1:-1, 2:]
    along = gray[:, :, :-2, 1:-1] + gray[:, :, 2:, 1:-1]
    edges = (across + along - 4 * gray[:, :, 1:-1, 1:-1]).abs()
    return avg_pool2d(edges, CELL)[0, 0].cpu().numpy()
