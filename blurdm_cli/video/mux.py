"""Mux the segments of a restored clip with the other streams of its source.

Streams are copied, and only re-encoded if the output's container does not support them.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from heapq import merge
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from blurdm_cli.choices import Keep
from blurdm_cli.errors import OutputError
from blurdm_cli.files.atomic import Seal, atomic_output, no_seal
from blurdm_cli.video.clip import Clip
from blurdm_cli.video.codecs import STEADY, ordinary_priority
from blurdm_cli.video.encoder import Encoding, configure
from blurdm_cli.video.other_packets import Timed, other_packets
from blurdm_cli.video.packet import AnyPacket
from blurdm_cli.video.reader import main_stream, open_video
from blurdm_cli.video.segments import Segment
from blurdm_cli.video.streams import Kept
from blurdm_cli.video.tags import ALPHA_MODE, kept_tags
from blurdm_cli.video.tracks import Track, add_track, copy_tags

OF_THE_CONTAINER = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
"""Tags that describe how the source was written."""

WITHOUT_CHAPTERS = frozenset({"avi", "mpegts", "mxf"})
WITHOUT_TAGS = frozenset({"mpegts"})
"""Containers, by FFmpeg's names, that store no chapters, or no title and the like."""

FAR = Fraction(10)
"""Seconds: a clock that begins later than this is that of a broadcast or recorder, not a delay."""


def mux(
    clip: Clip,
    container: str,
    encoding: Encoding,
    segments: Sequence[Segment],
    kept: Sequence[Kept],
    target: Path,
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
    metadata: Keep = "keep",
    seal: Seal = no_seal,
) -> list[str]:
    """Write the restored clip atomically.

    Args:
        clip: the source.
        container: FFmpeg's name of the output's container.
        encoding: the encoding of the segments.
        segments: all segments; in a container without timestamps they are numbered from the
            start of the output.
        kept: the streams other than the video.
        target: the output.
        start: start of the output, in seconds from the start of the source.
        end: end of the output, in seconds from the start of the source.
        metadata: which tags are kept.
        seal: see `files.Seal`.

    Returns:
        A note for each other stream of which packets were lost.

    Raises:
        OutputError: it cannot be written, or the segments do not match.
    """
    if len({segment.header for segment in segments}) > 1:
        raise OutputError(f"The segments of {target} do not match", hint="Try --no-resume")
    steady = container in STEADY
    late = clip.begin >= FAR and container != "mpegts"
    shift = clip.begin + (start or 0) if steady or late or start is not None else Fraction(0)
    stop = None if end is None else clip.begin + end
    lost = Counter[str]()
    with atomic_output(target, seal) as part, _opened(clip, metadata) as source:
        options = _container_options(container, source)
        try:
            with av.open(
                os.path.abspath(part), "w", format=container, container_options=options
            ) as output:
                picture, tracks = _add_streams(output, source, clip, encoding, kept, container)
                if source is not None:
                    _copy_tags(source, output, shift, stop)
                with ordinary_priority():
                    output.start_encoding()
                zero = Fraction(0) if steady else shift
                pictures = _pictures(picture, encoding, segments, zero)
                others = other_packets(source, tracks, shift, stop, lost) if source else iter(())
                for _, _, packet in merge(pictures, others, key=lambda timed: timed[:2]):
                    output.mux(packet)
                for track in tracks.values():
                    with suppress(av.FFmpegError):  # its last packet was damaged
                        output.mux(list(track.rest()))
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(
                f"{target} cannot be written: {error}", hint="Try another container, such as .mkv"
            ) from error
    return [
        f"{count} packets of {name} are damaged or out of order, and are left out"
        for name, count in lost.items()
    ]


@contextmanager
def _opened(clip: Clip, metadata: Keep) -> Iterator[InputContainer | None]:
    """Open the source, unless it is an image sequence, and keep only the requested tags."""
    if clip.is_pictures:
        yield None
    else:
        with open_video(clip.path) as source:
            for tagged in (source, *source.streams):
                kept = kept_tags(tagged.metadata, metadata)
                tagged.metadata.clear()
                tagged.metadata.update(kept)
            yield source


def _container_options(container: str, source: InputContainer | None) -> dict[str, str]:
    if container in STEADY:
        return {"avoid_negative_ts": "disabled"}  # audio priming would delay the video
    if container not in ("mp4", "mov"):
        return {}
    flags = "+faststart"
    if source is not None and any(key.startswith("com.") for key in source.metadata):
        flags += "+use_metadata_tags"  # as phones write them
    return {"movflags": flags}


