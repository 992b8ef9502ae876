"""What photos and videos of a run share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.files.journal import Journal
from blurdm_cli.pipeline.destinations import Destinations
from blurdm_cli.pipeline.options import RunOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.reporter import Reporter


@dataclass(frozen=True)
class Run:
    """What photos and videos of a run share."""

    deblurrer: Deblurrer
    """Restores photos and frames."""
    options: RunOptions
    places: Destinations
    """Where files are read and written."""
    journals: Mapping[Path | None, Journal]
    """By the folder that a job names as its home."""
    reporter: Reporter
    """Shows the progress."""
    tell: Callable[[Outcome], None]
    """Called with each outcome."""
    fetch: Callable[[Path], object] = lambda path: None
    """Called with the path of an input before it is read; makes sure that it is there."""
