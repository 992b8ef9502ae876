"""Plan a clip's output: its container and encoding, and the other streams that are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from blurdm_cli.choices import Audio
from blurdm_cli.errors import UsageError
from blurdm_cli.files.formats import CONTAINERS
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.video.clip import Clip
from blurdm_cli.video.encode_plan import Wish, plan_encoding
from blurdm_cli.video.encoder import Encoding
from blurdm_cli.video.mux import unstored
from blurdm_cli.video.reader import main_stream, open_video
from blurdm_cli.video.streams import Kept, plan_streams

if TYPE_CHECKING:
    pass


def plan_output(
    clip: Clip, container: str, options: VideoOptions, run: RunOptions
) -> tuple[Encoding, list[Kept], list[str]]:
    """Plan the encoding of a clip and the other streams to keep; list what is not kept."""
    wish = Wish(options.codec, options.crf, options.preset, options.pix_fmt)
    if clip.is_pictures and wish.pix_fmt is None and not (clip.width % 2 or clip.height % 2):
        wish = replace(wish, pix_fmt=PLAYS_EVERYWHERE.get(wish.codec or "h264"))
    every = options.every
    slower = replace(clip, rate=clip.rate / every, steady=clip.steady and clip.steady / every)
    encoding, notes = plan_encoding(slower, container, wish)
    if clip.is_pictures:
        return encoding, [], [*notes, *clip.unkept]
    with open_video(clip.path) as source:
        sound = options.audio is Audio.copy
        main = main_stream(source)
        kept, more = plan_streams(source, main, container, sound=sound, metadata=run.metadata)
        notes += [*more, *unstored(source, container)]
    if clip.side_data:
        notes.append(f"not kept: {' and '.join(clip.side_data)}")
    if clip.interlaced:
        notes.append("the video is interlaced: both fields are restored as one frame")
    if clip.matrix is not None and container not in TURNED:
        notes.append(f"{container} does not store rotation")
    return encoding, kept, notes


PLAYS_EVERYWHERE = {"h264": "yuv420p", "hevc": "yuv420p", "vp9": "yuv420p", "av1": "yuv420p"}
"""Pixel format of videos made from an image sequence."""


TURNED = frozenset({"mp4", "mov", "matroska"})
"""Containers that store rotation."""


def container_of(target: Path) -> str:
    """Return FFmpeg's name for the container that a file's suffix selects.

    Raises:
        UsageError: this container cannot be written.
    """
    container = CONTAINERS.get(target.suffix.lower())
    if container is None:
        raise UsageError(
            f"{target.suffix or 'A name without a suffix'} is not a supported video format",
            hint=f"Known: {' '.join(suffix[1:] for suffix in CONTAINERS)};"
            " or an image sequence: frames/%05d.png",
        )
    return container
