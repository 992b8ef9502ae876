"""Video encoders and their options, and the containers that support them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, cast

import av
from av.container import OutputContainer

if TYPE_CHECKING:
    from av.video.stream import VideoStream

os.environ.setdefault("SVT_LOG", "1")  # the encoder would print all its settings to stderr

Options = dict[str, str]


@dataclass(frozen=True)
class Family:
    """An encoder that comes with FFmpeg, and its options for quality and speed."""

    encoder: str
    crf: int | None = None
    """The default; None if the encoder has no CRF."""
    worst: int = 51
    """The largest CRF."""
    preset: str | None = None
    preset_option: str = "preset"
    options: Options = field(default_factory=dict)


FAMILIES = {
    "h264": Family("libx264", 18, preset="veryfast"),
    "hevc": Family("libx265", 20, preset="veryfast", options={"x265-params": "log-level=none"}),
    "vp9": Family("libvpx-vp9", 24, 63, "4", "cpu-used", {"b": "0", "row-mt": "1"}),
    "av1": Family("libsvtav1", 24, 63, "10"),
    "prores": Family("prores_ks", options={"vendor": "apl0"}),
    "ffv1": Family("ffv1", options={"level": "3", "slicecrc": "1"}),
}
"""Encoders by codec name."""

SAME = {"h265": "hevc", "avc": "h264", "x264": "h264", "x265": "hevc", "libx264": "h264"}
"""Other names that users have for them."""

HARDWARE: dict[str, Callable[[int], Options]] = {
    "nvenc": lambda crf: {"rc": "vbr", "cq": str(crf), "b": "0"},
    "qsv": lambda crf: {"global_quality": str(crf)},
    "vaapi": lambda crf: {"rc_mode": "CQP", "qp": str(crf)},
    "amf": lambda crf: {"rc": "cqp", "qp_i": str(crf), "qp_p": str(crf)},
}
"""Quality options of hardware encoders, by the suffix of their names."""

HARDWARE_CRF = 20

STEADY = frozenset({"avi", "mxf"})
"""Containers without timestamps: frames are numbered from zero, at a constant rate."""

# fmt: off
TRANSPORTED = frozenset({
    "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1",
    "mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m", "pcm_bluray",
    "dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle",
})
# fmt: on
"""The video, audio and subtitle codecs that MPEG-TS defines; for others FFmpeg writes streams that
no player supports."""


def hardware_encoders() -> list[str]:
    """List the hardware encoders that FFmpeg was built with, whether the hardware exists or not.

    Sorted by name.
    """
    ends = tuple(f"_{end}" for end in (*HARDWARE, "videotoolbox"))
    found = [name for name in av.codec.codecs_available if name.endswith(ends)]
    families = ("h264", "hevc", "av1", "vp9", "prores")
    return sorted(name for name in found if name.startswith(families))


def is_built_in(encoder: str) -> bool:
    """Whether this FFmpeg has a video encoder of this name."""
    try:
        return av.codec.Codec(encoder, "w").type == "video"
    except ValueError:  # PyAV's UnknownCodecError is one
        return False


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Keep the threads' scheduling class when an encoder is opened in this block.

    SVT-AV1, started as root, moves all threads of the process to the real-time class, where
    they take precedence over everything else on the machine.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in map(int, os.listdir("/proc/self/task")):
            with suppress(OSError):  # it may have ended
                if os.sched_getscheduler(thread) != before:
                    os.sched_setscheduler(thread, before, parameters)


def takes(container: str, encoder: str, rate: Fraction = Fraction(25)) -> bool:
    """Whether a container supports an encoder's output at this frame rate."""
    family = next((each for each in FAMILIES.values() if each.encoder == encoder), None)
    formats = av.codec.Codec(encoder, "w").video_formats
    if container == "mpegts" and av.codec.Codec(encoder, "w").canonical_name not in TRANSPORTED:
        return False

    def begin(trial: OutputContainer) -> None:
        added = trial.add_stream(encoder, rate=rate, width=64, height=64)
        if family and formats:  # others may need hardware
            added.options = dict(family.options)
            cast("VideoStream", added).pix_fmt = formats[0].name
            with ordinary_priority():
                trial.start_encoding()

    return can(container, begin)


def can(container: str, begin: Callable[[OutputContainer], None]) -> bool:
    """Whether a function can start a file in this container."""
    done = False
    with (
        suppress(ValueError, av.FFmpegError),
        av.open(BytesIO(), "w", format=container) as trial,
    ):
        begin(trial)
        done = True  # MXF cannot be closed without a frame; ignore that
    return done