def unstored(source: InputContainer, container: str) -> list[str]:
    """Notes on what a container cannot store of a file: chapters, title and other tags."""
    notes = []
    chapters = len(source.chapters())
    if chapters and container in WITHOUT_CHAPTERS:
        notes.append(f"{container} does not store chapters: {chapters} are lost")
    tags = sorted(_tags(source))
    if tags and container in WITHOUT_TAGS:
        notes.append(f"{container} does not store tags: {', '.join(tags)} are lost")
    return notes


def _tags(source: InputContainer) -> dict[str, str]:
    """The tags of a file, without those that its container wrote: Matroska's are in capitals."""
    kept = source.metadata.items()
    return {name: value for name, value in kept if name.lower() not in OF_THE_CONTAINER}


def _copy_tags(
    source: InputContainer, output: OutputContainer, shift: Fraction, stop: Fraction | None
) -> None:
    output.metadata.update(_tags(source))
    output.set_chapters(list[Any](_chapters(source, shift, stop)))


def _add_streams(
    output: OutputContainer,
    source: InputContainer | None,
    clip: Clip,
    encoding: Encoding,
    kept: Sequence[Kept],
    container: str,
) -> tuple[VideoStream, dict[int, Track]]:
    """Add all streams, in the order of the source."""
    main = None if source is None else main_stream(source)
    ways = {each.index: each for each in kept}
    tracks: dict[int, Track] = {}
    picture: VideoStream | None = None
    for place in sorted([-1 if main is None else main.index, *ways]):
        if source is not None and place in ways:
            tracks[place] = add_track(source.streams[place], output, ways[place])
            continue
        added = output.add_stream(encoding.encoder, time_base=encoding.time_base)
        picture = cast("VideoStream", added)
        configure(picture.codec_context, encoding)
        picture.set_display_matrix(clip.matrix)
        if container in ("mp4", "mov") and picture.codec_context.codec.canonical_name == "hevc":
            picture.codec_context.codec_tag = "hvc1"  # Apple's players ask for it
        if main is not None:
            copy_tags(main, picture)
            picture.metadata.pop(ALPHA_MODE, None)
    assert picture is not None
    return picture, tracks


def _pictures(
    stream: VideoStream, encoding: Encoding, segments: Sequence[Segment], shift: Fraction
) -> Iterator[Timed]:
    """Yield the compressed frames of all segments, one after the other."""
    times = decode_times([[coded.pts for coded in segment.frames] for segment in segments])
    offset = round(shift / encoding.time_base)
    coded_frames = chain.from_iterable(segment.packets() for segment in segments)
    for dts, (coded, data) in zip(times, coded_frames, strict=True):
        packet: AnyPacket = Packet(data)
        packet.stream = stream
        packet.time_base = encoding.time_base
        packet.pts, packet.dts = coded.pts - offset, dts - offset
        packet.duration, packet.is_keyframe = coded.duration, coded.key
        yield packet.dts * encoding.time_base, stream.index, packet


def decode_times(segments: Sequence[Sequence[int]]) -> list[int]:
    """Compute each frame's decode time: increasing, and never later than its display time.

    Args:
        segments: the display times of the frames, in decode order; the frames of a segment are
            shown after those of the previous one.
    """
    shown = [pts for segment in segments for pts in sorted(segment)]
    coded = [pts for segment in segments for pts in segment]
    place = {pts: number for number, pts in enumerate(shown)}
    delay = max((number - place[pts] for number, pts in enumerate(coded)), default=0)
    steps = [later - earlier for earlier, later in pairwise(shown)]
    step = min(steps, default=1)
    before = [shown[0] - step * (delay - number) for number in range(delay)] if shown else []
    return [*before, *shown][: len(coded)]


def _chapters(
    source: InputContainer, shift: Fraction, end: Fraction | None
) -> Iterator[dict[str, Any]]:
    """Yield the chapters within the output, with their times in the output."""
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, av.time_base)
        first = max(chapter["start"] - round(shift / base), 0)
        last = chapter["end"] - round(shift / base)
        if end is not None:
            last = min(last, round((end - shift) / base))
        if last > first or (not shift and end is None):
            yield {**chapter, "start": first, "end": last}
