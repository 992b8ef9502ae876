"""Options of blurdm train."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from blurdm_cli.commands.model_options import Encoder, Prior


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


WhichStage = Annotated[
    Stage,
    typer.Argument(
        help="One stage, or all three in order. candidates prepares crops for --candidates."
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")]
Data = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of sharp photos, or of pairs: input/ and target/, blur/ and sharp/, the"
        " layout of GoPro or HIDE, or a list of RealBlur. Repeatable."
    ),
]
Candidates = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of crops prepared by `train candidates`, instead of --data. The"
        " model learns to weigh deconvolved versions of the photo. Repeatable."
    ),
]
Objects = Annotated[
    Path | None,
    typer.Option(help="candidates: folder of moving objects, as photos with transparency."),
]
Count = Annotated[int, typer.Option(min=1, help="candidates: number of crops.")]
Jobs = Annotated[
    int, typer.Option(min=0, help="candidates: number of processes.", show_default="cores")
]
Frames = Annotated[Path | None, typer.Option(help="Folder of consecutive sharp high-speed frames.")]
FramesShare = Annotated[
    float | None,
    typer.Option(min=0, max=0.9, help="Share of crops from --frames.", show_default="0.05"),
]
Validation = Annotated[
    Path | None,
    typer.Option(
        help="Pairs of at least 256 x 256 pixels to evaluate on.",
        show_default="crops of --data",
    ),
]
Name = Annotated[str, typer.Option(help="Name of the new model.")]
Backbone = Annotated[
    str | None,
    typer.Option(
        help="unet, mimo_unet, stripformer, fftformer, loformer or nafnet.",
        show_default="unet; with --from, its own",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(help="Size of the backbone: tiny, fast or quality, or one of its own."),
]
WhichRecipe = Annotated[
    RecipeOf, typer.Option(help="Recipe of this project, or of the backbone's authors.")
]
PriorKind = Annotated[
    Prior | None,
    typer.Option(help="Kind of prior.", show_default="blurdm; with --from, its own"),
]
PriorChannels = Annotated[
    int | None,
    typer.Option(min=16, help="Length of the latent.", show_default="256; with --from, its own"),
]
EncoderKind = Annotated[
    Encoder | None,
    typer.Option(
        help="Latent encoder.",
        show_default="spectral; with --recipe paper, paper; with --from, its own",
    ),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        help="Exposure schedule: released or paper.",
        show_default="released; with --from, its own",
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Model to start from: a name or a folder. Its backbone is kept. If the"
        " options ask for another prior, a new one is trained.",
    ),
]
Steps = Annotated[
    int, typer.Option(min=0, help="Optimiser steps of all stages.", show_default="the recipe's")
]
Duration = Annotated[
    float,
    typer.Option(
        min=0,
        help="Seconds of training of all stages, instead of --steps. The learning rate follows"
        " the clock, and a resumed run uses what is left.",
    ),
]
Batch = Annotated[int, typer.Option(min=0, help="Crops per step.", show_default="the stage's")]
Crop = Annotated[
    int, typer.Option(min=0, help="Side of a crop in pixels.", show_default="the stage's")
]
LearningRate = Annotated[
    float, typer.Option(min=0, help="Highest learning rate.", show_default="the stage's")
]
PriorRate = Annotated[
    float,
    typer.Option(
        min=0,
        help="Learning rate of the prior, as a fraction of --learning-rate.",
        show_default="the stage's",
    ),
]
MotionWeight = Annotated[
    float | None,
    typer.Option(min=0, help="Weight of the motion loss.", show_default="the stage's"),
]
StepWeight = Annotated[
    float,
    typer.Option(
        min=0,
        help="stage2: weight of single-step supervision. Needs sharp photos in --data.",
    ),
]
EvaluateEvery = Annotated[int, typer.Option(min=1, help="Steps between evaluations.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Compiled = Annotated[
    bool,
    typer.Option(
        "--compile", help="Compile the networks. Steps are faster after the first minute."
    ),
]
TimeLimit = Annotated[
    float, typer.Option(min=0, help="Seconds after which to stop. --resume continues.")
]
Resume = Annotated[bool, typer.Option(help="Continue the run in --output.")]
