"""Crops of what was prepared with candidates: small squares of it, turned, colours exchanged."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from blurdm_cli.errors import InputError
from blurdm_cli.machine import available_cores
from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.training.candidate_store import Prepared, Shard, shards_of
from blurdm_cli.training.pairs import Batch, Order, random_turn

TRIES = 4
"""Squares that are looked at for one with something in it."""

DETAIL = 8.0
"""Standard deviation, in steps of 8 bits, of a square that is worth learning from."""


FAVOUR, ENOUGH = 6.0, 2.0
"""Crops with a candidate that gains `ENOUGH` dB or more are drawn 1 + `FAVOUR` times as often as
those whose motion was not found, of which there are many."""


class CandidateCrops:
    """Draws training crops from folders of shards."""

    def __init__(self, folders: Sequence[Path], device: torch.device | str = "cpu") -> None:
        """Open all shards that there are now.

        Raises:
            InputError: there is none in a folder.
        """
        self.device = torch.device(device)
        self.places: list[tuple[Path, int]] = []
        gains: list[np.ndarray] = []
        for folder in folders:
            paths = shards_of(folder)
            if not paths:
                raise InputError(
                    f"There are no prepared crops in {folder}",
                    hint="blurdm train candidates --data PHOTOS makes them",
                )
            for path in paths:
                shard = Shard(path)
                gains.append(shard.gains)
                self.places += [(path, number) for number in range(shard.count)]
        weights = 1 + FAVOUR * np.clip(np.concatenate(gains) / ENOUGH, 0, 1)
        self._cumulated = np.cumsum(weights)
        self._open = lru_cache(256)(Shard)

    @property
    def count(self) -> int:
        """How many prepared crops there are."""
        return len(self.places)

    def draw(self, order: Order) -> Batch:
        rng = order.rng()
        chosen = [self._choose(rng, order.side) for _ in range(order.count)]
        images, motions = zip(*(chosen[number]() for number in order.numbers), strict=True)
        planes = torch.stack(images).to(self.device)
        return Batch(
            planes[:, :3],
            planes[:, 3:6],
            motion=torch.stack(motions).to(self.device),
            candidates=planes[:, 6:],
        )

    def _choose(
        self, rng: np.random.Generator, side: int
    ) -> Callable[[], tuple[Float[Tensor, "16 h w"], Float[Tensor, "n n"]]]:
        """Choose a square, and return what reads its motion and its blurred, sharp and candidate
        planes.
        """
        for _ in range(TRIES):
            drawn = rng.random() * self._cumulated[-1]
            path, number = self.places[int(np.searchsorted(self._cumulated, drawn, "right"))]
            shard = self._open(path)
            top = int(rng.integers(shard.height - side + 1))
            left = int(rng.integers(shard.width - side + 1))
            if shard.sharp(number, top, left, side).std() > DETAIL:
                break
        turn, colours = random_turn(rng), rng.permutation(3)

        def make() -> tuple[Float[Tensor, "16 h w"], Float[Tensor, "n n"]]:
            prepared = shard.read(number, top, left, side)
            planes = torch.from_numpy(_stacked(prepared, colours))
            motion = torch.from_numpy(prepared.path.astype(np.float32))
            return turn(planes), turn(motion)

        return make


def candidates_of(photo: UInt8[Tensor, "3 h w"]) -> Float[Tensor, "10 h w"]:
    """Look for a photo's motion, and make its candidates."""
    pixels = np.ascontiguousarray(photo.permute(1, 2, 0).numpy()).astype(np.float32) / 255
    motion = find_motion(pixels, threads=available_cores())
    return torch.from_numpy(make_candidates(pixels, motion))


def _stacked(prepared: Prepared, colours: np.ndarray) -> np.ndarray:
    """All planes in [0, 1], in the order blurred, sharp, candidates."""
    planes = prepared.planes
    images = [prepared.blurred, prepared.sharp, planes[:3], planes[3:6]]
    whole = np.concatenate([*(image[colours] for image in images), planes[6:]])
    scaled = whole.astype(np.float32) / 255
    sure = np.broadcast_to(prepared.confidence[:, None, None], (2, *scaled.shape[1:]))
    return np.concatenate([scaled[:12], sure, scaled[12:]])
