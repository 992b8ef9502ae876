"""blurdm train: train a model."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands.console import hold_progress, say, warn
from blurdm_cli.commands.model_options import AskedPrior, Encoder, Prior, new_spec, spec_from
from blurdm_cli.errors import UsageError

if TYPE_CHECKING:
    from blurdm_cli.spec import ModelSpec
    from blurdm_cli.training.recipe import Progress, Recipe
    from blurdm_cli.training.trainer import Machine


class Stage(StrEnum):
    """Stage to train."""

    stage1 = "stage1"
    stage2 = "stage2"
    stage3 = "stage3"
    all = "all"
    candidates = "candidates"


class RecipeOf(StrEnum):
    """Origin of the recipe."""

    own = "own"
    paper = "paper"


def train(
    stage: Annotated[
        Stage,
        typer.Argument(
            help="One stage, or all three in order. candidates prepares crops for --candidates."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of sharp photos, or of pairs: input/ and target/, blur/ and sharp/, the"
            " layout of GoPro or HIDE, or a list of RealBlur. Repeatable."
        ),
    ] = None,
    candidates: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of crops prepared by `train candidates`, instead of --data. The"
            " model learns to weigh deconvolved versions of the photo. Repeatable."
        ),
    ] = None,
    objects: Annotated[
        Path | None,
        typer.Option(help="candidates: folder of moving objects, as photos with transparency."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="candidates: number of crops.")] = 20_000,
    jobs: Annotated[
        int, typer.Option(min=0, help="candidates: number of processes.", show_default="cores")
    ] = 0,
    frames: Annotated[
        Path | None, typer.Option(help="Folder of consecutive sharp high-speed frames.")
    ] = None,
    frames_share: Annotated[
        float | None,
        typer.Option(min=0, max=0.9, help="Share of crops from --frames.", show_default="0.05"),
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            help="Pairs of at least 256 x 256 pixels to evaluate on.",
            show_default="crops of --data",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the new model.")] = "my-model",
    backbone: Annotated[
        str | None,
        typer.Option(
            help="unet, mimo_unet, stripformer, fftformer, loformer or nafnet.",
            show_default="unet; with --from, its own",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Size of the backbone: tiny, fast or quality, or one of its own."),
    ] = None,
    recipe: Annotated[
        RecipeOf, typer.Option(help="Recipe of this project, or of the backbone's authors.")
    ] = RecipeOf.own,
    prior: Annotated[
        Prior | None,
        typer.Option(help="Kind of prior.", show_default="blurdm; with --from, its own"),
    ] = None,
    prior_channels: Annotated[
        int | None,
        typer.Option(
            min=16, help="Length of the latent.", show_default="256; with --from, its own"
        ),
    ] = None,
    encoder: Annotated[
        Encoder | None,
        typer.Option(
            help="Latent encoder.",
            show_default="spectral; with --recipe paper, paper; with --from, its own",
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="Exposure schedule: released or paper.",
            show_default="released; with --from, its own",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Model to start from: a name or a folder. Its backbone is kept. If the"
            " options ask for another prior, a new one is trained.",
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=0, help="Optimiser steps of all stages.", show_default="the recipe's")
    ] = 0,
    duration: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds of training of all stages, instead of --steps. The learning rate follows"
            " the clock, and a resumed run uses what is left.",
        ),
    ] = 0,
    batch: Annotated[
        int, typer.Option(min=0, help="Crops per step.", show_default="the stage's")
    ] = 0,
    crop: Annotated[
        int, typer.Option(min=0, help="Side of a crop in pixels.", show_default="the stage's")
    ] = 0,
    learning_rate: Annotated[
        float, typer.Option(min=0, help="Highest learning rate.", show_default="the stage's")
    ] = 0,
    prior_rate: Annotated[
        float,
        typer.Option(
            min=0,
            help="Learning rate of the prior, as a fraction of --learning-rate.",
            show_default="the stage's",
        ),
    ] = 0,
    motion_weight: Annotated[
        float | None,
        typer.Option(min=0, help="Weight of the motion loss.", show_default="the stage's"),
    ] = None,
    step_weight: Annotated[
        float,
        typer.Option(
            min=0,
            help="stage2: weight of single-step supervision. Needs sharp photos in --data.",
        ),
    ] = 0,
    evaluate_every: Annotated[int, typer.Option(min=1, help="Steps between evaluations.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile", help="Compile the networks. Steps are faster after the first minute."
        ),
    ] = False,
    time_limit: Annotated[
        float, typer.Option(min=0, help="Seconds after which to stop. --resume continues.")
    ] = 0,
    resume: Annotated[bool, typer.Option(help="Continue the run in --output.")] = False,
) -> None:
    """Train a model on sharp photos, which are blurred on the fly, or on pairs.

    The model is in OUTPUT/model when stage 3 ends or reaches the time limit.
    """
    import time
    from dataclasses import replace

    from blurdm_cli import zoo
    from blurdm_cli.training import stages
    from blurdm_cli.training.data import read_data

    limit = time.monotonic() + time_limit if time_limit else math.inf
    if stage is Stage.candidates:
        _prepare(data or [], frames, objects, output, count, seed, jobs, limit)
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
    share = 0.05 if frames_share is None else frames_share
    found = zoo.find(start) if start else None
    asked = AskedPrior(prior, prior_channels, encoder, schedule)
    if found:
        spec = spec_from(found.spec, backbone, size, asked)
    else:
        usual = Encoder.paper if recipe is RecipeOf.paper else Encoder.spectral
        spec = new_spec(backbone or "unet", size, usual, asked)
    spec = replace(spec, candidates=spec.candidates or bool(candidates))
    if spec.candidates and not candidates:
        raise UsageError(
            f"{start} trains on crops with candidates",
            hint="Make them with `blurdm train candidates`, then use --candidates FOLDER",
        )
    machine = _machine(device, compiled, limit, resume)
    options = {
        "batch": batch,
        "crop": crop,
        "learning_rate": learning_rate,
        "prior_rate": prior_rate,
    }
    changed = {key: value for key, value in options.items() if value}
    changed |= {"evaluate_every": evaluate_every, "seed": seed}
    if motion_weight is not None:
        changed["motion_weight"] = motion_weight
    published = _published(spec) if recipe is RecipeOf.paper else {}
    recipes = _recipes(stage, spec, published, changed, step_weight, steps, duration)
    crops = {each.crop for each in recipes.values()}
    read = read_data(
        data or [],
        crops,
        machine.device,
        frames=frames,
        frames_share=share,
        val=val,
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
    with hold_progress(name) as advance:

        def show(stage_name: str, progress: Progress) -> None:
            if progress.psnr:
                before, after = progress.psnr
                say(f"{stage_name} step {progress.step}: PSNR {before:.2f} -> {after:.2f} dB")
            else:
                note = f"{stage_name} step {progress.step} loss {progress.loss:.4f}"
                advance(progress.fraction, f"{note}, {progress.rate:.3g} crops/s")

        done = stages.train(
            recipes, spec, read.source, read.validation, output, machine, start=found, report=show
        )
    stopped = "stopped at the time limit; continue with --resume"
    say(f"done: {output}" if done else f"{stopped}: {output}")


def _prepare(
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
    from blurdm_cli.training.candidate_maker import CandidateRecipe
    from blurdm_cli.training.candidate_run import make_shards, read_objects
    from blurdm_cli.training.data import read_sharp
    from blurdm_cli.training.pairs import read_frames

    if not data:
        raise UsageError("There are no photos to blur", hint="Add sharp photos: --data FOLDER")
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


def _published(spec: ModelSpec) -> dict[str, dict[str, Any]]:
    from blurdm_cli.training.paper_recipes import PUBLISHED

    if spec.backbone.kind not in PUBLISHED:
        raise UsageError(
            f"The backbone {spec.backbone.kind!r} has no published recipe",
            hint=f"--recipe paper is for --backbone {', '.join(PUBLISHED)}",
        )
    return PUBLISHED[spec.backbone.kind]


def _machine(device: str, compiled: bool, deadline: float, resume: bool) -> Machine:
    import torch

    from blurdm_cli.engine.torch_runtime import choose_device, has_fast_bf16
    from blurdm_cli.machine import available_cores
    from blurdm_cli.training.trainer import Machine

    where = choose_device(device)
    torch.set_num_threads(available_cores())
    torch.backends.cudnn.benchmark = True  # all crops have the same size
    return Machine(where, has_fast_bf16(where), compiled, deadline, resume)


def _recipes(
    stage: Stage,
    spec: ModelSpec,
    published: dict[str, dict[str, Any]],
    changed: dict[str, Any],
    step_weight: float,
    steps: int,
    duration: float,
) -> dict[str, Recipe]:
    """Recipes of the stages to train; steps and duration are divided among them."""
    from blurdm_cli.training.recipe import FUSION_RECIPE, ImageRecipe
    from blurdm_cli.training.stages import RECIPES, SHARES, stages_of

    all_stages = stages_of(spec)
    if stage is not Stage.all and stage.value not in all_stages:
        raise UsageError(
            f"A model without a prior has no {stage.value}",
            hint=f"Its stages are {' and '.join(all_stages)}",
        )
    names = all_stages if stage is Stage.all else (stage.value,)
    if step_weight and ("stage2" not in names or spec.prior.kind != "blurdm"):
        raise UsageError(
            "--step-weight is only for stage2 of the prior blurdm", hint="Leave it out"
        )
    whole = sum(SHARES[name] for name in names)
    recipes = {}
    for name in names:
        share = SHARES[name] / whole
        fused = spec.candidates and issubclass(RECIPES[name], ImageRecipe)
        own = dict(FUSION_RECIPE) if fused else {}
        own |= published.get(name, {}) | changed | {"duration": duration * share}
        if steps:
            own["steps"] = max(round(steps * share), 1)
        if name == "stage2":
            own["step_weight"] = step_weight
        recipes[name] = RECIPES[name](**own)
        if recipes[name].crop % spec.multiple_of:
            raise UsageError(f"A crop's side must be a multiple of {spec.multiple_of}")
    return recipes
