"""blurdm compare: compare two photos in a labelled picture or a page with a slider."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blurdm_cli.commands.console import print_line, say
from blurdm_cli.commands.options import check_output

if TYPE_CHECKING:
    from blurdm_cli.photo.photo import Photo

PAGES = (".html", ".htm")


def compare(
    before: Annotated[Path, typer.Argument(help="Photo before.")],
    after: Annotated[Path, typer.Argument(help="Photo after, of the same size.")],
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Picture or HTML page (.html) to write. Repeatable.",
            show_default="both, beside AFTER, as NAME.compare.png and .html",
        ),
    ] = None,
    crops: Annotated[
        int, typer.Option(min=0, max=12, help="Number of close-ups of what changed most.")
    ] = 3,
    labels: Annotated[
        tuple[str, str], typer.Option(metavar="BEFORE AFTER", help="Labels of the two photos.")
    ] = ("Before", "After"),
    difference: Annotated[
        bool, typer.Option(help="Add a column with the difference, amplified four times.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
) -> None:
    """Compare two photos of the same size: side by side, with close-ups, and with a slider.

    The HTML page is a single file and works offline. The paths of the written files go to stdout.
    """
    from blurdm_cli.files.atomic import atomic_output
    from blurdm_cli.photo import comparison as cp
    from blurdm_cli.photo.metadata import Metadata
    from blurdm_cli.photo.photo import Photo, read_photo, write_photo
    from blurdm_cli.photo.slider import slider_page

    outputs = output or [after.with_suffix(f".compare{suffix}") for suffix in (".png", ".html")]
    _check(outputs, (before, after), overwrite)
    photos = [read_photo(path) for path in (before, after)]
    first, second = map(cp.viewed, photos)
    cp.check_same_size(first, second)
    places = cp.most_changed(first, second, crops)
    icc = photos[1].metadata.icc
    for path in outputs:
        if path.suffix.lower() in PAGES:
            with atomic_output(path) as part:
                part.write_text(slider_page(first, second, icc, places, labels), encoding="utf-8")
        else:
            sheet = cp.picture(first, second, places, labels, difference)
            write_photo(Photo(sheet, metadata=Metadata(icc=icc)), path)
        print_line(str(path))
    _tell_scores(photos)


def _check(outputs: Sequence[Path], inputs: Sequence[Path], overwrite: bool) -> None:
    """Refuse outputs that exist or have an unknown format, before any work is done."""
    from blurdm_cli.files.formats import format_of

    for path in outputs:
        if path.suffix.lower() not in PAGES:
            format_of(path.suffix)
        check_output(path, inputs, overwrite, instead="--output")


def _tell_scores(photos: Sequence[Photo]) -> None:
    from blurdm_cli.photo.blur_score import blur_score

    before, after = (blur_score(photo.pixels) for photo in photos)
    say(f"blur score {before:.3f} -> {after:.3f}")
