"""On-disk store of finished segments, so that an interrupted run can resume.

A clip is encoded in segments of a few seconds, each with a new encoder, so an interruption does
not change any frame. Segments are stored in `.blurdm/NAME/` next to the result, and are joined
and removed at the end:

    progress.json      identifies the segments: the source's stamp, and all settings
    00000.segment      compressed frames one after the other, then an index of them, then the
    00001.segment      offset of the index (8 bytes)

Segments are written atomically, so a kill only loses the one that was being written.
"""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from av.video.frame import VideoFrame

from blurdm_cli.errors import OutputError
from blurdm_cli.files.atomic import atomic_output, output_error, stump
from blurdm_cli.files.journal import FOLDER, open_folder, refuse_link, remove_if_empty
from blurdm_cli.files.locks import locked
from blurdm_cli.files.progress import Progress
from blurdm_cli.spec import parse_json
from blurdm_cli.video.encoder import Encoding, as_encoded, open_encoder
from blurdm_cli.video.packet import AnyPacket

SECONDS = 4
"""Approximate duration of a segment."""


class Coded(NamedTuple):
    """One compressed frame: its size in the segment, and its display time."""

    size: int
    pts: int
    duration: int
    key: bool


@dataclass
class Segment:
    """A finished segment."""

    path: Path
    frames: list[Coded]
    """In decode order."""
    header: str
    """SHA-256 of the codec's headers: the same in all segments of a clip."""
    state: dict[str, Any] = field(default_factory=dict)
    """State that the next segment needs from those before it."""
    notes: list[str] = field(default_factory=list)
    """Notes on its frames, one line each."""

    def packets(self) -> Iterator[tuple[Coded, bytes]]:
        """Read the compressed frames one by one."""
        with self.path.open("rb") as file:
            for coded in self.frames:
                yield coded, file.read(coded.size)

    @classmethod
    def read(cls, path: Path) -> "Segment":
        """Read the index of a segment.

        Raises:
            ValueError: the file is not a complete segment.
        """
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            (begin,) = struct.unpack("<Q", file.read(8))
            file.seek(begin)
            index = parse_json(file.read()[:-8])
        frames = [Coded(*values) for values in index["frames"]]
        if sum(coded.size for coded in frames) != begin:
            raise ValueError(f"{path} is not a complete segment")
        return cls(path, frames, index["header"], index["state"], index["notes"])


class SegmentWriter:
    """Compresses the frames of one segment into its file."""

    def __init__(self, file: BinaryIO, encoding: Encoding) -> None:
        self._file, self._encoding = file, encoding
        self._encoder = open_encoder(encoding)
        self._frames: list[Coded] = []
        self._durations: dict[int, int] = {}

    def write(self, frame: VideoFrame) -> None:
        """Compress a frame whose timestamp is in the encoding's time base."""
        assert frame.pts is not None
        self._durations[frame.pts] = frame.duration
        self._keep(self._encoder.encode(as_encoded(frame, self._encoding)))

    def close(self, state: dict[str, Any], notes: Iterable[str]) -> None:
        """Write the frames that the encoder held back, and the index."""
        self._keep(self._encoder.encode())
        header = hashlib.sha256(self._encoder.extradata or b"").hexdigest()
        begin = sum(coded.size for coded in self._frames)
        index = {"frames": self._frames, "header": header, "state": state, "notes": [*notes]}
        self._file.write(json.dumps(index).encode() + struct.pack("<Q", begin))

    def _keep(self, packets: list[AnyPacket]) -> None:
        for packet in packets:
            assert packet.pts is not None
            duration = self._durations.pop(packet.pts)
            self._frames.append(Coded(packet.size, packet.pts, duration, packet.is_keyframe))
            self._file.write(bytes(packet))


Whose = Literal["ours", "others", "earlier"]
"""Who restores a segment: this run or worker, another one, or an earlier run, which did."""


