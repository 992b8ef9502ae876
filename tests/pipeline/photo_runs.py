"""Runs over photos, with a deblurrer that does to the files what the world does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from blurdm_cli.engine.restored import Restored
from blurdm_cli.files.inputs import gather
from blurdm_cli.files.journal import Journal, Past, open_journal
from blurdm_cli.files.naming import Naming, plan_outputs
from blurdm_cli.pipeline.destinations import Destinations
from blurdm_cli.pipeline.options import PhotoOptions, RunOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.photos import PhotoRun
from blurdm_cli.pipeline.reporter import Silent
from blurdm_cli.pipeline.run import Run
from tests.clips import fake_deblurrer

World = Callable[[int], object]


def run(
    folder: Path,
    world: World = lambda number: None,
    in_place: bool = False,
    journal: bool = True,
    **options: Any,
) -> list[Outcome]:
    """Brighten the photos of a folder by 7, into "out" beside it; the world acts at each photo."""
    count = iter(range(100))

    def restore(pixels: np.ndarray, *_: object) -> Restored:
        world(next(count))
        return Restored(pixels + np.array(7, pixels.dtype))

    deblurrer = fake_deblurrer()
    deblurrer.restore = restore  # type: ignore[method-assign]
    naming = Naming(in_place=in_place)
    found = Past().without_results(gather([folder]))
    jobs = plan_outputs(found, None if in_place else folder.parent / "out", naming)
    policy = {name: options.pop(name) for name in ("on_exists", "resume") if name in options}
    photo = {name: options.pop(name) for name in ("compare", "only_blurry") if name in options}
    asked = RunOptions(naming=naming, **options)
    outcomes: list[Outcome] = []
    home = jobs[0].home or folder
    with open_journal(home, "settings") as opened:
        journals: dict[Path | None, Journal] = {home: opened} if journal else {}
        places = Destinations(jobs, journals, in_place=in_place, **policy)
        run = Run(deblurrer, asked, places, journals, Silent(), outcomes.append)
        PhotoRun(run, PhotoOptions(**photo))(jobs)
    return outcomes


def statuses(outcomes: list[Outcome]) -> str:
    """A letter each: d(one), s(kipped), f(ailed), p(lanned)."""
    return "".join(outcome.status[0] for outcome in outcomes)
