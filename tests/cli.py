"""The command line in this process, for tests."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from blurdm_cli.commands.app import main

TINY = ("--model", "blurdm-tiny", "--precision", "fp32")
"""The small model, in the precision that every machine has."""


@dataclass(frozen=True)
class Result:
    """Result of a command: exit code, stdout and stderr."""

    code: int
    out: str
    err: str


Blurdm = Callable[..., Result]


def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Blurdm:
    """A function that runs the command line with the words it is called with."""

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
