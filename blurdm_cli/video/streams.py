"""Streams other than the video: sound, subtitles, and how each is kept.

A stream is copied, packet by packet, if the output's container supports it. Otherwise sound and
text are re-encoded in a codec that it supports, and other streams are left out, with a note.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol, cast, runtime_checkable

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream

from blurdm_cli.choices import Keep
from blurdm_cli.video.codecs import STEADY, TRANSPORTED, can
from blurdm_cli.video.reader import AnyPacket, open_video

SOUND = {"mp4": "aac", "mov": "aac", "mpegts": "aac", "webm": "libopus", "mxf": "pcm_s24le"}
"""Audio codecs for sound that cannot be copied; otherwise FLAC in Matroska, PCM in AVI."""

TEXT = {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt", "matroska": "subrip"}
"""Codecs for text subtitles that cannot be copied."""

TEXTS = frozenset({"subrip", "srt", "mov_text", "webvtt", "ass", "ssa", "text"})
"""Codecs of text subtitles."""

PLACES = re.compile(rb"(?i)\b(gps|latitude|longitude)\s*[:=(]")
"""Matches coordinates in subtitles."""

RATES = {"libopus": 48000, "mxf": 48000}
"""Sample rates of codecs and containers that support only one."""

USUAL = {"1 channels": "mono", "2 channels": "stereo", "6 channels": "5.1", "8 channels": "7.1"}
"""Default layouts if a file specifies none; MP4 supports PCM only with a layout."""

EMPTY_TEXT = b"\0\0"
"""The packet between two subtitles in MP4."""

Way = Literal["copy", "sound", "text"]


@dataclass(frozen=True)
class Kept:
    """A stream other than the video, and how it is kept."""

    index: int
    """Its index in the source."""
    way: Way
    codec: str = ""
    """The new codec, if it is not copied."""


def plan_streams(
    source: InputContainer,
    main: Stream,
    container: str,
    *,
    sound: bool = True,
    metadata: Keep = "keep",
) -> tuple[list[Kept], list[str]]:
    """Decide how each stream except the main one is kept.

    Args:
        source: the file.
        main: the stream that is deblurred.
        container: FFmpeg's name of the output's container.
        sound: whether to keep sound at all.
        metadata: unless all of it is kept, streams that may contain the location are left out.

    Returns:
        The streams that are kept, and a note on each that is not copied.
    """
    kept, notes = list[Kept](), list[str]()
    for stream in source.streams:
        if stream.index == main.index or (stream.type == "audio" and not sound):
            continue
        name = _name(stream)
        late = _late(source, stream)
        if container in STEADY and late > SLACK:
            notes.append(f"{name} starts {late:.2f} s late, which {container} cannot store")
        if _is_made_anew(stream):
            continue
        if _is_damaged(stream):
            notes.append(f"{name} is damaged, and is left out")
            continue
        if metadata != "keep" and _tells_place(source, stream):
            notes.append(f"{name} is left out: it may reveal where the camera was")
            continue
        if _takes(container, stream):
            kept.append(Kept(stream.index, "copy"))
            continue
        codec, way = _instead(stream, container)
        if codec:
            kept.append(Kept(stream.index, way, codec))
            becomes = codec + _resampled(stream, codec, container)
            notes.append(f"{container} does not support {name}; it becomes {becomes}")
        else:
            notes.append(f"{container} does not support {name}; it is left out")
    return kept, notes


def _name(stream: Stream) -> str:
    if stream.type == "attachment":
        return f"the attachment {stream.name}"
    language = f" ({stream.language})" if stream.language not in (None, "und") else ""
    codec = stream.codec_context.name if stream.codec_context else "no codec"
    return f"{stream.type} stream {stream.index}{language} in {codec}"


def _is_damaged(stream: Stream) -> bool:
    """Whether a stream's headers give no sound: no codec, no channel, no sample rate."""
    if not isinstance(stream, AudioStream):
        return False
    context = stream.codec_context
    return context is None or not (context.channels and context.sample_rate)


def _is_made_anew(stream: Stream) -> bool:
    """Whether the muxer writes it itself: chapters, or a timecode from the stream's tags."""
    if stream.type != "data":
        return False
    return stream.discard == Discard.all or "timecode" in stream.metadata


SLACK = 0.05
"""Seconds by which sound may be early without being noticed."""


def _late(source: InputContainer, stream: Stream) -> float:
    """Delay of a sound stream after the start of its file, seconds."""
    if stream.type != "audio" or stream.start_time is None or stream.time_base is None:
        return 0.0
    return float(stream.start_time * stream.time_base) - (source.start_time or 0) / 1e6


def _tells_place(source: InputContainer, stream: Stream) -> bool:
    """Whether it may contain coordinates: any data stream, or subtitles as drones write them."""
    if stream.type != "subtitle":
        return stream.type == "data"
    return any(PLACES.search(bytes(packet)) for packet in islice(source.demux(stream), 1))


def _takes(container: str, stream: Stream) -> bool:
    """Whether a file in this container can be started with a copy of this stream."""
    coded = stream.codec_context.codec.canonical_name if stream.codec_context else ""
    if container == "mpegts" and stream.type != "data" and coded not in TRANSPORTED:
        return False

    def begin(trial: OutputContainer) -> None:
        if container == "mxf":
            _add_pictures(trial)
        trial.add_stream_from_template(stream, opaque=True)
        trial.start_encoding()

    return can(container, begin)