class SegmentStore:
    """The segments of one result, open for one run, or for each of its workers."""

    def __init__(
        self, folder: Path, encoding: Encoding, take: Callable[[int], bool] = lambda number: True
    ) -> None:
        """Find the segments of earlier runs.

        Args:
            folder: holds the segments.
            encoding: the encoding of the frames.
            take: whether this worker is the one that restores a segment.
        """
        self._folder, self._encoding, self._take = folder, encoding, take
        self._finished: dict[int, Segment] = {}
        names = (path.stem for path in folder.glob("*.segment"))
        self._earlier = {int(name) for name in names if name.isdecimal() and self._find(int(name))}
        self.done, self.state = 0, dict[str, Any]()
        for number in range(len(self._finished)):
            if number not in self._finished:
                break
            self.done += len(self._finished[number].frames)
            self.state = self._finished[number].state

    def whose(self, number: int) -> Whose:
        """Who restores a segment; asks only once for those that are ours."""
        if number in self._earlier:
            return "earlier"
        return "ours" if not self._find(number) and self._take(number) else "others"

    def whole(self, count: int) -> list[Segment] | None:
        """All segments of a clip, in order; None if one of so many is not finished."""
        found = all([self._find(number) for number in range(count)])
        return [self._finished[number] for number in range(count)] if found else None

    @contextmanager
    def writer(
        self, number: int, state: dict[str, Any], notes: Mapping[str, None]
    ) -> Iterator[SegmentWriter]:
        """Write a segment; it is finished when the block ends without an error.

        Args:
            number: its number, from 0.
            state: state for the segment after it; may be filled in until then.
            notes: notes on its frames; may be filled in until then.
        """
        with atomic_output(self._path(number)) as part, part.open("wb") as file:
            writer = SegmentWriter(file, self._encoding)
            yield writer
            writer.close(state, notes)

    def clear(self) -> None:
        """Remove everything that was kept for resuming."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):
            self._folder.parent.rmdir()  # if it is empty

    def _find(self, number: int) -> bool:
        """Whether a segment is finished."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            if number not in self._finished:
                self._finished[number] = Segment.read(self._path(number))
        return number in self._finished

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05}.segment"


def state_folder(target: Path) -> Path:
    """The folder of everything that is kept for resuming the work on a result."""
    return target.parent / FOLDER / stump(target.name)


@contextmanager
def open_state(target: Path) -> Iterator[Path]:
    """Lock the folder of everything that is kept for resuming the work on a result.

    Args:
        target: the result, or the pattern of an image sequence.

    Yields:
        The folder, which need not exist.

    Raises:
        OutputError: another run holds the lock, or the folder cannot be written to.
    """
    folder = state_folder(target)
    with ExitStack() as stack:
        try:
            home = open_folder(target.parent)
            refuse_link(folder)
            stack.callback(remove_if_empty, home)
            stack.enter_context(locked(home / f"{folder.name}.lock", target))
        except OSError as error:
            raise output_error(folder, error) from error
        yield folder


@contextmanager
def open_store(
    target: Path,
    encoding: Encoding,
    manifest: dict[str, Any],
    take: Callable[[int], bool] = lambda number: True,
    *,
    resume: bool = True,
) -> Iterator[SegmentStore]:
    """Open and lock the segments of a result; no other run can use them meanwhile.

    Segments of another source or with other settings are deleted.

    Args:
        target: the result.
        encoding: the encoding of its frames.
        manifest: plain values that identify everything that determines the result.
        take: see `SegmentStore`.
        resume: whether to keep the finished segments of an earlier run.

    Raises:
        OutputError: another run holds the lock, or the folder cannot be written to.
    """
    with open_state(target) as folder:
        try:
            progress = _progress(folder, encoding, manifest)
            if not (resume and progress.is_begun):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                progress.keep(0, {})
        except OSError as error:
            raise output_error(folder, error) from error
        yield SegmentStore(folder, encoding, take)


def join_store(
    target: Path, encoding: Encoding, manifest: dict[str, Any], take: Callable[[int], bool]
) -> SegmentStore:
    """Use the segments of a result that another worker of the run opened and locked.

    Args:
        target: the result.
        encoding: the encoding of its frames.
        manifest: as for `open_store`.
        take: see `SegmentStore`.

    Raises:
        OutputError: there are none, or of another source or with other settings.
    """
    folder = state_folder(target)
    if not _progress(folder, encoding, manifest).is_begun:
        raise OutputError(f"{folder} does not hold segments of this video")
    return SegmentStore(folder, encoding, take)


def _progress(folder: Path, encoding: Encoding, manifest: dict[str, Any]) -> Progress:
    return Progress(folder, {**manifest, "encoding": encoding.to_json()})
