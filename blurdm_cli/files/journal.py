"""What a run over a folder did, file by file, so that the next one goes on where it ended.

The journal is `.blurdm/run.ndjson` in the folder of the results: one JSON object a line, added
as the run goes, never changed. A file's last line counts:

    {"input": "sub/a.jpg", "output": "sub/a.jpg", "settings": "5d41…", "status": "writing"}
    {"input": …, "output": …, "settings": …, "status": "written", "result": {…}}
    {"input": …, "output": …, "settings": …, "status": "done", "source": {…}, "result": {…}}

`source` and `result` say which bytes were read and written: size, time of the last change,
SHA-256. "written" is noted of the finished file just before it takes its place; `replaced` says
which earlier result it takes it from. A run that was killed leaves a "writing" or "written"
without a "done" behind it, and the output is made again. What stands there is a run's own if it
has one of the bytes noted, and somebody else's otherwise: that a file is there proves nothing.
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
    """Which bytes a file holds."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Read the file through.

        Raises:
            InputError: it cannot be read, or is written to meanwhile.
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
                f"{path} was changed while it was read", hint="Start again when it is finished"
            )
        return cls(after.st_size, after.st_mtime_ns, digest)

    def is_of(self, path: Path) -> bool:
        """Whether the file has this size and time still; it is not read."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)

    def fits(self, path: Path) -> bool:
        """Whether the file still holds these bytes; it is read only if its time was changed."""
        return self.is_of(path) or (
            path.is_file()
            and path.stat().st_size == self.size
            and Stamp.of(path).sha256 == self.sha256
        )


class Journal:
    """The journal of one folder, open for one run."""

    def __init__(self, home: Path, settings: str) -> None:
        """Read what earlier runs did.

        Args:
            home: the folder; its `.blurdm` is there already.
            settings: names all that decides what is written, but for the input.
        """
        self.home = home
        self.settings = settings
        self._path = home / FOLDER / JOURNAL
        self._last: dict[str, dict[str, Any]] = {}
        self._torn = False
        with suppress(FileNotFoundError):
            for line in self._path.read_bytes().splitlines(keepends=True):
                self._torn = not line.endswith(b"\n")
                with suppress(ValueError, KeyError, TypeError):  # a kill cut it off
                    told = parse_json(line)
                    self._last[told["output"]] = told

    def under(self, settings: str) -> "Journal":
        """The same journal, for files whose results other settings decide."""
        other = copy(self)
        other.settings = settings
        return other

    def is_done(self, source: Path, output: Path) -> bool:
        """Whether this output was made of this input with these settings, and is still so."""
        told = self._told(output)
        return (
            told.get("settings") == self.settings
            and told.get("input") == self._name(source)
            and _fits(told.get("source"), source)
            and self.is_result(output)
        )

    def tells_of(self, output: Path) -> bool:
        """Whether a run wrote or began to write this output."""
        return self._name(output) in self._last

    def is_own(self, source: Path, output: Path) -> bool:
        """Whether what stands at the output was made of this input, and may be made anew."""
        return self._told(output).get("input") == self._name(source) and bool(self._own(output))

    def is_result(self, output: Path) -> bool:
        """Whether what stands at the output was written by an earlier run, and is still so."""
        told = self._told(output)
        return told.get("status") == "done" and _fits(told.get("result"), output)

    def source_of(self, output: Path) -> Path:
        """The input that an output was made of which this journal tells of."""
        return Path(os.path.abspath(self.home / self._last[self._name(output)]["input"]))

    def begin(self, source: Path, output: Path) -> Seal:
        """Note that the output is about to be written.

        Returns:
            What notes the finished file; it raises an OutputError where another file came to
            the output's place since.
        """
        replaced, there = self._own(output), _identity(output)
        self._note(source, output, {"status": "writing", "replaced": replaced})

        def seal(part: Path) -> None:
            if _identity(output) != there:
                raise OutputError(
                    f"{output} was put there by somebody else while its content was made",
                    hint="Move it elsewhere, and give the same command again",
                )
            result = asdict(Stamp.of(part))
            told = {"status": "written", "result": result, "replaced": replaced}
            self._note(source, output, told)

        return seal

    def end(self, source: Path, output: Path, stamp: Stamp) -> None:
        """Note that the output was written, of an input with this stamp."""
        told = self._told(output)
        result = told["result"] if told["status"] == "written" else asdict(Stamp.of(output))
        self._note(source, output, {"status": "done", "source": asdict(stamp), "result": result})

    def _own(self, output: Path) -> dict[str, Any] | None:
        """The stamp of what stands at the output, if a run wrote it."""
        told = self._told(output)
        stamps = (told.get("result"), told.get("replaced"))
        return next((stamp for stamp in stamps if stamp and _fits(stamp, output)), None)

    def _told(self, output: Path) -> dict[str, Any]:
        return self._last.get(self._name(output), {})

    def _note(self, source: Path, output: Path, told: dict[str, Any]) -> None:
        names = {"input": self._name(source), "output": self._name(output)}
        told = {**names, "settings": self.settings, **told}
        self._last[names["output"]] = told
        self._append(json.dumps(told).encode() + b"\n")

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
        """A path as seen from the folder, so that both may be moved together."""
        try:
            return Path(os.path.relpath(path, self.home)).as_posix()
        except ValueError:  # another drive
            return os.path.abspath(path)


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Inode, time and size, which tell a file from its successor; None where there is none."""
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
    """What the journals of folders tell of earlier runs; each is read once."""

    def __init__(self) -> None:
        self._journals: dict[Path, Journal] = {}

    def journal_of(self, output: Path, root: Path | None = None) -> Journal | None:
        """The nearest journal that tells of an output, in its folder or above, up to the root."""
        for home in output.parents:
            if home not in self._journals:
                self._journals[home] = Journal(home, "")
            if self._journals[home].tells_of(output):
                return self._journals[home]
            if home == root:
                break
        return None

    def without_results(self, found: Found) -> Found:
        """Leave out what was made of other files in the folders that these were found through.

        What was restored in place stays.
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
        """Name the folder whose journal is to tell of each file once it is restored in place."""

        def home(path: Path, root: Path | None) -> Path:
            real = Path(os.path.realpath(path))
            journal = self.journal_of(real)
            return journal.home if journal else Path(os.path.realpath(root or real.parent))

        return [(path, home(path, root)) for path, root in found]


@contextmanager
def open_journal(home: Path, settings: str) -> Iterator[Journal]:
    """Hold a folder's journal; no other run may have it meanwhile.

    Args:
        home: the folder; it is made where it is missing.
        settings: names all that decides what is written, but for the input.

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
            f"Another run is writing to {home}", hint="Wait for its end, or choose another folder"
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
