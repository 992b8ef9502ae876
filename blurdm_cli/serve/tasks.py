"""Tasks of the worker process: deblur files, estimate a motion, mix a result with its input."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from blurdm_cli.choices import Format, Keep, MotionMode, Quality
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.files.naming import BESIDE, Naming
from blurdm_cli.machine import available_cores
from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.motion.regions import as_row as motion_row
from blurdm_cli.motion.regions import drawn_path, regions
from blurdm_cli.photo.comparison import viewed
from blurdm_cli.photo.photo import Photo, read_photo, write_photo
from blurdm_cli.photo.pixels import to_8_bit
from blurdm_cli.pipeline.batch import deblur_files
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome, as_row
from blurdm_cli.pipeline.reporter import Advance, Silent
from blurdm_cli.serve.failures import hint_of, status_of

Tell = Callable[[dict[str, Any]], None]
"""Sends a message about the current task."""


@dataclass(frozen=True)
class Task:
    """What the worker is asked to do."""

    kind: Literal["deblur", "motion", "mix"]
    inputs: tuple[str, ...]
    """Paths; for "mix" the photo and its result."""
    output: str = ""
    """A folder; for "mix" a file."""
    model: str = ""
    expert: str | None = None
    strength: float = 1.0
    motion: MotionMode = "auto"
    format: Format = "keep"
    quality: Quality = "auto"
    metadata: Keep = "keep"


class Tasks:
    """Runs tasks with one open model, and its expert."""

    def __init__(self, options: ModelOptions) -> None:
        """Open the model.

        Raises:
            BlurdmError: it cannot be opened.
        """
        self._options = options
        self._deblurrer: Deblurrer | None = options.open()

    def __call__(self, task: Task, tell: Tell, check: Callable[[], None]) -> None:
        """Run one task.

        Args:
            task: the task.
            tell: called with the progress, and with each file or result as it is ready.
            check: called often; what it raises ends the task.

        Raises:
            BlurdmError: the task failed as a whole.
        """
        {"deblur": self._deblur, "motion": _find_motion, "mix": _mix}[task.kind](task, tell, check)

    def _deblur(self, task: Task, tell: Tell, check: Callable[[], None]) -> None:
        names = ("model", "expert", "strength", "motion")
        model = replace(self._options, **{name: getattr(task, name) for name in names})
        deblurrer = self._open(model).adjusted(task.strength, task.motion)
        suffix = None if task.format == "keep" else f".{task.format}"
        run = RunOptions(
            inputs=task.inputs,
            output=task.output,
            naming=Naming(BESIDE, suffix),
            quality=task.quality,
            metadata=task.metadata,
        )
        reporter = _Messages(task.inputs, tell, check)
        deblur_files(run, model, PhotoOptions(), VideoOptions(), reporter, deblurrer)

    def _open(self, model: ModelOptions) -> Deblurrer:
        """The open model and expert; others are closed before these are opened."""
        held = self._options
        same = model.model == held.model and model.expert in (None, held.expert)
        if self._deblurrer is None or not same:
            self._deblurrer = None
            self._deblurrer = model.open()
            self._options = model
        used = copy(self._deblurrer)
        if model.expert is None:  # it stays open for others
            used.expert = None
        return used


class _Messages(Silent):
    """Reports a run as messages."""

    def __init__(self, inputs: Sequence[str], tell: Tell, check: Callable[[], None]) -> None:
        self._numbers = {path: number for number, path in enumerate(inputs)}
        self._tell = tell
        self._check = check

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        def advance(done: float, note: str) -> None:
            self._check()
            self._tell({"progress": round(done, 4), "note": note or what})

        yield advance

    def finished(self, outcome: Outcome, facts: Mapping[str, Any]) -> None:
        row = as_row(outcome, facts)
        if outcome.error:
            row |= {"http_status": status_of(outcome.error), "hint": hint_of(outcome.error)}
        self._tell({"file": row, "number": self._numbers[outcome.input]})


def _find_motion(task: Task, tell: Tell, check: Callable[[], None]) -> None:
    pixels = read_photo(Path(task.inputs[0])).rgb()
    check()
    found = find_motion(pixels, available_cores())
    check()
    height, width = pixels.shape[:2]
    result: dict[str, Any] = {"size": [height, width], "path": None}
    if found.best.kernel.size > 1:
        opacity = np.rint(drawn_path(found) * 255).astype(np.uint8)
        result["path"] = base64.b64encode(cv2.imencode(".png", opacity)[1].tobytes()).decode()
    tell({"result": result | motion_row(found, regions(pixels, found, available_cores()))})


def _mix(task: Task, tell: Tell, check: Callable[[], None]) -> None:
    """Mix a photo with its result, in the result's format, or as a JPEG that browsers show."""
    before, after = (read_photo(Path(path)) for path in task.inputs)
    check()
    mixed = mixture(before, after, task.strength)
    if task.format == "keep":
        write_photo(mixed, Path(task.output), quality=task.quality)
    else:
        shown = replace(mixed, pixels=viewed(mixed), alpha=None)
        write_photo(shown, Path(task.output), quality=95)


def mixture(before: Photo, after: Photo, strength: float) -> Photo:
    """Mix a photo (strength 0) with its result (1), as `--strength` mixes them.

    Returns:
        The mixed pixels, with the type and metadata of the result.

    Raises:
        ValueError: the sizes differ.
    """
    pixels = before.rgb()
    if after.pixels.dtype == np.uint8:
        pixels = to_8_bit(pixels)
    elif pixels.dtype == np.uint8:
        pixels = pixels.astype(np.uint16) * 257
    mixed = np.empty_like(after.rgb(), order="C")
    for row, (old, new) in enumerate(zip(pixels, after.rgb(), strict=True)):
        mixed[row] = np.rint(old * np.float32(1 - strength) + new * np.float32(strength))
    return after.with_rgb(mixed)
