"""What became of a file: the record that lines, JSON and exit codes are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from blurdm_cli.commands.console import report, say, warn
from blurdm_cli.errors import BlurdmError

if TYPE_CHECKING:
    from blurdm_cli.commands.places import Place
    from blurdm_cli.media.naming import Job

SCHEMA = 1
"""Version of the JSON objects; docs/json.md describes them."""

Status = Literal["done", "skipped", "planned", "failed"]
Reason = Literal["", "done-before", "exists", "not-blurred"]
"""Why a file was skipped."""


@dataclass(frozen=True)
class Outcome:
    """What became of one photo or video."""

    input: str
    output: str | None
    status: Status
    kind: Literal["photo", "video"] = "photo"
    reason: Reason = ""
    exit_code: int = 0
    seconds: float = 0.0
    """Spent on reading, restoring and writing it."""
    message: str = ""
    """Why it failed or was skipped; of a video, how it went."""
    hint: str = ""
    size: tuple[int, int] | None = None
    """Height and width in pixels."""
    blur: float | None = None
    """The blur score of the input, where it was asked for."""
    motion: dict[str, float] | None = None
    """The path that was found: length in pixels, direction in degrees, confidence; None where none
    was, or it was not looked for."""
    guarded: bool = False
    """Whether the model's answer looked wrong, and was not taken as it came."""
    hardly_changed: bool = False
    """Whether a blurred photo came back as blurred as it was."""
    notes: tuple[str, ...] = ()
    """What could not be kept, and what was done again, a line each."""


def failed(input: Path, error: BlurdmError) -> Outcome:
    """The outcome of a file that an error ended."""
    said = Outcome(str(input), None, "failed", exit_code=error.exit_code, message=str(error))
    return replace(said, hint=error.hint or "")


def left(job: Job, place: Place) -> Outcome:
    """The outcome of a file that has no place to be written to, and is left alone."""
    there = place.existing or job.output
    said = Outcome(str(job.input), str(there), "skipped", reason=place.reason)
    return replace(said, message=place.why)


def planned(input: Path, target: Path | None) -> Outcome:
    """The outcome of a file that a dry run would have written."""
    return Outcome(str(input), str(target), "planned", message=f"{input} -> {target}")


def announce(outcome: Outcome) -> None:
    """Tell the user what became of a file, in a line and one for each thing that was lost."""
    for note in outcome.notes:
        warn(f"{Path(outcome.input).name}: {note}")
    if outcome.status == "failed":
        error = BlurdmError(outcome.message, hint=outcome.hint or None)
        report(error, about="" if outcome.input in outcome.message else outcome.input)
    elif outcome.status == "done":
        height, width = outcome.size or (0, 0)
        more = f"  {outcome.message}" if outcome.message else ""
        if outcome.motion:
            more += f"  motion {outcome.motion['length']:.0f} px"
        took = f"{width} x {height}  {outcome.seconds:.1f} s{more}"
        say(f"{outcome.input} -> {outcome.output}  {took}")
    elif outcome.reason != "done-before":  # of those there may be thousands
        say(f"{outcome.status}: {outcome.message}")


def as_json(outcome: Outcome, facts: dict[str, Any]) -> str:
    """The outcome as one line of JSON, with what it was computed with."""
    return json.dumps({"schema": SCHEMA, **asdict(outcome), **facts}, ensure_ascii=False)


def summarise(outcomes: list[Outcome], seconds: float) -> None:
    """Tell how a run over several files went."""
    unchanged = sum(outcome.hardly_changed for outcome in outcomes)
    if unchanged:
        photos = "photo" if unchanged == 1 else "photos"
        warn(f"{unchanged} {photos} hardly changed: the blur may not be motion blur")
    before = sum(outcome.reason == "done-before" for outcome in outcomes)
    if len(outcomes) > 1 or before:
        counts = {status: 0 for status in ("done", "skipped", "planned", "failed")}
        for outcome in outcomes:
            counts[outcome.status] += 1
        parts = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        parts += f" ({before} done before; --no-resume does them again)" if before else ""
        files = "file" if len(outcomes) == 1 else "files"
        say(f"{len(outcomes)} {files}: {parts}  {seconds:.1f} s")


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """0, or the single file's own code, or 4 for some that failed or are not whole, 5 for all."""
    told = list(outcomes)
    codes = [outcome.exit_code for outcome in told if outcome.exit_code]
    if not codes:
        return 0
    if len(told) == 1:
        return codes[0]
    return 5 if all(outcome.status == "failed" for outcome in told) else 4
