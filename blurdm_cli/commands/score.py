"""blurdm score: score how blurred photos are, without a model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from blurdm_cli.commands.console import hold_progress, print_line, say, visible
from blurdm_cli.commands.options import Exclude, Include, Inputs, Recursive, search_for
from blurdm_cli.commands.report import announce
from blurdm_cli.errors import BlurdmError, InputError
from blurdm_cli.pipeline.outcome import SCHEMA, Outcome, exit_code, failed


def score(
    inputs: Inputs,
    recursive: Recursive = True,
    include: Include = None,
    exclude: Exclude = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per photo to stdout.")
    ] = False,
) -> None:
    """Score how blurred photos are: 0 is sharp, 1 is blurred. Above 0.6 counts as blurred."""
    from blurdm_cli.files.inputs import gather

    search = search_for(recursive, include, exclude, videos=False)
    paths = [path for path, _ in gather(inputs, search)]
    if not paths:
        raise InputError(f"There is no photo in {', '.join(inputs)}", hint="Check the folder")
    outcomes: list[Outcome] = []
    for outcome in _scored(paths):
        outcomes.append(outcome)
        if outcome.status == "failed":
            announce(outcome)
        elif not json_lines:
            print_line(_line(outcome))
        if json_lines:
            print_line(json.dumps(_row(outcome), ensure_ascii=False))
    if len(outcomes) > 1:
        blurred = sum(_is_blurred(outcome) for outcome in outcomes)
        say(f"{len(outcomes)} photos: {blurred} blurred")
    raise typer.Exit(exit_code(outcomes))


def _scored(paths: list[Path]) -> Iterator[Outcome]:
    from blurdm_cli.photo.blur_score import blur_score
    from blurdm_cli.photo.photo import read_photo

    with hold_progress("") as advance:
        for number, path in enumerate(paths):
            advance(number / len(paths), f"{number + 1}/{len(paths)} {path.name}")
            try:
                photo = read_photo(path)
            except BlurdmError as error:
                yield failed(path, error)
                continue
            blur = round(blur_score(photo.pixels), 3)
            height, width = photo.pixels.shape[:2]
            yield Outcome(str(path), None, "done", blur=blur, size=(height, width))


def _line(outcome: Outcome) -> str:
    word = "blurred" if _is_blurred(outcome) else "sharp"
    return f"{outcome.blur:.3f}  {word:<7}  {visible(str(outcome.input))}"


def _is_blurred(outcome: Outcome) -> bool:
    from blurdm_cli.photo.blur_score import BLURRED

    return outcome.blur is not None and outcome.blur > BLURRED


def _row(outcome: Outcome) -> dict[str, Any]:
    row = {"schema": SCHEMA, "input": outcome.input, "status": outcome.status}
    if outcome.status == "failed":
        return row | {
            "exit_code": outcome.exit_code,
            "message": outcome.message,
            "hint": outcome.hint,
        }
    return row | {"blur": outcome.blur, "blurred": _is_blurred(outcome), "size": outcome.size}
