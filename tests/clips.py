"""Small videos with all that makes videos hard, made with PyAV."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.pipeline.clip import Result, deblur_clip
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec
from blurdm_cli.video.codecs import ordinary_priority
from blurdm_cli.video.yuv import from_rgb

CONSTANT = tuple(range(12))
VARIABLE = (0, 1, 2, 5, 6, 9, 13, 14, 15, 20, 21, 22)
"""Timestamps of a constant and of a variable frame rate."""


SAMPLES = 48000
"""A second of sound."""


class FakeRuntime(Runtime):
    """Makes tiles brighter by a tenth of what is missing to white, and counts its calls."""

    name, device, precision = "fake", "cpu", "fp32"

    def __init__(self, gain: float = 0.0) -> None:
        self.gain, self.batches = np.float32(gain), list[int]()

    def restore(self, blurred: np.ndarray, noise: np.ndarray) -> np.ndarray:
        self.batches.append(len(blurred))
        return blurred + (1 - blurred) * self.gain


def fake_deblurrer(gain: float = 0.0, **options: Any) -> Deblurrer:
    spec = ModelSpec("fake", BackboneSpec("none"), PriorSpec(channels=5), 8, tile=64, halo=8)
    return Deblurrer(FakeRuntime(gain), spec, guard="off", **options)


def deblurred(
    source: Path, target: Path, gain: float = 0.0, settings: str = "", **options: Any
) -> Result:
    """Restore a clip with a fake model; options are of a run, of videos, or of `deblur_clip`."""
    given = {"all_frames": True, **options}
    run, video = (
        {f.name: given.pop(f.name) for f in fields(kind) if f.name in given}
        for kind in (RunOptions, VideoOptions)
    )
    wanted = VideoOptions(**video), RunOptions(**run)
    return deblur_clip(source, target, fake_deblurrer(gain), *wanted, settings=settings, **given)


def scene(number: int, height: int, width: int) -> np.ndarray:
    """A frame of soft colours with a square that moves: RGB in [0, 1]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    pixels = np.stack([x / width, y / height, 1 - x / width], axis=2) * 0.6 + 0.2
    pixels[5:15, (3 * number) % width : (3 * number) % width + 10] = (0.9, 0.8, 0.1)
    return pixels.astype(np.float32)


def make_clip(
    path: Path,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (48, 64),
    times: Sequence[int] = CONSTANT,
    time_base: Fraction = Fraction(1, 25),
    colour: tuple[int, int, int, int] = (1, 1, 1, 1),
    frames: Sequence[np.ndarray] | None = None,
    aspect: Fraction | None = None,
    matrix: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    audio: Sequence[str] = (),
    audio_begin: float = 0.0,
    subtitles: bool = False,
    chapters: bool = False,
    tags: dict[str, str] | None = None,
    movflags: str = "",
) -> Path:
    """Write a video; `colour` is range, matrix, primaries and transfer."""
    container_options = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", container_options=container_options) as out:
        out.metadata.update(tags or {})
        height, width = size
        options = dict(options or {})
        if codec == "libx265":  # its cutree writes beyond its memory in pictures this small
            given = [options["x265-params"]] if "x265-params" in options else []
            options["x265-params"] = ":".join([*given, "no-cutree=1"])
        stream = out.add_stream(codec, rate=25, options=options, time_base=time_base)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, pix_fmt
        context.color_range, context.colorspace = colour[:2]
        context.color_primaries, context.color_trc = colour[2:]
        if aspect:
            context.sample_aspect_ratio = aspect
        if matrix:
            stream.set_display_matrix(matrix)
        sounds = [_add_sound(out, name, number) for number, name in enumerate(audio)]
        texts = _add_subtitles(out) if subtitles else None
        if chapters:
            out.set_chapters(CHAPTERS)
        with ordinary_priority():
            out.start_encoding()
        for sound in sounds:
            out.mux(list(_tone(sound, audio_begin)))
        if texts:
            _write_texts(out, texts)
        for number, time in enumerate(times):
            pixels = scene(number, height, width) if frames is None else frames[number]
            frame = _frame(pixels, pix_fmt, colour)
            frame.pts, frame.time_base = time, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _frame(pixels: np.ndarray, pix_fmt: str, colour: tuple[int, int, int, int]) -> VideoFrame:
    if pix_fmt == "bgr0":
        return from_rgb(pixels, "gbrp").reformat(format="bgr0")
    frame = from_rgb(pixels, pix_fmt, colour[1], colour[0] or 1)
    frame.color_range = colour[0]
    return frame


CHAPTERS = [
    {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
    {"id": 2, "start": 200, "end": 480, "time_base": Fraction(1, 1000), "metadata": {"title": "b"}},
]

TEXTS = ((0, "Hello"), (200, "again"))
"""Milliseconds, and what is said then."""


def _add_sound(out: Any, codec: str, number: int) -> Any:
    stream = out.add_stream(codec, rate=SAMPLES)
    stream.codec_context.layout = "mono"
    stream.metadata["language"] = ("eng", "deu")[number % 2]
    return stream


def _tone(stream: Any, begin: float) -> Any:
    size = stream.codec_context.frame_size or 1024
    for number in range(24):
        samples = np.sin(np.arange(size) / 20 + number).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
        frame.sample_rate, frame.time_base = SAMPLES, Fraction(1, SAMPLES)
        frame.pts = number * size + round(begin * SAMPLES)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _add_subtitles(out: Any) -> Any:
    stream = out.add_stream("mov_text" if out.format.name in ("mp4", "mov") else "subrip")
    stream.codec_context.subtitle_header = (
        b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
        b"Style: Default,Arial,16\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
    )
    stream.time_base = Fraction(1, 1000)
    return stream


def _write_texts(out: Any, stream: Any) -> None:
    for begin, text in TEXTS:
        raw = text.encode()
        packet = av.Packet(len(raw).to_bytes(2) + raw if stream.name == "mov_text" else raw)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = begin
        packet.duration = 150
        out.mux(packet)


def shown(path: Path) -> list[VideoFrame]:
    """All frames, in the order in which they are shown."""
    with av.open(str(path)) as source:
        return list(source.decode(video=0))


def seconds(path: Path) -> list[Fraction]:
    """When the frames are shown."""
    return [frame.pts * frame.time_base for frame in shown(path)]


def packets(path: Path, kind: str, number: int = 0) -> list[tuple[Fraction, bytes]]:
    """When the packets of a stream are shown, and their bytes."""
    with av.open(str(path)) as source:
        stream = [each for each in source.streams if each.type == kind][number]
        found = [packet for packet in source.demux(stream) if packet.size]
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in found]


class Stopped(Exception):
    """What stops a run in a test."""


def stop_after(fraction: float) -> Callable[[float, str], None]:
    def advance(done: float, note: str) -> None:
        if done >= fraction:
            raise Stopped

    return advance
