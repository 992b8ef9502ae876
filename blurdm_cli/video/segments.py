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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from av.video.frame import VideoFrame

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
        return cls(path, frames, index["header"], index["state"])


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

    def close(self, state: dict[str, Any]) -> None:
        """Write the frames that the encoder held back, and the index."""
        self._keep(self._encoder.encode())
        header = hashlib.sha256(self._encoder.extradata or b"").hexdigest()
        begin = sum(coded.size for coded in self._frames)
        index = {"frames": self._frames, "header": header, "state": state}
        self._file.write(json.dumps(index).encode() + struct.pack("<Q", begin))

    def _keep(self, packets: list[AnyPacket]) -> None:
        for packet in packets:
            assert packet.pts is not None
            duration = self._durations.pop(packet.pts)
            self._frames.append(Coded(packet.size, packet.pts, duration, packet.is_keyframe))
            self._file.write(bytes(packet))


class SegmentStore:
    """The segments of one result, open for one run."""

    def __init__(self, folder: Path, encoding: Encoding) -> None:
        self._folder, self._encoding = folder, encoding
        self.finished: list[Segment] = []
        """All segments up to the first missing one."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            while True:
                self.finished.append(Segment.read(self._path(len(self.finished))))

    @property
    def done(self) -> int:
        """Number of finished frames."""
        return sum(len(segment.frames) for segment in self.finished)

    @property
    def state(self) -> dict[str, Any]:
        """State that the last finished segment left."""
        return self.finished[-1].state if self.finished else {}

    @contextmanager
    def writer(self, state: dict[str, Any]) -> Iterator[SegmentWriter]:
        """Write the next segment; it is finished when the block ends without an error.

        Args:
            state: state for the segment after it; may be filled in until then.
        """
        path = self._path(len(self.finished))
        with atomic_output(path) as part, part.open("wb") as file:
            writer = SegmentWriter(file, self._encoding)
            yield writer
            writer.close(state)
        self.finished.append(Segment.read(path))

    def clear(self) -> None:
        """Remove everything that was kept for resuming."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):
            self._folder.parent.rmdir()  # if it is empty

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05}.segment"


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
    name = stump(target.name)
    folder = target.parent / FOLDER / name
    with ExitStack() as stack:
        try:
            home = open_folder(target.parent)
            refuse_link(folder)
            stack.callback(remove_if_empty, home)
            stack.enter_context(locked(home / f"{name}.lock", target))
        except OSError as error:
            raise output_error(folder, error) from error
        yield folder


@contextmanager
def open_store(
    target: Path, encoding: Encoding, manifest: dict[str, Any], *, resume: bool = True
) -> Iterator[SegmentStore]:
    """Open and lock the segments of a result; no other run can use them meanwhile.

    Segments of another source or with other settings are deleted.

    Args:
        target: the result.
        encoding: the encoding of its frames.
        manifest: plain values that identify everything that determines the result.
        resume: whether to keep the finished segments of an earlier run.

    Raises:
        OutputError: another run holds the lock, or the folder cannot be written to.
    """
    with open_state(target) as folder:
        try:
            progress = Progress(folder, {**manifest, "encoding": encoding.to_json()})
            if not (resume and progress.is_begun):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                progress.keep(0, {})
        except OSError as error:
            raise output_error(folder, error) from error
        yield SegmentStore(folder, encoding)
