"""Journal of a run over a folder, file by file, so that the next run can resume.

The journal is `.blurdm/run.ndjson` in the output folder: one JSON object per line, appended
during the run, never changed. The last line of a file counts:

    {"input": "sub/a.jpg", "output": "sub/a.jpg", "settings": "5d41…", "status": "writing"}
    {"input": …, "output": …, "settings": …, "status": "written", "result": {…}}
    {"input": …, "output": …, "settings": …, "status": "done", "source": {…}, "result": {…}}

`source` and `result` identify the bytes that were read and written: size, modification time,
SHA-256. "written" is recorded for the finished file just before it is renamed to the output;
`replaced` is the stamp of the earlier result that it replaces. A run that was killed leaves a
"writing" or "written" without a "done" after it, and the output is made again. An output is our
own if its bytes match one of these stamps, and somebody else's otherwise: that a file exists
proves nothing.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blurdm_cli.errors import InputError, OutputError
from blurdm_cli.files.atomic import Seal, original_of, output_error
from blurdm_cli.files.inputs import Found
from blurdm_cli.files.locks import locked, no_locks
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.spec import parse_json

FOLDER, JOURNAL = ".blurdm", "run.ndjson"


class Journal:
    """The journal of one folder, open for one run."""

    def __init__(self, home: Path, settings: str, name: str = JOURNAL) -> None:
        """Read the entries of earlier runs.

        Args:
            home: the folder; its `.blurdm` exists already.
            settings: identifies everything that determines the result, except the input.
            name: the journal's path in `.blurdm`.
        """
        self.home = home
        self.settings = settings
        self._path = home / FOLDER / name
        self._last: dict[str, dict[str, Any]] = {}
        self._torn = False
        with suppress(FileNotFoundError):
            whole = stat.S_ISREG(self._path.lstat().st_mode)  # a pipe would block
            for line in self._path.read_bytes().splitlines(keepends=True) if whole else ():
                self._torn = not line.endswith(b"\n")
                with suppress(ValueError, KeyError, TypeError):  # cut off when the run was killed
                    entry = parse_json(line)
                    self._last[entry["output"]] = entry

    def under(self, settings: str) -> "Journal":
        """The same journal, for files that are restored with other settings."""
        other = copy(self)
        other.settings = settings
        return other

    def refresh(self, output: Path) -> None:
        """Do nothing: only this process writes to it."""

    def is_done(self, source: Path, output: Path) -> bool:
        """Whether this output was made from this input with these settings; both are unchanged."""
        entry = self._entry(output)
        return (
            entry.get("settings") == self.settings
            and entry.get("input") == self._name(source)
            and self._fits(entry.get("source"), source)
            and self.is_result(output)
        )

    def sources(self) -> dict[Path, list[Stamp]]:
        """The files that results were made from, with any settings, as they were then."""
        found: dict[Path, list[Stamp]] = {}
        for output, entry in self._last.items():
            with suppress(KeyError, TypeError):
                source = self.source_of(self.home / output)
                found.setdefault(source, []).append(Stamp(**entry["source"]))
        return found

    def tells_of(self, output: Path) -> bool:
        """Whether a run wrote this output or started to."""
        return self._name(output) in self._last

    def is_own(self, source: Path, output: Path) -> bool:
        """Whether the existing output was made from this input, and may be replaced."""
        return self._entry(output).get("input") == self._name(source) and bool(self._own(output))

    def is_result(self, output: Path) -> bool:
        """Whether the existing output was written by an earlier run and is unchanged."""
        entry = self._entry(output)
        return entry.get("status") == "done" and self._fits(entry.get("result"), output)

    def source_of(self, output: Path) -> Path:
        """The input of an output that is in this journal; an object's URL is no absolute path."""
        name = self._last[self._name(output)]["input"]
        return Path(name) if "://" in name else Path(os.path.abspath(self.home / name))

    def begin(self, source: Path, output: Path, stamp: Stamp | None = None) -> Seal:
        """Record that the output is about to be written.

        Args:
            source: the input.
            output: the output.
            stamp: identifies the bytes that were read, for journals that come with the output.

        Returns:
            A function that records the finished file.
        """
        self.start(source, output)
        return lambda part: self.seal(source, output, Stamp.of(part))

    def start(self, source: Path, output: Path) -> None:
        """Record that the output is about to be written."""
        self._note(source, output, {"status": "writing", "replaced": self._own(output)})

    def seal(self, source: Path, output: Path, result: Stamp) -> None:
        """Record the finished file, which is about to get the output's name."""
        replaced = self._entry(output).get("replaced")
        facts = {"status": "written", "result": asdict(result), "replaced": replaced}
        self._note(source, output, facts)

    def end(self, source: Path, output: Path, stamp: Stamp) -> None:
        """Record that the output was written from an input with this stamp."""
        entry = self._entry(output)
        result = entry["result"] if entry["status"] == "written" else asdict(Stamp.of(output))
        self._note(source, output, {"status": "done", "source": asdict(stamp), "result": result})

    def _own(self, output: Path) -> dict[str, Any] | None:
        """The stamp of the existing output, if a run wrote it."""
        entry = self._entry(output)
        stamps = (entry.get("result"), entry.get("replaced"))
        return next((stamp for stamp in stamps if stamp and self._fits(stamp, output)), None)

    def _entry(self, output: Path) -> dict[str, Any]:
        return self._last.get(self._name(output), {})

    def _note(self, source: Path, output: Path, facts: dict[str, Any]) -> None:
        names = {"input": self._name(source), "output": self._name(output)}
        entry = {**names, "settings": self.settings, **facts}
        self._last[names["output"]] = entry
        self._append(json.dumps(entry).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        line, self._torn = b"\n" * self._torn + line, False
        try:
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(self._path, error) from error

    def _name(self, path: Path) -> str:
        """A path relative to the folder, so that both can be moved together."""
        try:
            return Path(os.path.relpath(path, self.home)).as_posix()
        except ValueError:  # another drive
            return os.path.abspath(path)

    def _fits(self, stamp: Any, path: Path) -> bool:
        """Whether a stamp that was recorded identifies what is at a path now."""
        try:
            return Stamp(**stamp).fits(path)
        except (TypeError, OSError, InputError):
            return False


class Past:
    """The journals of earlier runs in all folders; each is read once."""

    def __init__(self) -> None:
        self._journals: dict[Path, Journal] = {}

    def journal_of(self, output: Path, root: Path | None = None) -> Journal | None:
        """The nearest journal that lists an output, in its folder or above, up to the root."""
        for home in output.parents:
            if home not in self._journals:
                self._journals[home] = Journal(home, "")
            if self._journals[home].tells_of(output):
                return self._journals[home]
            if home == root:
                break
        return None

    def without_results(self, found: Found) -> Found:
        """Leave out results of other files in the folders that these files were found in.

        Files that were restored in place are kept.
        """

        def is_result(path: Path, root: Path) -> bool:
            journal = self.journal_of(path, root)
            if journal is None or not journal.is_result(path):
                return False
            source = journal.source_of(path)
            in_place = source == Path(os.path.abspath(original_of(path)))
            return not in_place and source.is_relative_to(os.path.abspath(root))

        return [(path, root) for path, root in found if root is None or not is_result(path, root)]

    def at_home(self, found: Found) -> Found:
        """Replace each file's folder by the one whose journal records it when restored in place."""

        def home(path: Path, root: Path | None) -> Path:
            real = Path(os.path.realpath(path))
            journal = self.journal_of(real)
            return journal.home if journal else Path(os.path.realpath(root or real.parent))

        return [(path, home(path, root)) for path, root in found]


def open_folder(home: Path) -> Path:
    """Create a folder's `.blurdm`.

    Raises:
        OutputError: it is a link, which may lead to files of somebody else.
    """
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    refuse_link(folder)
    return folder


def refuse_link(path: Path) -> None:
    """Raise an OutputError if a path is a link: a run writes its state to no other place."""
    if path.is_symlink():
        raise OutputError(f"{path} is a link and is not followed", hint=f"Remove {path}")


@contextmanager
def open_journal(
    home: Path,
    settings: str,
    warn: Callable[[str], object] = lambda words: None,
    make: Callable[[Path, str], Journal] = Journal,
) -> Iterator[Journal]:
    """Open and lock a folder's journal; no other run can use it meanwhile.

    Args:
        home: the folder; it is created if missing.
        settings: identifies everything that determines the result, except the input.
        warn: called with a line if the disk has no locks.
        make: reads the journal of a folder.

    Raises:
        OutputError: another run holds it, the folder cannot be written to, or the journal is a
            link.
    """
    with ExitStack() as stack:
        try:
            folder = open_folder(home)
            refuse_link(folder / JOURNAL)
            stack.callback(remove_if_empty, folder)
            if not stack.enter_context(locked(folder / "lock", home)):
                warn(no_locks(home))
        except OSError as error:
            raise output_error(home / FOLDER, error) from error
        yield make(home, settings)


def remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
