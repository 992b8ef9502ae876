"""blurdm train: train a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from blurdm_cli.commands import train_options as options
from blurdm_cli.commands.console import hold_progress, say, warn
from blurdm_cli.commands.model_options import AskedPrior, Encoder, new_spec, spec_from
from blurdm_cli.commands.train_candidates import prepare_candidates
from blurdm_cli.commands.train_recipes import recipes_for
from blurdm_cli.errors import UsageError

if TYPE_CHECKING:
    from blurdm_cli.training.recipe import Progress
    from blurdm_cli.training.trainer import Machine


def train(
    stage: options.WhichStage,
    output: options.Output,
    data: options.Data = None,
    candidates: options.Candidates = None,
    objects: options.Objects = None,
    count: options.Count = 20_000,
    jobs: options.Jobs = 0,
    frames: options.Frames = None,
    frames_share: options.FramesShare = None,
    val: options.Validation = None,
    name: options.Name = "my-model",
    backbone: options.Backbone = None,
    size: options.Size = None,
    recipe: options.WhichRecipe = options.RecipeOf.own,
    prior: options.PriorKind = None,
    prior_channels: options.PriorChannels = None,
    encoder: options.EncoderKind = None,
    schedule: options.Schedule = None,
    start: options.From = None,
    steps: options.Steps = 0,
    duration: options.Duration = 0,
    batch: options.Batch = 0,
    crop: options.Crop = 0,
    learning_rate: options.LearningRate = 0,
    prior_rate: options.PriorRate = 0,
    motion_weight: options.MotionWeight = None,
    step_weight: options.StepWeight = 0,
    evaluate_every: options.EvaluateEvery = 2000,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    compiled: options.Compiled = False,
    time_limit: options.TimeLimit = 0,
    resume: options.Resume = False,
) -> None:
    """Train a model on sharp photos, which are blurred on the fly, or on pairs.

    The model is in OUTPUT/model when stage 3 ends or reaches the time limit.
    """
    import time
    from dataclasses import replace

    from blurdm_cli import zoo
    from blurdm_cli.training import ranks, stages
    from blurdm_cli.training.data import read_data

    limit = time.monotonic() + time_limit if time_limit else math.inf
    if stage is options.Stage.candidates:
        prepare_candidates(data or [], frames, objects, output, count, seed, jobs, limit)
        return
    if candidates and (data or frames):
        raise UsageError(
            "--candidates cannot be combined with --data or --frames",
            hint="`blurdm train candidates` makes crops from those",
        )
    if not candidates and not data:
        raise UsageError("There is no training data", hint="Add photos: --data FOLDER")
    if steps and duration:
        raise UsageError("--steps and --duration are both given", hint="Leave out one of them")
    if frames_share is not None and not frames:
        raise UsageError("--frames-share needs --frames", hint="Add --frames")
    found = zoo.find(start) if start else None
    asked = AskedPrior(prior, prior_channels, encoder, schedule)
    if found:
        spec = spec_from(found.spec, backbone, size, asked)
    else:
        usual = Encoder.paper if recipe is options.RecipeOf.paper else Encoder.spectral
        spec = new_spec(backbone or "unet", size, usual, asked)
    spec = replace(spec, candidates=spec.candidates or bool(candidates))
    if spec.candidates and not candidates:
        raise UsageError(
            f"{start} trains on crops with candidates",
            hint="Make them with `blurdm train candidates`, then use --candidates FOLDER",
        )
    machine = _machine(device, compiled, limit, resume)
    given = {"batch": batch, "crop": crop, "learning_rate": learning_rate, "prior_rate": prior_rate}
    changed = {key: value for key, value in given.items() if value}
    changed |= {"evaluate_every": evaluate_every, "seed": seed}
    if motion_weight is not None:
        changed["motion_weight"] = motion_weight
    recipes = recipes_for(stage, spec, recipe, changed, step_weight, steps, duration)
    read = read_data(
        data or [],
        {each.crop for each in recipes.values()},
        machine.device,
        frames=frames,
        frames_share=0.05 if frames_share is None else frames_share,
        val=val if ranks.rank() == 0 else None,  # which evaluates alone
        skip=output,
        candidates=candidates or [],
    )
    for line in read.left_out:
        warn(f"left out: {line}")
    if step_weight and not read.makes_blur:
        raise UsageError(
            "--step-weight needs sharp photos: pairs do not show how their blur formed",
            hint="Leave it out, or add a folder of sharp photos: --data PHOTOS",
        )
    say(f"data: {'; '.join(read.described)}; evaluated on {read.evaluated}")
    history: dict[str, Any] = {"data": read.described, "evaluated": read.evaluated}
    if found:
        history["from"] = found.spec.training
    spec = replace(spec, name=name, training=history)
    with _shown(name) as show:
        done = stages.train(
            recipes, spec, read.source, read.validation, output, machine, start=found, report=show
        )
    stopped = "stopped at the time limit; continue with --resume"
    say(f"done: {output}" if done else f"{stopped}: {output}")


@contextmanager
def _shown(name: str) -> Iterator[Callable[[str, Progress], None]]:
    """Show the progress of the stages: a line per evaluation, and a bar."""
    with hold_progress(name) as advance:

        def show(stage: str, progress: Progress) -> None:
            if progress.psnr:
                before, after = progress.psnr
                say(f"{stage} step {progress.step}: PSNR {before:.2f} -> {after:.2f} dB")
            else:
                note = f"{stage} step {progress.step} loss {progress.loss:.4f}"
                advance(progress.fraction, f"{note}, {progress.rate:.3g} crops/s")

        yield show


def _machine(device: str, compiled: bool, deadline: float, resume: bool) -> Machine:
    import torch

    from blurdm_cli.engine.torch_runtime import choose_device, has_fast_bf16
    from blurdm_cli.machine import available_cores
    from blurdm_cli.training import ranks
    from blurdm_cli.training.trainer import Machine

    where = choose_device(ranks.device_of(device))
    if where.type == "cuda" and ranks.count() > 1:
        torch.cuda.set_device(where)
    torch.set_num_threads(max(available_cores() // ranks.beside(), 1))
    torch.backends.cudnn.benchmark = True  # all crops have the same size
    return Machine(where, has_fast_bf16(where), compiled, deadline, resume)
