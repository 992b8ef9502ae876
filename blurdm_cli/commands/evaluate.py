"""blurdm eval: score a model on pairs of blurred and sharp photos."""

from __future__ import annotations

import csv
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands.console import hold_progress, print_data, print_json
from blurdm_cli.commands.options import check_output
from blurdm_cli.errors import InputError

if TYPE_CHECKING:
    from blurdm_cli.training.evaluation import Deblur, Scores
    from blurdm_cli.training.layouts import PairFiles


class Alignment(StrEnum):
    """The values of `training.evaluation.Align`."""

    none = "none"
    shift = "shift"
    homography = "homography"
    realblur = "realblur"


def evaluate(
    model: Annotated[str, typer.Argument(help="Name or folder of a model.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of pairs: input/ and target/, blur/ and sharp/, the layout of GoPro or"
            " HIDE, or a list of RealBlur."
        ),
    ],
    align: Annotated[
        Alignment,
        typer.Option(
            help="Score after the best shift of up to 24 pixels, after the best homography, or as"
            " RealBlur is scored: intensities matched, then the best homography."
        ),
    ] = Alignment.none,
    gamma: Annotated[
        bool, typer.Option("--gamma", help="Use blur_gamma/ of GoPro instead of blur/.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    tile: Annotated[
        int | None,
        typer.Option(
            help="Largest tile, as the side of a square in pixels.", show_default="the model's"
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print all pairs, the means and the interval of the gain as JSON."
        ),
    ] = False,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Also write one row per pair to this file.")
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(
            help="Also write a PNG with the pairs of smallest, median and largest gain: blurred,"
            " restored and sharp."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
) -> None:
    """Measure PSNR and SSIM of a model on pairs of blurred and sharp photos.

    The last column is the PSNR of each sharp photo after deblurring it too: a model should leave
    sharp photos unchanged.
    """
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.training import evaluation
    from blurdm_cli.training.layouts import find_pairs

    files = find_pairs(data, gamma=gamma)
    photos = [path for file in files for path in (file.blurred, file.sharp)]
    for path in filter(None, (table, grid)):
        check_output(path, photos, overwrite, instead="name")
    _check_pairs(files, evaluation.smallest(align.value))
    deblurrer = Deblurrer.open(model, device=device, precision=precision, tile=tile)
    scores: list[Scores] = []
    with hold_progress(model) as advance:
        pairs = ((file.name, file.read()) for file in files)
        for score in evaluation.evaluate(deblurrer, pairs, align=align.value):
            scores.append(score)
            advance(len(scores) / len(files), score.name)
    mean, (low, high) = evaluation.mean(scores), evaluation.interval(scores)
    if table:
        _write_csv(table, scores)
    if grid:
        chosen = {score.name for score in evaluation.worst_median_best(scores)}
        _write_grid(grid, [file for file in files if file.name in chosen], deblurrer)
    if as_json:
        facts: dict[str, Any] = {"model": deblurrer.spec.name, "data": str(data), "align": align}
        gain = {"mean": mean.gain, "low": low, "high": high}
        print_json({**facts, "pairs": list(map(_row, scores)), "mean": _row(mean), "gain": gain})
        return
    width = max(24, *(len(score.name) for score in scores))
    print_data(
        f"{'':<{width}}  PSNR blurred  restored    gain   SSIM blurred  restored"
        "   3-D blurred  restored   sharp kept"
    )
    for s in [*scores, mean]:
        print_data(
            f"{s.name:<{width}}{s.psnr_blurred:14.2f}{s.psnr_restored:10.2f}{s.gain:+8.2f}"
            f"{s.ssim_blurred:15.4f}{s.ssim_restored:10.4f}"
            f"{s.ssim_3d_blurred:14.4f}{s.ssim_3d_restored:10.4f}{s.psnr_sharp:13.2f}"
        )
    print_data(
        f"{len(scores)} pairs; mean gain {mean.gain:+.2f} dB, 95 %: {low:+.2f} to {high:+.2f}"
    )


def _check_pairs(files: list[PairFiles], smallest: int) -> None:
    """Read all pairs once, to find pairs that cannot be scored before any work is done."""
    from concurrent.futures import ThreadPoolExecutor

    def size(file: PairFiles) -> tuple[int, ...]:
        return tuple(file.read()[0].shape[1:])

    with ThreadPoolExecutor() as pool:
        for file, (height, width) in zip(files, pool.map(size, files), strict=True):
            if min(height, width) < smallest:
                raise InputError(
                    f"The pair {file.name} of {width} x {height} pixels is too small to score",
                    hint=f"Leave it out: at least {smallest} x {smallest} are needed",
                )


def _row(score: Scores) -> dict[str, Any]:
    return {**asdict(score), "gain": score.gain}


def _write_csv(path: Path, scores: list[Scores]) -> None:
    from blurdm_cli.files.atomic import atomic_output

    rows = [_row(score) for score in scores]
    with atomic_output(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _write_grid(path: Path, files: list[PairFiles], deblur: Deblur) -> None:
    """Write the centres of some pairs: one row per pair, in the order of the files."""
    import cv2
    import torch

    from blurdm_cli.files.atomic import atomic_output
    from blurdm_cli.training.evaluation import deblurred

    rows = []
    side = 512
    for file in files:
        blurred, sharp = file.read()
        row = torch.stack([blurred, deblurred(deblur, blurred), sharp])
        side = min(side, *row.shape[2:])
        rows.append(row)
    squares = []
    for row in rows:
        top, left = ((extent - side) // 2 for extent in row.shape[2:])
        squares.append(row[:, :, top : top + side, left : left + side])
    pixels = torch.stack(squares).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    with atomic_output(path) as part:
        part.write_bytes(cv2.imencode(".png", pixels.numpy()[..., ::-1])[1].tobytes())
