"""blurdm eval: how well a model deblurs pairs of blurred and sharp photos."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from blurdm_cli.commands.console import hold_progress, print_data, print_json


def evaluate(
    model: Annotated[str, typer.Argument(help="A model's name, or the path of its folder.")],
    data: Annotated[
        Path, typer.Option(help="Folder of pairs: input/ and target/, or blur/ and sharp/.")
    ],
    align: Annotated[
        bool, typer.Option(help="Score after the best shift by up to 4 pixels.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    tile: Annotated[int | None, typer.Option(help="Side of a tile, pixels (the model's).")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="An array on stdout: each pair, then the mean.")
    ] = False,
) -> None:
    """Measure a model: PSNR and SSIM of blurred and restored photos against the sharp ones.

    The last column is the PSNR between the sharp photo and what becomes of it when it is
    deblurred too: a model must leave alone what is sharp.
    """
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.training import evaluation
    from blurdm_cli.training.pairs import read_pairs

    pairs = read_pairs(data)
    deblurrer = Deblurrer.open(model, device=device, precision=precision, tile=tile)
    scores: list[evaluation.Scores] = []
    with hold_progress(model) as advance:
        for score in evaluation.evaluate(deblurrer, pairs, align=align):
            scores.append(score)
            advance(len(scores) / len(pairs), score.name)
    scores.append(evaluation.mean(scores))
    if as_json:
        print_json([asdict(score) for score in scores])
        return
    print_data(f"{'':<24}  PSNR blurred  restored    gain   SSIM blurred  restored   sharp kept")
    for s in scores:
        print_data(
            f"{s.name:<24}{s.psnr_blurred:14.2f}{s.psnr_restored:10.2f}"
            f"{s.psnr_restored - s.psnr_blurred:+8.2f}"
            f"{s.ssim_blurred:15.4f}{s.ssim_restored:10.4f}{s.psnr_sharp:13.2f}"
        )
