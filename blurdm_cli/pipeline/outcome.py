"""Outcome of a file: the record behind report lines, JSON and exit codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from blurdm_cli.errors import BlurdmError
from blurdm_cli.files.naming import FileJob
from blurdm_cli.pipeline.destinations import Destination, Reason

SCHEMA = 1
"""Version of the JSON objects; docs/json.md describes them."""

Status = Literal["done", "skipped", "planned", "failed"]


@dataclass(frozen=True)
class Outcome:
    """Outcome of one photo or video."""

    input: str
    output: str | None
    status: Status
    kind: Literal["photo", "video"] = "photo"
    reason: Reason = ""
    exit_code: int = 0
    seconds: float = 0.0
    """Time for reading, restoring and writing the file."""
    message: str = ""
    """Why it failed or was skipped; for a video, a summary."""
    hint: str = ""
    size: tuple[int, int] | None = None
    """Height and width in pixels."""
    blur: float | None = None
    """The blur score of the input, if it was requested."""
    motion: dict[str, float | None] | None = None
    """The estimated motion: length in pixels, direction in degrees, confidence; None if none was
    found or it was not estimated."""
    guarded: bool = False
    """Whether the result looked wrong and was repaired or recomputed."""
    hardly_changed: bool = False
    """Whether a blurred photo hardly changed."""
    error: BlurdmError | None = None
    """The error, if it failed; the JSON has its message, hint and code instead."""
    notes: tuple[str, ...] = ()
    """Notes on what could not be kept or was recomputed, one line each."""


def failed(input: Path, error: BlurdmError) -> Outcome:
    """The outcome of a file that failed."""
    said = Outcome(str(input), None, "failed", exit_code=error.exit_code, message=str(error))
    return replace(said, hint=error.hint or "", error=error)


def left(job: FileJob, place: Destination) -> Outcome:
    """The outcome of a file that is skipped, since it has no target."""
    there = place.existing or job.output
    said = Outcome(str(job.input), str(there), "skipped", reason=place.reason)
    return replace(said, message=place.why)


def planned(input: Path, target: Path | None) -> Outcome:
    """The outcome of a file in a dry run."""
    return Outcome(str(input), str(target), "planned", message=f"{input} -> {target}")


def as_row(outcome: Outcome, facts: Mapping[str, Any]) -> dict[str, Any]:
    """An outcome and the facts of its run, for JSON."""
    fields = asdict(replace(outcome, error=None))
    del fields["error"]
    return {"schema": SCHEMA, **fields, **facts}


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """0, or a single file's own code, or 4 if some failed or are incomplete, 5 if all failed."""
    finished = list(outcomes)
    codes = [outcome.exit_code for outcome in finished if outcome.exit_code]
    if not codes:
        return 0
    if len(finished) == 1:
        return codes[0]
    return 5 if all(outcome.status == "failed" for outcome in finished) else 4
