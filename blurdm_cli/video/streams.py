"""Streams other than the video: sound, subtitles, and how each is kept.

A stream is copied, packet by packet, if the output's container supports it. Otherwise sound and
text are re-encoded in a codec that it supports, and other streams are left out, with a note.
"""

import re
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Discard, Stream

from blurdm_cli.choices import Keep
from blurdm_cli.video.codecs import STEADY, TRANSPORTED, can

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


def _resampled(stream: Stream, codec: str, container: str) -> str:
    """Text with the new sample rate of sound, if it changes."""
    if not isinstance(stream, AudioStream):
        return ""
    rate = rate_of(stream, codec, container)
    return "" if rate == stream.codec_context.sample_rate else f" at {rate} Hz"


def rate_of(stream: AudioStream, codec: str, container: str) -> int:
    """The sample rate of sound in another codec."""
    return RATES.get(codec) or RATES.get(container) or stream.codec_context.sample_rate
