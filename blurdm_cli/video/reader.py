"""Videos as they are read: what a file holds, and its frames with their timestamps.

Frames come in the order in which they are shown, each with a timestamp in the stream's own time
base, so that a variable frame rate stays one. What cannot be decoded is passed over and counted.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from blurdm_cli.errors import DecodeError, InputError
from blurdm_cli.files.reading import check_regular, no_input
from blurdm_cli.video.tags import Colour, Matrix, colour_of, hdr_of, matrix_of
from blurdm_cli.video.yuv import planar

if TYPE_CHECKING:
    AnyPacket: TypeAlias = Packet[Stream]
else:
    AnyPacket = Packet  # is no generic class at run time

WITHOUT_TIMES = frozenset({"h264", "hevc", "m4v", "mjpeg", "obu"})
"""FFmpeg's names of formats that are frames and nothing else."""


@dataclass(frozen=True)
class Clip:
    """What a video holds, as its headers and its first frame say."""

    path: Path
    height: int
    width: int
    codec: str
    """FFmpeg's name of the codec family: "h264", "prores"."""
    profile: str
    pix_fmt: str
    """Of the frames as `read_frames` gives them."""
    rate: Fraction
    """Frames a second, on average."""
    time_base: Fraction
    """Seconds that a timestamp counts in."""
    aspect: Fraction | None
    """Width of a pixel by its height."""
    colour: Colour
    matrix: Matrix | None
    """How it is turned when it is shown."""
    hdr: dict[str, bytes] = field(default_factory=dict)
    """FFmpeg's structures of the first frame: how bright it was mastered."""
    begin: Fraction = Fraction(0)
    """When the file's first stream starts, seconds."""
    end: Fraction | None = None
    """When the header says that the pictures end, or else the file; in its time, seconds."""
    is_own_end: bool = False
    """Whether `end` is of the pictures alone."""
    frames: int | None = None
    """How many there are, or should be by duration and rate."""
    interlaced: bool = False
    steady: Fraction | None = None
    """Frames a second, of the slowest rate at which no two are at one place; None: on average."""
    is_pictures: bool = False
    """Whether it is no file, but numbered pictures."""
    unkept: tuple[str, ...] = ()
    """What of numbered pictures a video does not hold, a line each."""


@contextmanager
def open_video(path: Path) -> Iterator[InputContainer]:
    """A file, opened by FFmpeg.

    Raises:
        InputError: the file is missing or may not be read.
        DecodeError: it is no video, or damaged from the start.
    """
    check_regular(path)
    try:
        # by its whole path: "12:30.mp4" would be a protocol's name, and "http:…" be fetched
        with av.open(
            os.path.abspath(path),
            "r",
            metadata_errors="replace",
            options={"protocol_whitelist": "file,crypto,data"},
        ) as container:
            yield container
    except OSError as error:
        raise no_input(path, error) from error
    except av.FFmpegError as error:
        raise DecodeError(
            f"{path} cannot be read as a video: {error.strerror}",
            hint="It may be cut off or no video; a player such as VLC can tell",
        ) from error


def main_stream(container: InputContainer) -> VideoStream:
    """The stream that is deblurred: the first one that is no cover picture.

    Raises:
        DecodeError: there is none, or its codec is unknown.
    """
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise DecodeError(
                f"{container.name} has pictures in a codec that FFmpeg does not know",
                hint="The file may be damaged; a player such as VLC can tell",
            )
        return stream
    raise DecodeError(
        f"{container.name} holds no moving pictures", hint="A file with sound alone stays as it is"
    )


def open_clip(path: Path) -> Clip:
    """Read a video's headers and decode its first frame.

    Raises:
        InputError, DecodeError: as `open_video`; or not one frame can be decoded.
    """
    with open_video(path) as container:
        stream = main_stream(container)
        context, rate = stream.codec_context, stream.average_rate or stream.guessed_rate
        first = next(_decoded(container, stream, Losses()), None)
        if first is None:
            raise DecodeError(
                f"{path}: not one frame can be decoded", hint="The file may be cut off"
            )
        rate = Fraction(rate) if rate else Fraction(25)
        begin = Fraction(0 if _is_avi(container) else container.start_time or 0, av.time_base)
        end, is_own = _end(container, stream)
        expected = stream.frames or (round((end - begin) * rate) if end else 0)
        return Clip(
            path=path,
            height=first.height,
            width=first.width,
            codec=context.codec.canonical_name,
            profile=context.profile or "",
            pix_fmt=first.format.name,
            rate=rate,
            time_base=_time_base(container, stream),
            aspect=stream.sample_aspect_ratio,
            colour=colour_of(first),
            matrix=matrix_of(first),
            hdr=hdr_of(first),
            begin=begin,
            end=end,
            is_own_end=is_own,
            frames=expected or None,
            interlaced=first.interlaced_frame,
            steady=Fraction(stream.guessed_rate or rate),
        )


def _end(container: InputContainer, stream: VideoStream) -> tuple[Fraction | None, bool]:
    """When the pictures end, or the file where it does not say; and which of them it is."""
    if stream.duration and stream.time_base:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base, True
    if container.duration:
        return Fraction((container.start_time or 0) + container.duration, av.time_base), False
    return None, False


