"""Tracks: how a stream's packets are copied or re-encoded for the output."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream

from blurdm_cli.video.packet import AnyPacket
from blurdm_cli.video.reader import open_video
from blurdm_cli.video.streams import Kept, rate_of

USUAL = {"1 channels": "mono", "2 channels": "stereo", "6 channels": "5.1", "8 channels": "7.1"}
"""Default layouts if a file specifies none; MP4 supports PCM only with a layout."""

EMPTY_TEXT = b"\0\0"
"""The packet between two subtitles in MP4."""


def _layout(stream: AudioStream) -> str:
    """The channel layout of a sound stream."""
    name = stream.codec_context.layout.name
    return USUAL.get(name, name)


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
        rate = rate_of(source, codec, output.format.name)
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
