"""The way of videos through `blurdm deblur`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blurdm_cli.commands.outcome import Outcome, failed
from blurdm_cli.errors import InputError

if TYPE_CHECKING:
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.media.naming import Job


@dataclass(frozen=True)
class VideoOptions:
    """What is asked for beyond the model's own work."""

    dry_run: bool = False


def deblur_video(job: Job, deblurrer: Deblurrer, options: VideoOptions) -> Outcome:
    """Deblur one video."""
    error = InputError(
        f"{job.input} is a video, which cannot be deblurred yet",
        hint="Take frames out of it, and deblur those",
    )
    return replace(failed(job.input, error), kind="video")
