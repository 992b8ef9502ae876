"""blurdm train candidates: prepare crops with candidates."""

from __future__ import annotations

from pathlib import Path

from blurdm_cli.commands.console import hold_progress, say, warn
from blurdm_cli.errors import UsageError


def prepare_candidates(
    data: list[Path],
    frames: Path | None,
    objects: Path | None,
    output: Path,
    count: int,
    seed: int,
    jobs: int,
    deadline: float,
) -> None:
    """Prepare the missing crops with candidates."""
    import torch

    from blurdm_cli.machine import available_cores
    from blurdm_cli.training import ranks
    from blurdm_cli.training.candidate_run import make_shards, read_objects
    from blurdm_cli.training.data import read_sharp
    from blurdm_cli.training.pairs import read_frames
    from blurdm_cli.training.scenes import CandidateRecipe

    if not data:
        raise UsageError("There are no photos to blur", hint="Add sharp photos: --data FOLDER")
    if ranks.count() > 1:
        raise UsageError(
            "Crops are prepared by one command, which uses all cores",
            hint="Run it without torchrun; --jobs is the number of its processes",
        )
    photos = []
    for folder in data:
        sharp, left_out = read_sharp(folder, output)
        photos += sharp
        for line in left_out:
            warn(f"left out: {line}")
    with hold_progress("crops") as advance:
        done = make_shards(
            output,
            photos,
            read_frames(frames, torch.device("cpu")) if frames else None,
            read_objects(objects) if objects else [],
            CandidateRecipe(),
            count=count,
            seed=seed,
            jobs=jobs or available_cores(),
            deadline=deadline,
            report=lambda made: advance(min(made / count, 1), f"{made} of {count} crops"),
        )
    stopped = "stopped at the time limit; continue with the same command"
    say(f"done: {output}" if done else f"{stopped}: {output}")
