"""blurdm eval: score a model on pairs of blurred and sharp photos."""

from __future__ import annotations

import csv
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands import deblur_options as options
from blurdm_cli.commands.console import hold_progress, print_data, print_json
from blurdm_cli.commands.options import check_output
from blurdm_cli.errors import InputError

if TYPE_CHECKING:
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.training.evaluation import Align, Scores
    from blurdm_cli.training.layouts import PairFiles
    from blurdm_cli.training.shown import Shown


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
    expert: options.Expert = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    tile: Annotated[
        int | None,
        typer.Option(
            help="Largest tile, as the side of a square in pixels.",
            show_default="the model's",
            rich_help_panel=options.ENGINE,
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
            help="Also write a contact sheet, such as grid.png: crops of blurred, restored and"
            " sharp photos, pixel by pixel, with their scores."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Also write an HTML page that works offline: a sortable table of all pairs, and"
            " photos with a slider."
        ),
    ] = None,
    show: Annotated[
        int,
        typer.Option(
            min=1,
            help="Pairs shown in --grid and --report: those of smallest and of largest gain, half"
            " of each. Their photos are kept in memory.",
        ),
    ] = 12,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
) -> None:
    """Measure PSNR and SSIM of a model on pairs of blurred and sharp photos.

    The last column is the PSNR of each sharp photo after deblurring it too: a model should leave
    sharp photos unchanged.
    """
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.files.formats import format_of
    from blurdm_cli.training import evaluation
    from blurdm_cli.training.layouts import find_pairs
    from blurdm_cli.training.shown import Extremes

    files = find_pairs(data, gamma=gamma)
    photos = [path for file in files for path in (file.blurred, file.sharp)]
    for path in filter(None, (table, grid, report)):
        check_output(path, photos, overwrite, instead="name")
    if grid:
        format_of(grid.suffix)
    _check_pairs(files, evaluation.smallest(align.value))
    deblurrer = Deblurrer.open(model, device=device, precision=precision, tile=tile, expert=expert)
    scores: list[Scores] = []
    extremes = Extremes(show if grid or report else 0)
    with hold_progress(model) as advance:
        pairs = ((file.name, file.read()) for file in files)
        results = evaluation.evaluate(deblurrer, pairs, align=align.value)
        for file, (score, restored) in zip(files, results, strict=True):
            scores.append(score)
            extremes.add(file, score, restored)
            advance(len(scores) / len(files), score.name)
    mean, (low, high) = evaluation.mean(scores), evaluation.interval(scores)
    if table:
        _write_csv(table, scores)
    if grid:
        _write_grid(grid, extremes.ranked())
    if report:
        facts = _facts(deblurrer, data)
        _write_report(report, facts, scores, extremes.ranked(), align.value)
    if as_json:
        other = deblurrer.expert and deblurrer.expert.spec.name
        run: dict[str, Any] = {"model": deblurrer.spec.name, "expert": other}
        run |= {"data": str(data), "align": align}
        gain = {"mean": mean.gain, "low": low, "high": high}
        print_json({**run, "pairs": list(map(_row, scores)), "mean": _row(mean), "gain": gain})
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


def _write_grid(path: Path, pairs: list[Shown]) -> None:
    from blurdm_cli.photo.photo import Photo, write_photo
    from blurdm_cli.training.contact_sheet import contact_sheet

    write_photo(Photo(contact_sheet(pairs)), path)


def _write_report(
    path: Path, facts: dict[str, str], scores: list[Scores], pairs: list[Shown], align: Align
) -> None:
    from blurdm_cli.files.atomic import atomic_output
    from blurdm_cli.training.report import report_page

    with atomic_output(path) as part:
        part.write_text(report_page(facts, scores, pairs, align), encoding="utf-8")


def _facts(deblurrer: Deblurrer, data: Path) -> dict[str, str]:
    """The models, how they ran, and the data, by name."""
    from blurdm_cli.version import __version__

    def described(used: Deblurrer) -> str:
        runtime, spec = used.runtime, used.spec
        how = f"{runtime.name} on {runtime.device} in {runtime.precision}"
        return f"{spec.name}, version {spec.version}, {how}"

    models = {"Model": deblurrer, "Expert": deblurrer.expert}
    facts = {name: described(used) for name, used in models.items() if used}
    return facts | {"Data": str(data), "Program": f"blurdm {__version__}"}
