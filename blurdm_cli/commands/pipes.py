"""Support for stdin and stdout as input and output."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from blurdm_cli.commands.console import write_data
from blurdm_cli.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from blurdm_cli.pipeline.options import RunOptions
    from blurdm_cli.pipeline.outcome import Outcome

PIPE = "-"
"""Name of stdin and stdout on the command line."""


@contextmanager
def piped(
    run: RunOptions, *, compare: bool, json_lines: bool
) -> Iterator[tuple[RunOptions, Callable[[Outcome], Outcome]]]:
    """Replace stdin and stdout with temporary files, and show those files as "-" in outcomes."""
    reads = PIPE in run.inputs
    writes = run.output == PIPE or (reads and run.output is None)
    if not reads and not writes:
        yield run, lambda outcome: outcome
        return
    _check_pipes(run, writes, compare, json_lines)
    results: list[str] = []
    with tempfile.TemporaryDirectory(prefix="blurdm-") as folder:
        if reads:
            run = replace(run, inputs=[str(_spooled(Path(folder)))])
        if writes:
            run = replace(run, output=str(Path(folder, "out")), single=True)
        spooled = run.inputs[0]

        def shown(outcome: Outcome) -> Outcome:
            sharp = outcome.input if outcome.reason == "not-blurred" else None
            if writes and (result := outcome.output or sharp):
                results.append(result)
            names = {spooled: PIPE} if reads else {}
            names |= {outcome.output: PIPE} if writes and outcome.output else {}
            said = outcome.message
            for path, name in names.items():
                said = said.replace(path, name)
            return replace(
                outcome,
                input=names.get(outcome.input, outcome.input),
                output=names.get(outcome.output or "", outcome.output),
                message=said,
            )

        yield run, shown
        for path in filter(os.path.exists, results):
            write_data(Path(path))


def _check_pipes(run: RunOptions, writes: bool, compare: bool, json_lines: bool) -> None:
    if len(run.inputs) > 1 or os.path.isdir(run.inputs[0]):
        raise UsageError("stdin and stdout hold one photo", hint="Name one input")
    if run.in_place:
        raise UsageError("--in-place needs files, not stdin or stdout", hint="Leave out --in-place")
    if writes and sys.stdout is None:
        raise OutputError("stdout is closed", hint="Name a file with --output")
    if writes and compare:
        raise UsageError(
            "stdout cannot hold both the photo and the picture of --compare",
            hint="Name a file with --output",
        )
    if writes and json_lines:
        raise UsageError(
            "--json and the photo cannot both go to stdout", hint="Name a file with --output"
        )


def _spooled(folder: Path) -> Path:
    """Write stdin to a file."""
    from blurdm_cli.files.formats import SUFFIX_OF
    from blurdm_cli.files.signatures import kind_of_file

    if sys.stdin is None:
        raise InputError("stdin is closed", hint="Name a file, or pipe one in")
    path = folder / "stdin"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    suffix = SUFFIX_OF.get(kind_of_file(path) or "", "")
    return path.rename(path.with_suffix(suffix))
