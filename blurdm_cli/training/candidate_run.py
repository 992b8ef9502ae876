"""Making training crops with candidates: shard by shard, on all cores, resumed where it ended."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.multiprocessing
from jaxtyping import UInt8
from torch import Tensor

from blurdm_cli.errors import InputError, TrainingError
from blurdm_cli.files.atomic import output_error
from blurdm_cli.files.inputs import Search, find_files
from blurdm_cli.photo.photo import read_photo
from blurdm_cli.training.candidate_maker import GROUP, CandidateMaker
from blurdm_cli.training.candidate_store import SHARD, shard_path, write_shard
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.run import changes
from blurdm_cli.training.scenes import CandidateRecipe, Scenes

MADE = "made.json"

VERSION = 18
"""Of what the crops depend on beside the recipe: the estimator and the deconvolution."""

Photos = Sequence[UInt8[Tensor, "3 _ _"]]
Objects = list[UInt8[np.ndarray, "_ _ 4"]]


def make_shards(
    folder: Path,
    photos: Photos,
    frames: UInt8[Tensor, "n 3 h w"] | None,
    objects: Objects,
    recipe: CandidateRecipe,
    *,
    count: int,
    seed: int = 0,
    jobs: int = 1,
    deadline: float = float("inf"),
    report: Callable[[int], None] = lambda done: None,
) -> bool:
    """Make the shards that are missing.

    Args:
        folder: where they lie; made where it is missing.
        photos: sharp photos.
        frames: consecutive sharp frames, if any.
        objects: cut-outs of things that move.
        recipe: what the crops are like.
        count: crops in all.
        seed: of all of them; each depends on its number alone.
        jobs: processes side by side.
        deadline: when `time.monotonic()` reaches this, no other shard is begun.
        report: told how many crops there are.

    Returns:
        Whether there are as many as were asked for.

    Raises:
        TrainingError: the folder holds crops of another recipe.
        OutputError: the folder cannot be written to.
    """
    _keep_recipe(folder, {"version": VERSION, "seed": seed, **asdict(recipe)})
    numbers = range(-(-count // SHARD))
    missing = [number for number in numbers if not shard_path(folder, number).exists()]
    done = len(numbers) - len(missing)
    report(done * SHARD)
    given = (_shared(photos), [photo.shape for photo in photos], frames, objects, recipe, seed)
    if jobs == 1:
        _begin(*given)
        for number in missing:
            if time.monotonic() >= deadline:
                return False
            _make(folder, number)
            done += 1
            report(done * SHARD)
        return True
    context = torch.multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, given) as pool:
        for _ in _side_by_side(pool, folder, missing, jobs, deadline):
            done += 1
            report(done * SHARD)
    return done == len(numbers)


def read_objects(folder: Path) -> Objects:
    """Read the cut-outs in a folder: photos with transparency.

    Raises:
        InputError: there is none.
    """
    photos = [read_photo(path) for path in find_files(folder, Search())]
    cut_outs = [
        np.dstack([photo.rgb(), photo.alpha])
        for photo in photos
        if photo.alpha is not None and photo.pixels.dtype == np.uint8
    ]
    if not cut_outs:
        raise InputError(
            f"There is no cut-out in {folder}", hint="Cut-outs are photos with transparency"
        )
    return cut_outs


def _side_by_side(
    pool: Executor, folder: Path, missing: list[int], jobs: int, deadline: float
) -> Iterator[None]:
    """Make shards, no more begun than there are processes; an item for each that is done."""
    waiting, running = iter(missing), set[Future[None]]()
    try:
        while True:
            while len(running) < jobs and time.monotonic() < deadline:
                number = next(waiting, None)
                if number is None:
                    break
                running.add(pool.submit(_make, folder, number))
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                yield
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _keep_recipe(folder: Path, made: dict[str, Any]) -> None:
    """Write down with what the crops are made, or check that it is the same."""
    path = folder / MADE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(json.dumps(made, indent=2) + "\n")
    except OSError as error:
        raise output_error(folder, error) from error
    if changed := changes(made, json.loads(path.read_text())):
        raise TrainingError(
            f"{folder} holds crops of another recipe: {', '.join(changed)}",
            hint="Name another folder, or remove this one",
        )


def _shared(photos: Photos) -> UInt8[Tensor, " values"]:
    """All photos in one piece of memory that processes can share."""
    return torch.cat([photo.flatten() for photo in photos]).share_memory_()


_MAKERS: list[CandidateMaker] = []
"""This process's, once it has begun."""


def _begin(
    values: UInt8[Tensor, " values"],
    shapes: Sequence[torch.Size],
    frames: UInt8[Tensor, "n 3 h w"] | None,
    objects: Objects,
    recipe: CandidateRecipe,
    seed: int,
) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parts = torch.split(values, [shape.numel() for shape in shapes])
    photos = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
    crops = PhotoCrops(photos, recipe.develop)
    _MAKERS[:] = [CandidateMaker(Scenes(crops, frames, objects, recipe), seed)]


def _make(folder: Path, number: int) -> None:
    groups = range(number * SHARD // GROUP, (number + 1) * SHARD // GROUP)
    crops = [crop for group in groups for crop in _MAKERS[0].make_group(group)]
    write_shard(crops, shard_path(folder, number))
