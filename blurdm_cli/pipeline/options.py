"""Options of a run, each defined once; docs/cli.md explains them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from blurdm_cli.choices import Audio, Guard, Keep, MotionMode, OnExists, Quality
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.errors import UsageError
from blurdm_cli.files.inputs import Found, Search
from blurdm_cli.files.naming import Naming


@dataclass(frozen=True)
class RunOptions:
    """Files to restore, destination of the results, and options for both photos and videos."""

    inputs: Sequence[str] = ()
    found: Found | None = None
    """The files instead of `inputs`, each with the folder it was found in."""
    output: str | None = None
    search: Search = Search()
    naming: Naming = Naming()
    on_exists: OnExists | None = None
    """None: "error" if the output names the one result, else "skip"."""
    quality: Quality = "auto"
    """Quality of photos and of image sequences."""
    metadata: Keep = "keep"
    resume: bool = True
    dry_run: bool = False
    fail_fast: bool = False
    single: bool = False
    """Whether the output holds only one result, as stdout does."""

    @property
    def in_place(self) -> bool:
        """Whether results replace their inputs."""
        return self.naming.in_place


@dataclass(frozen=True)
class ModelOptions:
    """The model, and how it runs."""

    model: str
    runtime: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None
    halo: int | None = None
    batch: int = 1
    steps: int | None = None
    seed: int = 0
    strength: float = 1.0
    tta: bool = False
    motion: MotionMode = "auto"
    guard: Guard = "on"
    expert: str | None = None
    """Name or path of another model, for photos; see `engine.expert`."""

    def open(self) -> Deblurrer:
        """Open the model.

        Raises:
            UsageError: an option is out of range, or the model needs another number of steps.
        """
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "steps"}
        deblurrer = Deblurrer.open(**options)
        schedule = deblurrer.spec.prior.schedule
        own = len(schedule.alpha) - 1 if schedule else 0
        if self.steps not in (None, own):
            raise UsageError(
                f"{deblurrer.spec.name} only runs with {own} steps, as it was trained",
                hint="Leave out --steps",
            )
        return deblurrer

    def decides(self) -> dict[str, Any]:
        """Options that determine the output, besides models, runtimes, precisions and tiles."""
        names = ("seed", "strength", "tta", "motion", "guard")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class PhotoOptions:
    """Options for photos only."""

    compare: bool = False
    only_blurry: float | None = None
    """Skip photos with a blur score up to this."""

    @property
    def given(self) -> list[str]:
        """Names of the options that are set; they have no effect on videos."""
        asked = {"--compare": self.compare, "--only-blurry": self.only_blurry is not None}
        return [option for option, given in asked.items() if given]

    def decides(self, run: RunOptions) -> dict[str, Any]:
        """Options that determine the output."""
        return {"quality": run.quality, "metadata": run.metadata, "compare": self.compare}


@dataclass(frozen=True)
class VideoOptions:
    """Options for videos only."""

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    audio: Audio = Audio.copy
    start: Fraction | None = None
    """Seconds from the start of the clip."""
    end: Fraction | None = None
    frames: int | None = None
    every: int = 1
    all_frames: bool = False
    fps: float = 25.0

    @classmethod
    def read(cls, start: str | None = None, end: str | None = None, **options: Any) -> VideoOptions:
        """Parse the options as they are typed.

        Raises:
            UsageError: a time is invalid, or the end is not after the start.
        """
        first, last = (_seconds("start", start), _seconds("end", end))
        if last is not None and last <= (first or 0):
            raise UsageError(
                f"--end {end} is not after --start {start or 0}", hint="Both are seconds, or M:S"
            )
        return cls(start=first, end=last, **options)

    def decides(self, run: RunOptions) -> dict[str, str]:
        """Options that determine the output, as text."""
        return {f.name: str(getattr(self, f.name)) for f in fields(self)} | {
            "metadata": str(run.metadata)
        }


def _seconds(option: str, text: str | None) -> Fraction | None:
    if text is None:
        return None
    if not re.fullmatch(r"([0-9]+:){0,2}[0-9]+(\.[0-9]+)?", text):
        raise UsageError(f"--{option} cannot be {text!r}", hint="Examples: 90, 1:30, 0:01:30.5")
    total = Fraction(0)
    for part in text.split(":"):
        total = total * 60 + Fraction(part)
    return total
