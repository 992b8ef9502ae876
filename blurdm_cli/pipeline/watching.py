"""Watch a folder: restore what arrives in it, until stopped."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from blurdm_cli.choices import OnExists
from blurdm_cli.errors import BlurdmError, OutputError, RuntimeMissing, UsageError
from blurdm_cli.files.journal import Journal
from blurdm_cli.files.objects import PACKAGES
from blurdm_cli.files.reading import no_input
from blurdm_cli.pipeline.arrivals import Arrivals
from blurdm_cli.pipeline.batch import deblur_files
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.reporter import Advance, Reporter, Silent

RETRY = 30.0
"""Seconds after which a file is tried again whose result could not be written."""

LEAST_TICK, TICK = 0.1, 1.0
"""Seconds between looks at files that arrive, whatever `settle` says."""

RESCAN = 60.0
"""Seconds between scans if no change is reported: reports can be lost."""

NETWORK = (
    *("nfs", "cifs", "smb", "9p", "afs", "davfs", "vboxsf", "prl_fs"),
    *("fuse.sshfs", "fuse.rclone", "fuse.gvfs", "fuse.s3fs", "fuse.vmhgfs"),
)
"""Beginnings of the names of file systems that report only this machine's own changes."""


@dataclass(frozen=True)
class Watching:
    """How a folder is watched."""

    folder: Path
    settle: float = 2.0
    """Seconds without a change after which a file is complete."""
    poll: float | None = None
    """Seconds between scans; None: scan when the system reports a change."""


Wakes = Callable[[Watching, Callable[[], float | None], Event], Iterator[None]]
"""Yields whenever the folder should be scanned; ends when the event is set."""


def watch_folder(
    watching: Watching,
    run: RunOptions,
    model: ModelOptions,
    photos: PhotoOptions,
    videos: VideoOptions,
    reporter: Reporter,
    stop: Event,
    wakes: Wakes | None = None,
) -> None:
    """Restore the photos and videos of a folder, and all that arrive later.

    Every file is recorded in the journal of the output folder. What the journal holds is not done
    again, even if its result was moved elsewhere; a file that has changed is.

    Args:
        watching: the folder, and how it is watched.
        run: where the results go; its output is a folder.
        model: the model that restores them; it stays open.
        photos: options for photos.
        videos: options for videos.
        reporter: receives the outcome of each file.
        stop: set to end.
        wakes: yields when to scan; None: as `watching` says.

    Raises:
        InputError: the folder cannot be read.
        UsageError: the output is the folder itself.
        BlurdmError: the model cannot be opened.
    """
    folder, output = watching.folder, Path(run.output or "")
    _check(folder, output)
    deblurrer = model.open()
    sources = Journal(output, "").sources()

    def is_done(path: Path) -> bool:
        return any(stamp.is_of(path) for stamp in sources.get(path.absolute(), ()))

    search = replace(run.search, skip=output)
    arrivals = Arrivals(folder, search, watching.settle, is_done)
    rounds = _Round(reporter)

    def restore(paths: list[Path], policy: OnExists) -> list[Path]:
        """Restore files; return those that were skipped, as there is a file of somebody else."""
        found = [(path, folder) for path in paths]
        some = replace(run, found=found, on_exists=policy)
        outcomes = deblur_files(some, model, photos, videos, rounds, deblurrer)
        for path in paths:
            if _is_unwritten(path, outcomes):
                arrivals.again(path, RETRY)
        taken = {outcome.input for outcome in outcomes if outcome.reason == "exists"}
        return [path for path in paths if str(path) in taken]

    for _ in (wakes or wake)(watching, lambda: arrivals.wait, stop):
        paths: list[Path] = []
        try:
            while not stop.is_set():
                arrivals.scan()  # again: files may have changed while others were restored
                if not (paths := arrivals.complete()):
                    break
                if taken := restore(paths, "skip"):
                    restore(taken, "rename")
                paths = []
        except BlurdmError as error:
            rounds.delayed(f"{error}; trying again in {RETRY:.0f} s")
            for path in paths:
                arrivals.again(path, RETRY)


def wake(watching: Watching, wait: Callable[[], float | None], stop: Event) -> Iterator[None]:
    """Yield when the system reports a change, when a file may be complete, and now and then.

    Raises:
        RuntimeMissing: watchfiles is not installed.
    """
    yield
    if watching.poll is not None:
        poll = watching.poll
        while not stop.wait(max(min(poll, _or(wait(), poll)), min(poll, TICK))):
            yield
        return
    try:
        import watchfiles
    except ModuleNotFoundError as error:
        raise RuntimeMissing(
            "watchfiles is not installed", hint="pip install watchfiles, or use --poll 10"
        ) from error
    begin = time.monotonic()
    first = True
    for changes in watchfiles.watch(
        watching.folder,
        watch_filter=None,
        rust_timeout=int(1000 * min(max(watching.settle, LEAST_TICK), TICK)),
        yield_on_timeout=True,
        stop_event=stop,
        ignore_permission_denied=True,
    ):
        # what arrived before the system was asked is found by the first scan
        late = time.monotonic() - begin > RESCAN
        if first or changes or late or wait() is not None:
            yield
            first, begin = False, time.monotonic()


def is_network(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Whether a folder is on a file system that other machines change without a report."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    real = os.path.realpath(folder)
    kinds: dict[str, str] = {}
    for line in lines.splitlines():
        _, place, kind, *_ = line.split(" ")
        kinds[re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), place)] = kind
    holding = [
        place for place in kinds if real == place or real.startswith(f"{place.rstrip('/')}/")
    ]
    return kinds[max(holding, key=len)].startswith(NETWORK) if holding else False


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _check(folder: Path, output: Path) -> None:
    try:
        os.scandir(folder).close()
    except NotADirectoryError as error:
        raise UsageError(
            f"{folder} is a file, not a folder", hint=f"blurdm deblur {folder}"
        ) from error
    except OSError as error:
        raise no_input(folder, error) from error
    if output.parts[:1] in [(f"{scheme}:",) for scheme in PACKAGES]:
        raise UsageError(
            f"{output} is in a bucket; blurdm watch writes to a folder",
            hint="Run blurdm deblur now and then: it only does what is new",
        )
    if os.path.realpath(folder) == os.path.realpath(output):
        raise UsageError(f"{output} is the watched folder itself", hint="Choose another --output")


def _is_unwritten(path: Path, outcomes: list[Outcome]) -> bool:
    """Whether a file should be tried again as it is: it was not reached, or not written."""
    for outcome in outcomes:
        if outcome.input == str(path):
            return isinstance(outcome.error, OutputError)
    return True


class _Round(Silent):
    """Passes on what concerns single files; the rounds themselves are not reported."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._warned = set[str]()
        self._delay = ""

    def warn(self, message: str) -> None:
        """Warn once, however many rounds repeat it."""
        if message not in self._warned:
            self._reporter.warn(message)
        self._warned.add(message)

    def delayed(self, why: str) -> None:
        """Report why files wait, unless they have waited for that since the last result."""
        if why != self._delay:
            self._reporter.warn(why)
        self._delay = why

    def progress(self, what: str) -> AbstractContextManager[Advance]:
        return self._reporter.progress(what)

    def finished(self, outcome: Outcome, facts: Mapping[str, Any]) -> None:
        self._delay = ""
        if outcome.reason != "exists":
            self._reporter.finished(outcome, facts)
