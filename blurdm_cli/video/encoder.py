"""Video encoder setup, and frames in the encoder's format."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from blurdm_cli.errors import RuntimeMissing, UsageError
from blurdm_cli.video.codecs import HARDWARE, Options, ordinary_priority
from blurdm_cli.video.tags import Colour
from blurdm_cli.video.yuv import FULL, LIMITED, from_rgb, timed_as, to_rgb


@dataclass(frozen=True)
class Encoding:
    """All settings of an encoder; the same for every segment, so that they can be joined."""

    encoder: str
    options: Options
    pix_fmt: str
    height: int
    width: int
    rate: Fraction
    time_base: Fraction
    aspect: Fraction | None
    colour: Colour
    global_header: bool
    """Whether the container stores the codec's headers once, at its start."""

    def to_json(self) -> dict[str, Any]:
        """Everything that determines the encoded bytes, as plain values."""
        return {**asdict(self), "ffmpeg": av.library_versions["libavcodec"]} | {
            name: str(getattr(self, name)) for name in ("rate", "time_base", "aspect")
        }


def open_encoder(encoding: Encoding) -> VideoCodecContext:
    """Open an encoder, ready for the first frame of a segment."""
    context = _create_context(encoding)
    with ordinary_priority():
        context.open()
    return context


def _create_context(encoding: Encoding) -> VideoCodecContext:
    context = av.CodecContext.create(encoding.encoder, "w")
    assert isinstance(context, VideoCodecContext)
    if encoding.global_header:
        context.flags |= av.codec.context.Flags.global_header
    configure(context, encoding)
    return context


def configure(context: VideoCodecContext, encoding: Encoding) -> None:
    """Configure an encoder; the same for segments and for the joined stream."""
    context.height, context.width = encoding.height, encoding.width
    context.pix_fmt = encoding.pix_fmt
    context.time_base, context.framerate = encoding.time_base, encoding.rate
    if encoding.aspect:
        context.sample_aspect_ratio = encoding.aspect
    colour = encoding.colour
    context.color_range, context.colorspace = colour.range, colour.matrix
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    context.flags |= av.codec.context.Flags.closed_gop
    context.options = dict(encoding.options)


def try_encoder(encoding: Encoding) -> None:
    """Open the encoder once, so that errors are found before any work is done.

    Raises:
        UsageError: it does not support these options, this size or this format.
        RuntimeMissing: it needs something that this machine lacks.
    """
    context = _create_context(encoding)
    asked = ", ".join(f"{name}={value}" for name, value in encoding.options.items())
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as log, ordinary_priority():
            context.open()
    except (av.FFmpegError, ValueError) as error:
        said = log[0][2].strip() if log else str(getattr(error, "strerror", error))
        if encoding.encoder.rpartition("_")[2] in (*HARDWARE, "videotoolbox"):
            raise RuntimeMissing(
                f"{encoding.encoder} does not start on this machine: {said}",
                hint="Leave out --codec, or name a codec such as hevc to encode on the processor",
            ) from error
        raise UsageError(
            f"{encoding.encoder} does not support {encoding.width} x {encoding.height} pixels in"
            f" {encoding.pix_fmt} with {asked}: {said}",
            hint="Check --crf, --preset and --pix-fmt, or choose another --codec",
        ) from error
    finally:
        av.logging.set_level(level)


class Steady:
    """Numbers frames at an encoding's rate, for a container without timestamps."""

    def __init__(self, container: str, encoding: Encoding, zero: Fraction) -> None:
        """Set up the numbering.

        Args:
            container: FFmpeg's name; MXF does not allow gaps either.
            encoding: gives the rate.
            zero: start of the output in the source's time, seconds.
        """
        self._container, self._encoding, self._zero = container, encoding, zero
        self.moved = 0
        """Number of frames that are shown at a different time than in the source."""

    def __call__(self, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        """Yield the frames with their numbers as timestamps."""
        base, number, phase = self._encoding.time_base, -1, None
        for frame in frames:
            assert frame.pts is not None
            assert frame.time_base is not None
            place = (frame.pts * frame.time_base - self._zero) / base
            phase = place % 1 if phase is None else phase  # audio priming starts earlier
            place -= phase
            number = number + 1 if self._container == "mxf" else max(number + 1, round(place))
            self.moved += abs(number - place) > Fraction(1, 4)
            frame.duration = max(1, round(frame.duration * frame.time_base / base))
            frame.pts, frame.time_base = number, base
            yield frame

    def warnings(self) -> list[str]:
        """A note, if frames were moved."""
        rate = f"{float(self._encoding.rate):.6g}"
        why = f"{self._container} has one frame rate, {rate} per second"
        return [f"{why}: {self.moved} frames are shown at a different time"] if self.moved else []


def as_encoded(frame: VideoFrame, encoding: Encoding) -> VideoFrame:
    """Convert a frame for the encoder: its pixel format, and no fixed picture type."""
    source, target = frame.format, VideoFormat(encoding.pix_fmt)
    colour = encoding.colour
    if target.name != source.name:
        if source.is_rgb and not target.is_rgb:
            tags = (target.name, colour.matrix, colour.range)
            frame = timed_as(frame, from_rgb(to_rgb(frame), *tags, alpha_of=frame))
        else:
            span = FULL if colour.range == FULL else LIMITED
            other = frame.reformat(format=target.name, src_color_range=span, dst_color_range=span)
            frame = timed_as(frame, other)
    frame.opaque = None  # an encoder's thread would wait for Python to release it
    frame.pict_type = 0
    frame.color_range, frame.colorspace = colour.range, colour.matrix
    frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
    return frame
