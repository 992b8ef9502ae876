"""What test_ranks.py runs in two processes: `torchrun shared_run.py FOLDER PHOTOS`.

FOLDER/two        all stages
FOLDER/two_fused  a first stage with candidates, from FOLDER/crops
FOLDER/parts      a first stage that one process is told to interrupt
FOLDER/ended.N    how it ended on rank N
FOLDER/failed     a run of the command line; rank 1 fails in its second step
"""

import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import interpolate

from blurdm_cli.commands.app import main
from blurdm_cli.errors import StepTooLarge
from blurdm_cli.networks.unet import SIZES
from blurdm_cli.physics.diffusion import schedule
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec, ScheduleSpec
from blurdm_cli.training import ranks, run, stages, trainer
from blurdm_cli.training.candidate_crops import CandidateCrops
from blurdm_cli.training.pairs import Batch, Mixture, Order, PairCrops, Source
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.recipe import Recipe
from blurdm_cli.training.synthesis import Synthesis
from blurdm_cli.training.trainer import Machine

INTERRUPTED = 2
"""Step in which rank 1 is interrupted."""

SMALL: dict[str, Any] = {"steps": 4, "batch": 4, "crop": 16, "evaluate_every": 2, "seed": 2}


class Asked:
    """A source that calls a function before each order of training crops."""

    def __init__(self, source: Source, tell: Any) -> None:
        self.source, self.tell = source, tell

    def draw(self, order: Order) -> Batch:
        if order.only is not None:
            self.tell()
        return self.source.draw(order)


def mixture() -> Source:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(3, 3, 24, 28, generator=generator)
    large = interpolate(noise, scale_factor=4, mode="bicubic").clamp(0, 1)
    first, second, third = (large * 255).byte()
    photos = PhotoCrops([first, second, third], Synthesis())
    return Mixture([(2.0, photos), (1.0, PairCrops([(second, first)]))])


def recipes() -> dict[str, Recipe]:
    return {name: kind(**SMALL) for name, kind in stages.RECIPES.items()}


def train(source: Source, output: Path, *names: str, resume: bool = False) -> bool:
    """Train some stages of a small model."""
    torch.set_num_threads(1)
    fused = isinstance(source, CandidateCrops)
    values = schedule("released", steps=2)
    prior = PriorSpec("blurdm", 16, schedule=ScheduleSpec("2", values.alpha, values.beta_bar))
    spec = ModelSpec(
        "small", BackboneSpec("unet", dict(SIZES["tiny"])), prior, multiple_of=8, candidates=fused
    )
    chosen = {name: recipe for name, recipe in recipes().items() if name in names}
    crops = source.draw(Order(2, 16))
    return stages.train(chosen, spec, source, crops, output, Machine(resume=resume))


def train_all(folder: Path) -> None:
    """Train all stages, one with candidates, and one that is interrupted."""
    train(mixture(), folder / "two", *stages.RECIPES)
    train(CandidateCrops([folder / "crops"]), folder / "two_fused", "stage1")
    steps = count(1)

    def interrupt() -> None:
        if next(steps) == INTERRUPTED and ranks.rank() == 1:
            signal.raise_signal(signal.SIGINT)

    try:
        train(Asked(mixture(), interrupt), folder / "parts", "stage1")
    except KeyboardInterrupt as error:
        (folder / f"ended.{ranks.rank()}").write_text(type(error).__name__)


def fail(folder: Path, photos: str) -> None:
    """Run the command line; rank 1 fails."""
    step, steps = trainer.Trainer._step, count(1)

    def failing(self: trainer.Trainer, *given: Any) -> torch.Tensor:
        if next(steps) == 2 and ranks.rank() == 1:
            raise StepTooLarge("the card of rank 1", 2, 32)
        return step(self, *given)

    trainer.Trainer._step = failing  # type: ignore[method-assign, assignment]
    words = "train stage1 --size tiny --prior-channels 16 --crop 32 --batch 4 --steps 9"
    sys.argv = ["blurdm", *words.split(), "--data", photos, "-o", str(folder / "failed")]
    main()


if __name__ == "__main__":
    run.find_spec = lambda name: None  # type: ignore[assignment]  # curves are not drawn
    trainer.WATCHED = 3
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ranks.joined():
        train_all(Path(sys.argv[1]))
    fail(Path(sys.argv[1]), sys.argv[2])
