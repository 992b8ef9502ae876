"""Read videos: properties of the file, and frames with their timestamps.

Frames are returned in display order, each with a timestamp in the stream's own time base, so
that a variable frame rate is preserved. Data that cannot be decoded is skipped and counted.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from blurdm_cli.errors import DecodeError, InputError
from blurdm_cli.files.reading import check_regular, no_input
from blurdm_cli.photo.pixels import TooLarge, check_size, too_large
from blurdm_cli.video.clip import Clip
from blurdm_cli.video.losses import Losses
from blurdm_cli.video.tags import colour_of, hdr_of, matrix_of, side_data_of
from blurdm_cli.video.yuv import planar

WITHOUT_TIMES = frozenset({"h264", "hevc", "m4v", "mjpeg", "obu"})
"""FFmpeg's names of formats that contain only frames and no timestamps."""


@contextmanager
def open_video(path: Path) -> Iterator[InputContainer]:
    """Open a file with FFmpeg.

    Raises:
        InputError: the file is missing or may not be read.
        DecodeError: it is not a video, or is damaged from the start.
    """
    check_regular(path)
    try:
        # absolute path: "12:30.mp4" would be taken for a protocol, and "http:…" be downloaded
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
            hint="It may be cut off, or not a video; check with a player such as VLC",
        ) from error


def main_stream(container: InputContainer) -> VideoStream:
    """The stream to deblur: the first video stream that is not a cover image.

    Raises:
        DecodeError: there is none, its codec is unknown, or its frames are too large.
    """
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise DecodeError(
                f"{container.name} has pictures in a codec that FFmpeg does not know",
                hint="The file may be damaged; a player such as VLC can tell",
            )
        try:
            check_size(stream.codec_context.height, stream.codec_context.width)
        except TooLarge as error:
            raise too_large(container.name) from error
        return stream
    raise DecodeError(
        f"{container.name} contains no video", hint="Files with only audio are left as they are"
    )


def open_clip(path: Path) -> Clip:
    """Read a video's headers and decode its first frame.

    Raises:
        InputError, DecodeError: as `open_video`; or no frame can be decoded.
    """
    with open_video(path) as container:
        stream = main_stream(container)
        context, rate = stream.codec_context, stream.average_rate or stream.guessed_rate
        first = next(_decoded(container, stream, Losses()), None)
        if first is None:
            raise DecodeError(f"{path}: no frame can be decoded", hint="The file may be cut off")
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
            side_data=side_data_of(first, stream.metadata),
            steady=Fraction(stream.guessed_rate or rate),
        )


def _end(container: InputContainer, stream: VideoStream) -> tuple[Fraction | None, bool]:
    """The end of the video stream, or of the file if unknown; and whether it is the stream's."""
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
    """Whether packets only have numbers, with gaps for dropped frames."""
    return container.format.name == "avi"


def read_frames(
    clip: Clip,
    losses: Losses,
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
) -> Iterator[VideoFrame]:
    """Decode a video's frames in display order.

    Args:
        clip: the video.
        losses: records data that cannot be decoded.
        start: seconds from the start of the file; earlier frames are left out.
        end: seconds from the start of the file; frames from this time on are left out.

    Yields:
        Frames in a planar format, with increasing timestamps in the clip's time base.

    Raises:
        InputError: the file no longer exists, or the frame size changes.
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
            frame.duration = (timed and frame.duration) or step
            now = frame.pts * clip.time_base
            if last is not None and now >= last:
                return
            if first is not None and now < first:
                continue
            if (frame.height, frame.width) != (clip.height, clip.width):
                raise InputError(
                    f"{clip.path}: the frame size changes from {clip.width} x "
                    f"{clip.height} to {frame.width} x {frame.height}",
                    hint="Cut it into clips of one size first, with --start and --end",
                )
            yield frame


RUN_UP = Fraction(2)
"""Seconds to decode before the first requested frame."""


def _seek(container: InputContainer, stream: VideoStream, seconds: Fraction) -> None:
    if stream.time_base is not None and seconds > (stream.start_time or 0) * stream.time_base:
        container.seek(int(seconds / stream.time_base), stream=stream)


def _decoded(
    container: InputContainer, stream: VideoStream, losses: Losses
) -> Iterator[VideoFrame]:
    """Yield all frames of a stream in planar formats, including those the decoder holds back.

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
