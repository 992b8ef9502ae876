"""blurdm train: make a model."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands.console import hold_progress, say
from blurdm_cli.errors import InputError, UsageError

if TYPE_CHECKING:
    import torch

    from blurdm_cli.spec import ModelSpec
    from blurdm_cli.training.loop import Machine
    from blurdm_cli.training.pairs import Batch, Source
    from blurdm_cli.training.recipe import Progress, Recipe

VALIDATION_CROP = 256


class Stage(StrEnum):
    """What to train."""

    stage1 = "stage1"
    stage2 = "stage2"
    stage3 = "stage3"
    all = "all"


class Prior(StrEnum):
    """Kinds of prior."""

    blurdm = "blurdm"
    blur = "blur"
    noise = "noise"
    mlp = "mlp"
    none = "none"


class Encoder(StrEnum):
    """Sizes of the latent encoder."""

    light = "light"
    paper = "paper"
    spectral = "spectral"


class RecipeOf(StrEnum):
    """Whose recipe."""

    own = "own"
    paper = "paper"


def train(
    stage: Annotated[Stage, typer.Argument(help="One stage, or all three in order.")],
    data: Annotated[
        list[Path],
        typer.Option(help="Folder of sharp photos, or of pairs (input/ and target/). Repeatable."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The run's folder.")],
    frames: Annotated[
        Path | None, typer.Option(help="Folder of consecutive sharp high-speed frames.")
    ] = None,
    frames_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of crops from --frames.")
    ] = 0.05,
    val: Annotated[
        Path | None, typer.Option(help="Folder of pairs to evaluate on (crops of --data).")
    ] = None,
    name: Annotated[str, typer.Option(help="The new model's name.")] = "my-model",
    backbone: Annotated[
        str,
        typer.Option(help="unet, mimo_unet, stripformer, fftformer, loformer or nafnet."),
    ] = "unet",
    size: Annotated[
        str | None, typer.Option(help="Of the backbone: tiny, fast or quality; or its own.")
    ] = None,
    recipe: Annotated[
        RecipeOf, typer.Option(help="This project's, or that of the backbone's authors.")
    ] = RecipeOf.own,
    prior: Annotated[Prior, typer.Option(help="Kind of prior.")] = Prior.blurdm,
    prior_channels: Annotated[int, typer.Option(min=16, help="Length of the latent.")] = 256,
    encoder: Annotated[
        Encoder | None,
        typer.Option(
            help="Latent encoder (spectral; with --recipe paper, paper; with --from, its own)."
        ),
    ] = None,
    schedule: Annotated[str, typer.Option(help="Exposure schedule.")] = "released",
    start: Annotated[
        str | None, typer.Option("--from", help="Model to start from: a name or a folder.")
    ] = None,
    steps: Annotated[int, typer.Option(min=0, help="Optimiser steps of all stages.")] = 0,
    duration: Annotated[
        float, typer.Option(min=0, help="Seconds of training of all stages, instead of --steps.")
    ] = 0,
    batch: Annotated[int, typer.Option(min=0, help="Crops a step (the stage's own).")] = 0,
    crop: Annotated[int, typer.Option(min=0, help="Side of a crop, pixels (the stage's own).")] = 0,
    learning_rate: Annotated[float, typer.Option(min=0, help="Highest (the stage's own).")] = 0,
    prior_rate: Annotated[
        float, typer.Option(min=0, help="Learning rate of the prior, as a share (the stage's own).")
    ] = 0,
    motion_weight: Annotated[
        float | None,
        typer.Option(min=0, help="Of what the prior must tell of the motion (the stage's own)."),
    ] = None,
    step_weight: Annotated[
        float, typer.Option(min=0, help="Stage 2: weight of single-step supervision.")
    ] = 0,
    evaluate_every: Annotated[int, typer.Option(min=1, help="Steps.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile the networks: faster steps after a minute."),
    ] = False,
    time_limit: Annotated[
        float, typer.Option(min=0, help="Seconds after which to stop, to be resumed.")
    ] = 0,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --output.")] = False,
) -> None:
    """Train a model: on sharp photos, which are blurred on the fly, or on pairs.

    The model folder stands in OUTPUT/model when stage 3 ends, or stops at the time limit.
    """
    import time
    from dataclasses import replace

    from blurdm_cli import zoo
    from blurdm_cli.training import stages

    found = zoo.find(start) if start else None
    if found:
        kept = found.spec.prior
        spec = replace(
            found.spec,
            prior=replace(kept, encoder=encoder.value if encoder else kept.encoder),
        )
    else:
        encoder = encoder or (Encoder.paper if recipe is RecipeOf.paper else Encoder.spectral)
        spec = _new_spec(backbone, size, prior, prior_channels, encoder, schedule)
    limit = time.monotonic() + time_limit if time_limit else math.inf
    machine = _machine(device, compiled, limit, resume)
    source, validation, described = _read_data(
        data, frames, frames_share, val, crop, machine.device
    )
    history = {"data": described} | ({"from": found.spec.training} if found else {})
    spec = replace(spec, name=name, training=history)
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
    with hold_progress(name) as advance:

        def show(stage_name: str, progress: Progress) -> None:
            if progress.psnr:
                before, after = progress.psnr
                say(f"{stage_name} step {progress.step}: PSNR {before:.2f} -> {after:.2f} dB")
            else:
                note = f"{stage_name} step {progress.step} loss {progress.loss:.4f}"
                advance(progress.fraction, f"{note}, {progress.rate:.3g} crops/s")

        done = stages.train(
            recipes, spec, source, validation, output, machine, start=found, report=show
        )
    say(f"done: {output}" if done else f"stopped at the time limit; go on with --resume: {output}")


def _new_spec(
    backbone: str,
    size: str | None,
    prior: Prior,
    prior_channels: int,
    encoder: Encoder,
    schedule: str,
) -> ModelSpec:
    from blurdm_cli.networks.build import family
    from blurdm_cli.physics import diffusion
    from blurdm_cli.spec import BackboneSpec, PriorSpec, ScheduleSpec

    kind = family(backbone)
    if schedule not in diffusion.SCHEDULES:
        known = ", ".join(diffusion.SCHEDULES)
        raise UsageError(f"There is no schedule {schedule!r}", hint=f"Known: {known}")
    values = diffusion.schedule(schedule)
    size = size or kind.usual
    return kind.spec(
        "",
        BackboneSpec(backbone, kind.size(size)),
        PriorSpec(
            kind=prior.value,
            channels=prior_channels,
            encoder=encoder.value,
            schedule=ScheduleSpec(schedule, values.alpha, values.beta_bar),
        ),
    )


def _published(spec: ModelSpec) -> dict[str, dict[str, Any]]:
    from blurdm_cli.training.published import PUBLISHED

    if spec.backbone.kind not in PUBLISHED:
        raise UsageError(
            f"The backbone {spec.backbone.kind!r} is of no paper",
            hint=f"--recipe paper is for --backbone {', '.join(PUBLISHED)}",
        )
    return PUBLISHED[spec.backbone.kind]


def _machine(device: str, compiled: bool, deadline: float, resume: bool) -> Machine:
    import torch

    from blurdm_cli.engine.runtime import available_cores
    from blurdm_cli.engine.torch_runtime import choose_device, has_fast_bf16
    from blurdm_cli.training.loop import Machine

    where = choose_device(device)
    torch.set_num_threads(available_cores())
    torch.backends.cudnn.benchmark = True  # all crops are of one size
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
    """The recipe of each stage to train; steps and duration are shared out among them."""
    from blurdm_cli.training.stages import RECIPES, SHARES, stages_of

    names = stages_of(spec) if stage is Stage.all else (stage.value,)
    whole = sum(SHARES[name] for name in names)
    recipes = {}
    for name in names:
        share = SHARES[name] / whole
        own = published.get(name, {}) | changed | {"duration": duration * share}
        if steps:
            own["steps"] = max(round(steps * share), 1)
        if name == "stage2":
            own["step_weight"] = step_weight
        recipes[name] = RECIPES[name](**own)
        if recipes[name].crop % spec.multiple_of:
            raise UsageError(f"A crop's side must be a multiple of {spec.multiple_of}")
    return recipes


def _read_data(
    folders: list[Path],
    frames: Path | None,
    frames_share: float,
    val: Path | None,
    crop: int,
    device: torch.device,
) -> tuple[Source, Batch, list[str]]:
    """Read all training photos, and the crops to evaluate on; say what they are."""
    from blurdm_cli.training import pairs
    from blurdm_cli.training.layouts import flat_layout
    from blurdm_cli.training.photo_crops import PhotoCrops
    from blurdm_cli.training.synthesis import Synthesis

    photos, pair_crops, described = [], [], []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder")
        if flat_layout(folder):
            found = list(pairs.read_pairs(folder).values())
            pair_crops += [(blurred.to(device), sharp.to(device)) for blurred, sharp in found]
            described.append(f"{folder.name}: {len(found)} pairs")
        else:
            read = list(pairs.read_photos(folder).values())
            photos += read
            described.append(f"{folder.name}: {len(read)} sharp photos, blurred by synthesis")
    sources: list[tuple[float, Source]] = []
    if photos:
        sources.append((len(photos), PhotoCrops(photos, Synthesis(), device)))
    if pair_crops:
        sources.append((len(pair_crops), pairs.PairCrops(pair_crops)))
    if frames:
        weight = sum(share for share, _ in sources) * frames_share / (1 - frames_share)
        sources.append((weight, pairs.FrameCrops(pairs.read_frames(frames, device))))
        described.append(f"{frames.name}: averages of high-speed frames, {frames_share:.0%}")
    source = sources[0][1] if len(sources) == 1 else pairs.Mixture(sources)
    validation = pairs.centre_crops(val, VALIDATION_CROP) if val else _drawn(source, crop)
    return (
        source,
        pairs.Batch(validation.blurred.to(device), validation.sharp.to(device)),
        described,
    )


def _drawn(source: Source, crop: int) -> Batch:
    """Crops of the training photos, always the same, for a run that has no pairs beside it."""
    from blurdm_cli.training.pairs import Order

    return source.draw(Order(16, min(crop or VALIDATION_CROP, VALIDATION_CROP // 2)))
