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

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from blurdm_cli.errors import InputError, OutputError
from blurdm_cli.files.atomic import Seal, original_of, output_error
from blurdm_cli.files.inputs import Found
from blurdm_cli.files.reading import check_regular, no_input
from blurdm_cli.spec import parse_json

FOLDER, JOURNAL = ".blurdm", "run.ndjson"


@dataclass(frozen=True)
class Stamp:
    """Identifies the content of a file."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Read and hash the whole file.

        Raises:
            InputError: it cannot be read, or is changed meanwhile.
        """
        check_regular(path)
        try:
            before = path.stat()
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = path.stat()
        except OSError as error:
            raise no_input(path, error) from error
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise InputError(
                f"{path} changed while it was being read", hint="Try again when it is complete"
            )
        return cls(after.st_size, after.st_mtime_ns, digest)

    def is_of(self, path: Path) -> bool:
        """Whether the file still has this size and modification time; it is not read."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)

    def fits(self, path: Path) -> bool:
        """Whether the file still has this content; it is read only if its time has changed."""
        return self.is_of(path) or (
            path.is_file()
            and path.stat().st_size == self.size
            and Stamp.of(path).sha256 == self.sha256
        )


class Journal:
    """The journal of one folder, open for one run."""

    def __init__(self, home: Path, settings: str) -> None:
        """Read the entries of earlier runs.

        Args:
            home: the folder; its `.blurdm` exists already.
            settings: identifies everything that determines the result, except the input.
        """
        self.home = home
        self.settings = settings
        self._path = home / FOLDER / JOURNAL
        self._last: dict[str, dict[str, Any]] = {}
        self._torn = False
        with suppress(FileNotFoundError):
            for line in self._path.read_bytes().splitlines(keepends=True):
                self._torn = not line.endswith(b"\n")
                with suppress(ValueError, KeyError, TypeError):  # cut off when the run was killed
                    entry = parse_json(line)
                    self._last[entry["output"]] = entry

    def under(self, settings: str) -> "Journal":
        """The same journal, for files that are restored with other settings."""
        other = copy(self)
        other.settings = settings
        return other

    def is_done(self, source: Path, output: Path) -> bool:
        """Whether this output was made from this input with these settings; both are unchanged."""
        entry = self._entry(output)
        return (
            entry.get("settings") == self.settings
            and entry.get("input") == self._name(source)
            and _fits(entry.get("source"), source)
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
        return entry.get("status") == "done" and _fits(entry.get("result"), output)

    def source_of(self, output: Path) -> Path:
        """The input of an output that is in this journal."""
        return Path(os.path.abspath(self.home / self._last[self._name(output)]["input"]))

    def begin(self, source: Path, output: Path) -> Seal:
        """Record that the output is about to be written.

        Returns:
            A function that records the finished file; it raises an OutputError if the file at
            the output path has changed since.
        """
        replaced, there = self._own(output), _identity(output)
        self._note(source, output, {"status": "writing", "replaced": replaced})

        def seal(part: Path) -> None:
            if _identity(output) != there:
                raise OutputError(
                    f"{output} was changed by somebody else while the result was being made",
                    hint="Move it elsewhere and run the same command again",
                )
            result = asdict(Stamp.of(part))
            facts = {"status": "written", "result": result, "replaced": replaced}
            self._note(source, output, facts)

        return seal

    def end(self, source: Path, output: Path, stamp: Stamp) -> None:
        """Record that the output was written from an input with this stamp."""
        entry = self._entry(output)
        result = entry["result"] if entry["status"] == "written" else asdict(Stamp.of(output))
        self._note(source, output, {"status": "done", "source": asdict(stamp), "result": result})

    def _own(self, output: Path) -> dict[str, Any] | None:
        """The stamp of the existing output, if a run wrote it."""
        entry = self._entry(output)
        stamps = (entry.get("result"), entry.get("replaced"))
        return next((stamp for stamp in stamps if stamp and _fits(stamp, output)), None)

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


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Inode, time and size, which differ if a file was replaced; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _fits(stamp: Any, path: Path) -> bool:
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


@contextmanager
def open_journal(home: Path, settings: str) -> Iterator[Journal]:
    """Open and lock a folder's journal; no other run can use it meanwhile.

    Args:
        home: the folder; it is created if missing.
        settings: identifies everything that determines the result, except the input.

    Raises:
        OutputError: another run holds it, or the folder cannot be written to.
    """
    folder = home / FOLDER
    lock = FileLock(folder / "lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"Another run is writing to {home}", hint="Wait until it ends, or use another folder"
        ) from error
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        yield Journal(home, settings)
    finally:
        lock.release()
        if not (folder / JOURNAL).exists():  # nothing was written
            with suppress(OSError):
                (folder / "lock").unlink(missing_ok=True)
                folder.rmdir()
