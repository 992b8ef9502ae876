"""What is finished of a clip, on the disk, so that an interrupted run goes on where it ended.

A clip is encoded in segments of some seconds, each by an encoder of its own: so it makes no
difference to any frame whether a run was interrupted. They lie in `.blurdm/NAME/` beside the
result, and are joined and removed at the end:

    manifest.json      whose segments these are: the source's stamp, and all settings
    00000.segment      compressed frames one after the other, then an index of them, then where
    00001.segment      the index begins (8 bytes)

A segment is there whole or not at all, so a kill costs the one that was being written.
"""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from av.video.frame import VideoFrame
from filelock import FileLock, Timeout

from blurdm_cli.errors import OutputError
from blurdm_cli.files.atomic import atomic_output, output_error, stump
from blurdm_cli.files.journal import FOLDER
from blurdm_cli.spec import parse_json
from blurdm_cli.video.encoder import Encoding, as_encoded, open_encoder
from blurdm_cli.video.reader import AnyPacket

SECONDS = 4
"""Of video in a segment, about."""


class Coded(NamedTuple):
    """One compressed frame: where it is in its segment, and when it is shown."""

    size: int
    pts: int
    duration: int
    key: bool


@dataclass
class Segment:
    """A finished segment."""

    path: Path
    frames: list[Coded]
    """In the order in which they are decoded."""
    header: str
    """SHA-256 of the codec's headers: the same in all segments of a clip."""
    state: dict[str, Any] = field(default_factory=dict)
    """What the next segment has to know of those before it."""

    def packets(self) -> Iterator[tuple[Coded, bytes]]:
        """The compressed frames, read one by one."""
        with self.path.open("rb") as file:
            for coded in self.frames:
                yield coded, file.read(coded.size)

    @classmethod
    def read(cls, path: Path) -> "Segment":
        """Read the index of a segment.

        Raises:
            ValueError: the file is no whole segment.
        """
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            (begin,) = struct.unpack("<Q", file.read(8))
            file.seek(begin)
            told = parse_json(file.read()[:-8])
        frames = [Coded(*values) for values in told["frames"]]
        if sum(coded.size for coded in frames) != begin:
            raise ValueError(f"{path} is no whole segment")
        return cls(path, frames, told["header"], told["state"])


class SegmentWriter:
    """Compresses the frames of one segment into its file."""

    def __init__(self, file: BinaryIO, encoding: Encoding) -> None:
        self._file, self._encoding = file, encoding
        self._encoder = open_encoder(encoding)
        self._frames: list[Coded] = []
        self._durations: dict[int, int] = {}

    def write(self, frame: VideoFrame) -> None:
        """Compress a frame; its timestamp is in the encoding's time base."""
        assert frame.pts is not None
        self._durations[frame.pts] = frame.duration
        self._keep(self._encoder.encode(as_encoded(frame, self._encoding)))

    def close(self, state: dict[str, Any]) -> None:
        """Write what the encoder held back, and the index."""
        self._keep(self._encoder.encode())
        header = hashlib.sha256(self._encoder.extradata or b"").hexdigest()
        begin = sum(coded.size for coded in self._frames)
        told = {"frames": self._frames, "header": header, "state": state}
        self._file.write(json.dumps(told).encode() + struct.pack("<Q", begin))

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
        """From the first one on, as far as none is missing."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            while True:
                self.finished.append(Segment.read(self._path(len(self.finished))))

    @property
    def done(self) -> int:
        """How many frames are finished."""
        return sum(len(segment.frames) for segment in self.finished)

    @property
    def state(self) -> dict[str, Any]:
        """What the last finished segment left to know."""
        return self.finished[-1].state if self.finished else {}

    @contextmanager
    def writer(self, state: dict[str, Any]) -> Iterator[SegmentWriter]:
        """Write the next segment; it is finished once the block has ended well.

        Args:
            state: what the segment after it has to know; may be filled in until then.
        """
        path = self._path(len(self.finished))
        with atomic_output(path) as part, part.open("wb") as file:
            writer = SegmentWriter(file, self._encoding)
            yield writer
            writer.close(state)
        self.finished.append(Segment.read(path))

    def clear(self) -> None:
        """Remove all that was kept for resuming."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):
            self._folder.parent.rmdir()  # where nothing else is in it

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05}.segment"


@contextmanager
def open_store(
    target: Path, encoding: Encoding, manifest: dict[str, Any], *, resume: bool = True
) -> Iterator[SegmentStore]:
    """Hold the segments of a result; no other run may have them meanwhile.

    Segments of another source or of other settings are thrown away.

    Args:
        target: the result.
        encoding: how its frames are compressed.
        manifest: plain values that name all that decides the result.
        resume: whether to keep what an earlier run finished.

    Raises:
        OutputError: another run holds them, or the folder cannot be written to.
    """
    name = stump(target.name)
    folder = target.parent / FOLDER / name
    lock = FileLock(folder.with_name(f"{name}.lock"), timeout=0)
    told = json.dumps({**manifest, "encoding": encoding.to_json()}, indent=2, sort_keys=True)
    path = folder / "manifest.json"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        kept = path.read_text() if path.exists() else None
        if not resume or kept != told:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with atomic_output(path) as part:
                part.write_text(told)
    except Timeout as error:
        raise OutputError(
            f"Another run is writing {target}", hint="Wait for its end, or choose another name"
        ) from error
    except OSError as error:
        lock.release()
        raise output_error(folder, error) from error
    try:
        yield SegmentStore(folder, encoding)
    finally:
        lock.release()
        with suppress(OSError):
            Path(lock.lock_file).unlink()
            folder.parent.rmdir()
