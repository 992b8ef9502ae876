"""Terminal output: messages and progress on stderr, data on stdout."""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from blurdm_cli.errors import BlurdmError


class Stderr:
    """stderr for all of Python.

    If it cannot be written to (a closed pipe, a full disk), the command continues without it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            _leave(self._stream)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _leave(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories of control characters, line separators and surrogates; the latter stand for
bytes that are not UTF-8."""

TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of text."""

console = Console(stderr=True, highlight=False)
_data = Console(highlight=False, markup=False, emoji=False)


def _shown(text: str) -> str:
    """Escape a text for rich: nothing in it is markup."""
    return escape(visible(text))


@contextmanager
def hold_progress(what: str) -> Iterator[Callable[[float, str], None]]:
    """Show a bar while the block runs; call what it yields with the fraction done and a note."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    shown = console.is_terminal and not console.quiet
    # Output to a terminal goes above the bar; output to a file is not redirected.
    both = sys.stdout is not None and sys.stdout.isatty()
    with Progress(
        *columns, console=console, disable=not shown, transient=True, redirect_stdout=both
    ) as progress:
        task = progress.add_task(_shown(what), total=1.0, note="")
        yield lambda done, note: progress.update(task, completed=done, note=_shown(note))


def print_data(data: RenderableType) -> None:
    """Print data on stdout."""
    with _wanted_data():
        _data.print(data, soft_wrap=isinstance(data, str))


def print_json(data: Any) -> None:
    """Print data on stdout, as JSON."""
    print_line(json.dumps(data, indent=2, ensure_ascii=False))


def print_line(line: str) -> None:
    """Print a line of data on stdout, and flush it.

    Characters that stdout's encoding lacks are written as JSON escapes.
    """
    encoding = sys.stdout.encoding if sys.stdout else "utf-8"
    with _wanted_data():
        try:
            line.encode(encoding)
        except UnicodeEncodeError:
            line = "".join(each if each < "\x80" else json.dumps(each)[1:-1] for each in line)
        print(line, flush=True)


def visible(text: str) -> str:
    """Escape characters that control a terminal or break lines.

    File names may hold them, and could then imitate our own output.
    """
    return "".join(
        each.encode("unicode_escape").decode()
        if each in TURNING or unicodedata.category(each) in UNSEEN
        else each
        for each in text
    )


def write_data(path: Path) -> None:
    """Write a file to stdout."""
    with _wanted_data(), path.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@contextmanager
def _wanted_data() -> Iterator[None]:
    """End the command, as an interruption does, if the reader of its data is gone.

    Raises:
        OutputError: the data cannot be written for another reason.
    """
    try:
        yield
    except BrokenPipeError:
        _leave(sys.stdout)
        raise KeyboardInterrupt from None
    except OSError as error:
        from blurdm_cli.files.atomic import output_error

        _leave(sys.stdout)
        raise output_error(Path(error.filename or "stdout"), error) from error


def _leave(stream: TextIO) -> None:
    """Redirect a closed stream to the null device."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def be_quiet() -> None:
    """Print no messages except errors."""
    console.quiet = True


def say(message: str) -> None:
    """Print one message."""
    console.print(_shown(message), soft_wrap=True)


def warn(message: str) -> None:
    """Print one warning about what was lost or looks wrong."""
    console.print(f"[yellow]warning[/]: {_shown(message)}", soft_wrap=True)


def report(error: BlurdmError, *, about: str = "") -> int:
    """Print an error and its hint, and return its exit code."""
    prefix = f"{about}: " if about else ""
    quiet, console.quiet = console.quiet, False
    console.print(f"[red]error[/]: {_shown(prefix + str(error))}", soft_wrap=True)
    if error.hint:
        console.print(f"  [cyan]fix[/]: {_shown(error.hint)}", soft_wrap=True)
    console.quiet = quiet
    return error.exit_code
