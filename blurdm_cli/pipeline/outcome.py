"""What became of a file: the record that lines, JSON and exit codes are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from blurdm_cli.errors import BlurdmError
from blurdm_cli.files.naming import Job
from blurdm_cli.pipeline.destinations import Destination, Reason

Status = Literal["done", "skipped", "planned", "failed"]


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
    error: BlurdmError | None = None
    """What ended it; not in the JSON, which has its message, hint and code."""
    notes: tuple[str, ...] = ()
    """What could not be kept, and what was done again, a line each."""


def failed(input: Path, error: BlurdmError) -> Outcome:
    """The outcome of a file that an error ended."""
    said = Outcome(str(input), None, "failed", exit_code=error.exit_code, message=str(error))
    return replace(said, hint=error.hint or "", error=error)


def left(job: Job, place: Destination) -> Outcome:
    """The outcome of a file that has no place to be written to, and is left alone."""
    there = place.existing or job.output
    said = Outcome(str(job.input), str(there), "skipped", reason=place.reason)
    return replace(said, message=place.why)


def planned(input: Path, target: Path | None) -> Outcome:
    """The outcome of a file that a dry run would have written."""
    return Outcome(str(input), str(target), "planned", message=f"{input} -> {target}")


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """0, or the single file's own code, or 4 for some that failed or are not whole, 5 for all."""
    told = list(outcomes)
    codes = [outcome.exit_code for outcome in told if outcome.exit_code]
    if not codes:
        return 0
    if len(told) == 1:
        return codes[0]
    return 5 if all(outcome.status == "failed" for outcome in told) else 4
