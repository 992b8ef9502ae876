"""The video encoders that are used, and the containers that their work goes into."""

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

os.environ.setdefault("SVT_LOG", "1")  # the encoder would talk on stderr of all its settings

Options = dict[str, str]


@dataclass(frozen=True)
class Family:
    """An encoder that comes with FFmpeg, and how it is told about quality and speed."""

    encoder: str
    crf: int | None = None
    """The default; None where the encoder has no such number."""
    worst: int = 51
    """The largest."""
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
"""By the name of the codec."""

SAME = {"h265": "hevc", "avc": "h264", "x264": "h264", "x265": "hevc", "libx264": "h264"}
"""Other words that users have for them."""

HARDWARE: dict[str, Callable[[int], Options]] = {
    "nvenc": lambda crf: {"rc": "vbr", "cq": str(crf), "b": "0"},
    "qsv": lambda crf: {"global_quality": str(crf)},
    "vaapi": lambda crf: {"rc_mode": "CQP", "qp": str(crf)},
    "amf": lambda crf: {"rc": "cqp", "qp_i": str(crf), "qp_p": str(crf)},
}
"""How encoders on graphics cards are told about quality, by the end of their names."""

HARDWARE_CRF = 20

STEADY = frozenset({"avi", "mxf"})
"""Those of them that have no timestamps: frames are numbered, from zero on, at one rate."""

# fmt: off
TRANSPORTED = frozenset({
    "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1",
    "mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m", "pcm_bluray",
    "dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle",
})
# fmt: on
"""The pictures, sound and subtitles that MPEG-TS has names for; of others FFmpeg writes what no
player knows."""


def hardware_encoders() -> list[str]:
    """The encoders for graphics cards that FFmpeg was built with; whether there is a card or not.

    Sorted by name.
    """
    ends = tuple(f"_{end}" for end in (*HARDWARE, "videotoolbox"))
    found = [name for name in av.codec.codecs_available if name.endswith(ends)]
    families = ("h264", "hevc", "av1", "vp9", "prores")
    return sorted(name for name in found if name.startswith(families))


def is_built_in(encoder: str) -> bool:
    """Whether FFmpeg has a video encoder of this name here."""
    try:
        return av.codec.Codec(encoder, "w").type == "video"
    except ValueError:  # PyAV's UnknownCodecError is one
        return False


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Open an encoder in this block, and take nothing from the machine's other work for it.

    SVT-AV1, started as root, puts all threads of the process into the real-time class, where
    they go before everything else.
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
    """Whether a container holds what an encoder makes, at so many frames a second."""
    family = next((each for each in FAMILIES.values() if each.encoder == encoder), None)
    formats = av.codec.Codec(encoder, "w").video_formats
    if container == "mpegts" and av.codec.Codec(encoder, "w").canonical_name not in TRANSPORTED:
        return False

    def begin(trial: OutputContainer) -> None:
        added = trial.add_stream(encoder, rate=rate, width=64, height=64)
        if family and formats:  # others may need a card
            added.options = dict(family.options)
            cast("VideoStream", added).pix_fmt = formats[0].name
            with ordinary_priority():
                trial.start_encoding()

    return can(container, begin)


def can(container: str, begin: Callable[[OutputContainer], None]) -> bool:
    """Whether a file of a container can be begun as a function begins it."""
    done = False
    with (
        suppress(ValueError, av.FFmpegError),
        av.open(BytesIO(), "w", format=container) as trial,
    ):
        begin(trial)
        done = True  # MXF cannot be ended without a frame, which says nothing
    return done
