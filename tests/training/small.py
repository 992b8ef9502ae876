"""Short recipes, a source of the same crops, and a few crops with candidates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from blurdm_cli.training import stages
from blurdm_cli.training.candidate_crops import CandidateCrops
from blurdm_cli.training.candidate_store import Prepared, shard_path, write_shard
from blurdm_cli.training.pairs import Batch, Order
from blurdm_cli.training.recipe import Recipe

SMALL: dict[str, Any] = {"batch": 2, "crop": 32, "evaluate_every": 1000}


class Same:
    """A source that always gives one batch."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def draw(self, order: Order) -> Batch:
        return self.batch if order.partial_steps else replace(self.batch, partial=None)


def prepared_crops(folder: Path) -> CandidateCrops:
    """Crops of 40 pixels of noise, some of them black: of those, another one is drawn."""
    rng = np.random.default_rng(0)

    def prepared() -> Prepared:
        blurred, planes, sharp = (
            rng.integers(0, 256, (count, 40, 40), dtype=np.uint8) for count in (3, 8, 3)
        )
        if rng.random() < 0.5:
            sharp[:] = 0
        sure, path = rng.random(2, np.float32), rng.random((41, 41)).astype(np.float16)
        kernels = np.zeros((2, 5, 5), np.float16)
        return Prepared(blurred, planes, sharp, kernels, sure, path, np.array(1, np.float32))

    write_shard([prepared() for _ in range(6)], shard_path(folder, 0))
    return CandidateCrops([folder])


def recipes(steps: int) -> dict[str, Recipe]:
    return {name: kind(steps=steps, **SMALL) for name, kind in stages.RECIPES.items()}
