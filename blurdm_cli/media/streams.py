"""What a video's file holds beside the pictures: sound, subtitles, and how each is kept.

A stream is copied, packet by packet, where the output's container takes it. Else sound and text
are written in a codec that it takes, and the rest is left out; either is said in a note.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, cast

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

SOUND = {"mp4": "aac", "mov": "aac", "mpegts": "aac", "webm": "libopus", "mxf": "pcm_s16le"}
"""What sound becomes where it cannot stay; elsewhere FLAC in Matroska, PCM in AVI."""

TEXT = {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt", "matroska": "subrip"}
"""What subtitles of text become where they cannot stay."""

TEXTS = frozenset({"subrip", "srt", "mov_text", "webvtt", "ass", "ssa", "text"})
"""Subtitles that are text."""

Way = Literal["copy", "sound", "text"]


@dataclass(frozen=True)
class Kept:
    """A stream beside the pictures, and how it is kept."""

    index: int
    """In the source."""
    way: Way
    codec: str = ""
    """What it becomes, where it is not copied."""


def plan_streams(
    source: InputContainer, main: Stream, container: str, *, sound: bool = True
) -> tuple[list[Kept], list[str]]:
    """Decide how each stream but the main one is kept.

    Args:
        source: the file.
        main: the stream that is deblurred.
        container: FFmpeg's name of the output's container.
        sound: whether sound is wanted at all.

    Returns:
        The streams that are kept, and a note on each that is not copied.
    """
    kept, notes = list[Kept](), list[str]()
    for stream in source.streams:
        if stream.index == main.index or (stream.type == "audio" and not sound):
            continue
        name = _name(stream)
        if _is_timecode(stream, container):
            continue  # the muxer makes it anew from the main stream's tag
        if _takes(container, stream):
            kept.append(Kept(stream.index, "copy"))
            continue
        codec, way = _instead(stream, container)
        if codec:
            kept.append(Kept(stream.index, way, codec))
            notes.append(f"{name} does not go into {container}; it becomes {codec}")
        else:
            notes.append(f"{name} does not go into {container}, and is left out")
    return kept, notes


def _name(stream: Stream) -> str:
    codec = stream.codec_context.name if stream.codec_context else stream.codec_tag
    language = f" ({stream.language})" if stream.language not in (None, "und") else ""
    return f"{stream.type} stream {stream.index}{language} in {codec}"


def _is_timecode(stream: Stream, container: str) -> bool:
    tag = stream.codec_tag if stream.type == "data" else ""
    return tag == "tmcd" and container in ("mp4", "mov")


def _takes(container: str, stream: Stream) -> bool:
    """Whether a file of this container can be begun with a copy of this stream."""
    try:
        with av.open(BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (ValueError, av.FFmpegError):
        return False
    return True


def _instead(stream: Stream, container: str) -> tuple[str, Way]:
    if stream.type == "audio":
        return SOUND.get(container, "flac" if container == "matroska" else "pcm_s16le"), "sound"
    is_text = stream.codec_context is not None and stream.codec_context.name in TEXTS
    return (TEXT.get(container, "") if is_text else ""), "text"


class Track:
    """A stream on its way into the output."""

    def __init__(self, source: Stream, output: OutputContainer, kept: Kept) -> None:
        self.source, self._way = source, kept.way
        if kept.way == "copy":
            self.target: Stream = output.add_stream_from_template(source, opaque=True)
        elif kept.way == "text":
            self.target = _add_text(cast("SubtitleStream", source), output, kept.codec)
        else:
            target = _add_sound(cast("AudioStream", source), output, kept.codec)
            sound = target.codec_context
            self._resampler = AudioResampler(sound.format, sound.layout, sound.rate)
            self.target = target
        copy_tags(source, self.target)

    def packets(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """What a packet of the source becomes."""
        if self._way == "copy":
            packet.stream = self.target
            yield packet
        elif self._way == "text":
            yield from self._texts(packet)
        else:
            stream = cast("AudioStream", self.source)
            for frame in stream.codec_context.decode(cast("Packet[AudioStream]", packet)):
                for part in self._resampler.resample(frame):
                    yield from cast("AudioStream", self.target).encode(part)

    def rest(self) -> Iterator[Packet[Stream]]:
        """What the stream's end sets free."""
        if self._way == "sound":
            target = cast("AudioStream", self.target)
            for frame in cast("AudioStream", self.source).codec_context.decode(None):
                for part in self._resampler.resample(frame):
                    yield from target.encode(part)
            for part in self._resampler.resample(None):
                yield from target.encode(part)
            yield from target.encode(None)

    def _texts(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        source = cast("SubtitleStream", self.source).codec_context
        subtitle = source.decode2(cast("Packet[SubtitleStream]", packet))
        if subtitle is None or not len(subtitle):
            return
        target = cast("SubtitleStream", self.target).codec_context
        coded = target.encode_subtitle(subtitle)
        coded.pts, coded.dts, coded.duration = packet.pts, packet.dts, packet.duration
        coded.time_base, coded.stream = packet.time_base, self.target
        yield coded


def _add_text(source: SubtitleStream, output: OutputContainer, codec: str) -> SubtitleStream:
    stream = cast("SubtitleStream", output.add_stream(codec))
    source.codec_context.open(strict=False)
    header = source.codec_context.subtitle_header
    stream.codec_context.subtitle_header = header or ASS_HEADER
    stream.time_base = source.time_base
    return stream


ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
    b"Style: Default,Arial,16\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
)
"""For text whose decoder brings no styles."""


def _add_sound(source: AudioStream, output: OutputContainer, codec: str) -> AudioStream:
    rate = 48000 if codec == "libopus" else source.codec_context.sample_rate
    stream = cast("AudioStream", output.add_stream(codec, rate=rate))
    stream.codec_context.layout = source.codec_context.layout
    if codec in ("aac", "libopus"):
        stream.codec_context.bit_rate = 96_000 * max(1, source.codec_context.channels)
    return stream


def copy_tags(source: Stream, target: Stream) -> None:
    """Title, language and the like, and what a stream is for."""
    target.metadata.update(source.metadata)
    target.disposition = source.disposition
