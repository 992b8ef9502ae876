"""Reports of a run on the terminal: lines, JSON, progress and the summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurdm_cli.commands.console import hold_progress, print_line, report, say, warn
from blurdm_cli.errors import BlurdmError
from blurdm_cli.pipeline.outcome import as_row

if TYPE_CHECKING:
    from blurdm_cli.pipeline.outcome import Outcome
    from blurdm_cli.pipeline.reporter import Advance


class ConsoleReporter:
    """Reports on stderr, and optionally as JSON lines on stdout."""

    def __init__(
        self, *, json_lines: bool = False, shown: Callable[[Outcome], Outcome] = lambda each: each
    ) -> None:
        """Set up.

        Args:
            json_lines: whether to print JSON, one line per file.
            shown: adapts an outcome for display, such as "-" for the file of a pipe.
        """
        self._json_lines, self._shown = json_lines, shown

    def say(self, message: str) -> None:
        say(message)

    def warn(self, message: str) -> None:
        warn(message)

    def progress(self, what: str) -> AbstractContextManager[Advance]:
        return hold_progress(what)

    def finished(self, outcome: Outcome, facts: Mapping[str, Any]) -> None:
        outcome = self._shown(outcome)
        announce(outcome)
        if self._json_lines:
            print_line(json.dumps(as_row(outcome, facts), ensure_ascii=False))

    def summary(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        summarise(outcomes, seconds)


def announce(outcome: Outcome) -> None:
    """Print the outcome of a file, and one warning per note."""
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
    elif outcome.reason != "done-before":  # there may be thousands
        say(f"{outcome.status}: {outcome.message}")


def summarise(outcomes: Sequence[Outcome], seconds: float) -> None:
    """Print a summary of a run over several files."""
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
        parts += f" ({before} done before; --no-resume repeats them)" if before else ""
        files = "file" if len(outcomes) == 1 else "files"
        say(f"{len(outcomes)} {files}: {parts}  {seconds:.1f} s")
