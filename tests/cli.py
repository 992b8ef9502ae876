"""The command line in this process, for tests."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest

from blurdm_cli.commands.app import main
from blurdm_cli.engine.opening import open_runtime
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.spec import ModelSpec

TINY = ("--model", "blurdm-tiny", "--precision", "fp32")
"""The small model, in the precision that every machine has."""


@dataclass(frozen=True)
class Result:
    """Result of a command: exit code, stdout and stderr."""

    code: int
    out: str
    err: str


Blurdm = Callable[..., Result]


@cache
def _open_tiny(models: str | None, *options: str) -> tuple[Runtime, ModelSpec]:
    return open_runtime("blurdm-tiny", *options)


def _open(model: str, *options: str) -> tuple[Runtime, ModelSpec]:
    """Open a model; the small one is compiled once, which takes longer than most commands."""
    if model == "blurdm-tiny":
        return _open_tiny(os.environ.get("BLURDM_MODELS"), *options)
    return open_runtime(model, *options)


def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Blurdm:
    """A function that runs the command line with the words it is called with."""
    monkeypatch.setattr("blurdm_cli.engine.deblur.open_runtime", _open)

    def run(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["blurdm", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return run