def _time_base(container: InputContainer, stream: VideoStream) -> Fraction:
    if _is_without_times(container):
        return 1 / Fraction(stream.average_rate or stream.guessed_rate or 25)
    return stream.time_base or Fraction(1, 90000)


def _is_without_times(container: InputContainer) -> bool:
    return bool(WITHOUT_TIMES & set(container.format.name.split(",")))


def _is_avi(container: InputContainer) -> bool:
    """Whether all that is known are the packets' numbers, with gaps for dropped frames."""
    return container.format.name == "avi"


@dataclass
class Losses:
    """What of a video could not be decoded."""

    damaged: int = 0
    """Packets and frames that were passed over."""
    pictures_end: Fraction = Fraction(0)
    """Up to when there were pictures, whole or not; seconds in the file's time."""
    file_end: Fraction = Fraction(0)
    """Up to when there was anything, of any stream."""

    def reached(self, packet: AnyPacket, *, is_picture: bool) -> None:
        """Note how far the file goes."""
        begin = packet.dts if packet.pts is None else packet.pts
        if begin is not None and packet.time_base:
            end = (begin + (packet.duration or 0)) * Fraction(packet.time_base)
            self.file_end = max(self.file_end, end)
            if is_picture:
                self.pictures_end = max(self.pictures_end, end)

    def told(self, clip: Clip, frames: int) -> str | None:
        """One line about what is missing, or None where nothing is.

        Args:
            clip: what the headers promised.
            frames: how many were decoded, where all were asked for.
        """
        end = self.pictures_end if clip.is_own_end else self.file_end
        short = clip.end is not None and end < clip.end - SLACK
        missing = (clip.frames or 0) - frames
        if not self.damaged and not short:
            return None
        if missing > 0:
            return f"the file is damaged or cut off: {frames} of {clip.frames} frames are there"
        return f"the file is damaged: {self.damaged} of its packets cannot be decoded whole"


SLACK = Fraction(1, 4)
"""Seconds by which headers may be wrong about the duration."""


def read_frames(
    clip: Clip,
    losses: Losses,
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
) -> Iterator[VideoFrame]:
    """Decode a video's frames, in the order in which they are shown.

    Args:
        clip: which video.
        losses: is told what cannot be decoded.
        start: seconds from the file's begin; earlier frames are left out.
        end: seconds from the file's begin; frames from there on are left out.

    Yields:
        Frames in a planar format, with timestamps that rise, in the clip's time base.

    Raises:
        InputError: the file is gone, or the size of the pictures changes.
    """
    first = None if start is None else clip.begin + start
    last = None if end is None else clip.begin + end
    with open_video(clip.path) as container:
        stream = main_stream(container)
        timed = not _is_without_times(container)
        if first is not None and timed and container.format.name not in ("avi", "mpegts"):
            _seek(container, stream, first - RUN_UP)
        previous: int | None = None
        for frame in _decoded(container, stream, losses):
            step = max(1, round(1 / (clip.rate * clip.time_base)))
            if not timed or frame.pts is None or (previous is not None and frame.pts <= previous):
                frame.pts = 0 if previous is None else previous + step
            previous = frame.pts
            frame.time_base = clip.time_base
            frame.duration = frame.duration or step
            now = frame.pts * clip.time_base
            if last is not None and now >= last:
                return
            if first is not None and now < first:
                continue
            if (frame.height, frame.width) != (clip.height, clip.width):
                raise InputError(
                    f"{clip.path}: the size of the pictures changes from {clip.width} x "
                    f"{clip.height} to {frame.width} x {frame.height}",
                    hint="Cut it into clips of one size first: --start, --end",
                )
            yield frame


RUN_UP = Fraction(2)
"""Seconds of decoding before the first frame that is wanted."""


def _seek(container: InputContainer, stream: VideoStream, seconds: Fraction) -> None:
    if stream.time_base is not None and seconds > (stream.start_time or 0) * stream.time_base:
        container.seek(int(seconds / stream.time_base), stream=stream)


def _decoded(
    container: InputContainer, stream: VideoStream, losses: Losses
) -> Iterator[VideoFrame]:
    """All frames of a stream in planar formats, the decoder's last ones too.

    Frames are not decoded in threads: FFmpeg would lose those before a damaged one.
    """
    packets = container.demux()
    numbers = deque[int]()
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the file ends in the middle of something
            losses.damaged += 1
            packet = None
        if packet is not None and packet.size:
            losses.reached(packet, is_picture=packet.stream == stream)
        if packet is not None and packet.stream != stream:
            continue
        if packet is not None and not packet.size:
            continue  # the flush, which follows below
        if packet is not None and packet.dts is not None and _is_avi(container):
            numbers.append(packet.dts)
        try:
            for frame in stream.codec_context.decode(packet):
                if frame.is_corrupt:
                    losses.damaged += 1
                if numbers:
                    frame.pts = numbers.popleft()
                yield planar(frame)
        except av.FFmpegError as error:
            if not isinstance(error, av.EOFError):
                losses.damaged += 1
                if numbers:
                    numbers.pop()
        if packet is None:
            return