def _add_pictures(trial: OutputContainer) -> None:
    """Add a video stream, which MXF needs to accept sound."""
    trial.add_stream("mpeg2video", rate=25, width=64, height=64).pix_fmt = "yuv420p"


def _instead(stream: Stream, container: str) -> tuple[str, Way]:
    if stream.codec_context is None:
        return "", "copy"
    if stream.type == "audio":
        return SOUND.get(container, "flac" if container == "matroska" else "pcm_s16le"), "sound"
    is_text = stream.codec_context.name in TEXTS
    return (TEXT.get(container, "") if is_text else ""), "text"


def _layout(stream: AudioStream) -> str:
    """The channel layout of a sound stream."""
    name = stream.codec_context.layout.name
    return USUAL.get(name, name)


def _resampled(stream: Stream, codec: str, container: str) -> str:
    """Text with the new sample rate of sound, if it changes."""
    if not isinstance(stream, AudioStream):
        return ""
    rate = _rate(stream, codec, container)
    return "" if rate == stream.codec_context.sample_rate else f" at {rate} Hz"


def _rate(stream: AudioStream, codec: str, container: str) -> int:
    """The sample rate of sound in another codec."""
    return RATES.get(codec) or RATES.get(container) or stream.codec_context.sample_rate


@runtime_checkable
class Track(Protocol):
    """Converter of a source stream to an output stream."""

    def packets(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        """Convert a packet of the source to output packets."""
        ...

    def rest(self) -> Iterator[AnyPacket]:
        """Flush the remaining packets at the end of the stream."""
        ...


def add_track(source: Stream, output: OutputContainer, kept: Kept) -> Track:
    """Add a stream to the output; its header is not written yet."""
    if kept.way == "sound":
        return Sound(cast("AudioStream", source), output, kept.codec)
    if kept.way == "text":
        return Text(cast("SubtitleStream", source), output, kept.codec)
    if source.disposition & Disposition.attached_pic and output.format.name == "matroska":
        return Cover(source, output)
    return Copy(source, output)


class Copy:
    """A stream whose packets are copied unchanged."""

    def __init__(self, source: Stream, output: OutputContainer) -> None:
        self._target = output.add_stream_from_template(source, opaque=True)
        if isinstance(source, AudioStream) and isinstance(self._target, AudioStream):
            self._target.codec_context.layout = _layout(source)
        copy_tags(source, self._target)

    def packets(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        if self._target.name == "mov_text" and bytes(packet) == EMPTY_TEXT:
            return  # the muxer fills the gap itself
        packet.stream = self._target
        yield packet

    def rest(self) -> Iterator[AnyPacket]:
        return iter(())


class Cover:
    """A cover picture, as an attachment of Matroska: as a stream it would be a second video."""

    def __init__(self, source: Stream, output: OutputContainer) -> None:
        with open_video(Path(source.container.name)) as file:
            data = bytes(next(file.demux(file.streams[source.index])))
        kind = "png" if source.codec_context and source.codec_context.name == "png" else "jpeg"
        name = source.metadata.get("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
        output.add_attachment(name, f"image/{kind}", data)

    def packets(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        return iter(())

    def rest(self) -> Iterator[AnyPacket]:
        return iter(())


class Sound:
    """Sound that is re-encoded."""

    def __init__(self, source: AudioStream, output: OutputContainer, codec: str) -> None:
        self._source = source.codec_context
        rate = _rate(source, codec, output.format.name)
        self._target = cast("AudioStream", output.add_stream(codec, rate=rate))
        context = self._target.codec_context
        context.layout = _layout(source)
        if codec in ("aac", "libopus"):
            context.bit_rate = 96_000 * max(1, self._source.channels)
        self._resampler = AudioResampler(context.format, context.layout, rate)
        copy_tags(source, self._target)

    def packets(self, packet: AnyPacket | None) -> Iterator[AnyPacket]:
        for frame in self._source.decode(packet):
            yield from self._encoded(frame)

    def rest(self) -> Iterator[AnyPacket]:
        yield from self.packets(None)
        yield from self._encoded(None)
        yield from self._target.encode(None)

    def _encoded(self, frame: AudioFrame | None) -> Iterator[AnyPacket]:
        for part in self._resampler.resample(frame):
            yield from self._target.encode(part)


class Text:
    """Text subtitles that are re-encoded."""

    def __init__(self, source: SubtitleStream, output: OutputContainer, codec: str) -> None:
        self._source = source.codec_context
        self._source.open(strict=False)
        self._target = cast("SubtitleStream", output.add_stream(codec))
        self._target.codec_context.subtitle_header = self._source.subtitle_header or ASS_HEADER
        self._target.time_base = source.time_base
        copy_tags(source, self._target)

    def packets(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        subtitle = self._source.decode2(packet)
        if subtitle is None or not len(subtitle):
            return
        coded = self._target.codec_context.encode_subtitle(subtitle)
        coded.pts, coded.dts, coded.duration = packet.pts, packet.dts, packet.duration
        coded.time_base, coded.stream = packet.time_base, self._target
        yield coded

    def rest(self) -> Iterator[AnyPacket]:
        return iter(())


ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
    b"Style: Default,Arial,16\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
)
"""Header for text whose decoder provides no styles."""


def copy_tags(source: Stream, target: Stream) -> None:
    """Copy title, language and other tags, and the disposition."""
    target.metadata.update(source.metadata)
    target.disposition = source.disposition
