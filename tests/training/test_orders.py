from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from blurdm_cli.training.pairs import FrameCrops, Mixture, Order, PairCrops, Source
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.synthesis import Synthesis
from tests.training.small import prepared_crops

Photos = list[torch.Tensor]


def of_photos(photos: Photos, _: Path) -> Source:
    return PhotoCrops(photos, Synthesis())


def of_pairs(photos: Photos, _: Path) -> Source:
    return PairCrops([(photos[0], photos[1]), (photos[1], photos[2])])


def of_frames(photos: Photos, _: Path) -> Source:
    return FrameCrops(torch.stack(photos * 5))


def of_all(photos: Photos, folder: Path) -> Source:
    kinds = (of_photos, of_pairs, of_frames)
    return Mixture([(1.0, kind(photos, folder)) for kind in kinds])


def of_candidates(_: Photos, folder: Path) -> Source:
    return prepared_crops(folder)


SOURCES = (of_photos, of_pairs, of_frames, of_all, of_candidates)


@pytest.mark.parametrize("source_of", SOURCES)
@pytest.mark.parametrize("steps", [0, 2])
def test_crops_that_are_drawn_alone_are_what_they_are_among_all(
    photos: Photos, tmp_path: Path, source_of: Callable[[Photos, Path], Source], steps: int
) -> None:
    order = Order(8, 32, seed=3, first=16, partial_steps=steps)
    whole = source_of(photos, tmp_path).draw(order)
    for only in ((2, 3), (5,), (0, 1, 6, 7)):
        few = source_of(photos, tmp_path).draw(replace(order, only=only))
        assert len(few.tensors()) == len(whole.tensors())
        for found, wanted in zip(few.tensors(), whole.pick(np.array(only)).tensors(), strict=True):
            # blurring fewer at once rounds differently, by at most one of 256 values
            torch.testing.assert_close(found, wanted, atol=1.01 / 255, rtol=0)
            assert (found - wanted).abs().mean() < 1e-4
