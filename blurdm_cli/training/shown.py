"""The pairs of an evaluation that are shown as pictures: those of smallest and of largest gain."""

from bisect import insort
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from blurdm_cli.photo.comparison import RGB8
from blurdm_cli.training.evaluation import Scores
from blurdm_cli.training.layouts import PairFiles


@dataclass(frozen=True, eq=False)
class Shown:
    """A pair, its restored photo and its scores."""

    scores: Scores
    blurred: RGB8
    restored: RGB8
    sharp: RGB8


class Extremes:
    """Keeps the restored photos of the pairs of smallest and of largest gain, half of each."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._kept: list[tuple[float, PairFiles, Scores, UInt8[Tensor, "3 h w"]]] = []

    def add(self, file: PairFiles, scores: Scores, restored: UInt8[Tensor, "3 h w"]) -> None:
        insort(self._kept, (scores.gain, file, scores, restored), key=lambda entry: entry[0])
        if len(self._kept) > self.count:
            del self._kept[(self.count + 1) // 2]

    def ranked(self) -> list[Shown]:
        """Read the pairs again, in ascending order of gain."""
        return [
            Shown(scores, *(_rows_first(photo) for photo in (blurred, restored, sharp)))
            for _, file, scores, restored in self._kept
            for blurred, sharp in [file.read()]
        ]


def _rows_first(photo: UInt8[Tensor, "3 h w"]) -> RGB8:
    return np.ascontiguousarray(photo.permute(1, 2, 0).numpy())
