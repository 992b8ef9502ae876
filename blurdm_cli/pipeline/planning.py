"""Plan a run: which files to restore, and where each result goes."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from glob import has_magic
from pathlib import Path

from blurdm_cli.errors import InputError, UsageError
from blurdm_cli.files.formats import CONTAINERS, PHOTO_SUFFIXES, VIDEO_SUFFIXES
from blurdm_cli.files.inputs import gather
from blurdm_cli.files.journal import Past
from blurdm_cli.files.naming import FileJob, check_inputs_stay, plan_outputs
from blurdm_cli.files.numbered import by_number, find_frames, frame_path, is_sequence
from blurdm_cli.files.objects import is_object
from blurdm_cli.files.reading import no_input
from blurdm_cli.files.signatures import VIDEO, kind_of_file
from blurdm_cli.pipeline.options import RunOptions

ANIMATIONS = ("gif", "png")
"""Kinds of photos that may be animated, and that FFmpeg decodes frame by frame."""


def plan_jobs(run: RunOptions, exists: Callable[[Path], bool] = os.path.lexists) -> list[FileJob]:
    """List the files to restore, and where each result goes.

    Args:
        run: names them.
        exists: whether something is at a path.

    Raises:
        InputError: there is no file.
        UsageError: the output does not fit the inputs.
    """
    output = run.output
    _check_output_is_no_input(run)
    if run.found is not None:
        return plan_outputs(run.found, output, run.naming)
    if not run.in_place and (pictures := _pictures_job(run.inputs, output)):
        return [pictures]
    skip = Path(output) if output and Path(output).is_dir() else None
    past = Past()
    found = gather(_named_one_by_one(run.inputs), replace(run.search, skip=skip))
    found = past.without_results(found)
    if run.in_place:
        found = past.at_home(found)
    jobs = plan_outputs(found, output, run.naming)
    if not jobs:
        names = ", ".join(map(str, run.inputs))
        raise InputError(
            f"There is no photo or video in {names}",
            hint="Supported: JPEG, PNG, WebP, TIFF, AVIF, BMP, GIF, HEIC, RAW and videos",
        )
    missing = [job.input for job in jobs if not exists(job.input)]
    if len(missing) == len(jobs):
        raise no_input(missing[0], FileNotFoundError())
    if run.single and len(jobs) > 1:
        raise UsageError(
            f"stdout holds one photo, not {len(jobs)}", hint="Name a folder with --output"
        )
    return jobs


def _check_output_is_no_input(run: RunOptions) -> None:
    """Refuse `deblur in.jpg out.jpg`, where out.jpg is taken for an input.

    Raises:
        UsageError: the last of several inputs does not exist.
    """
    *others, last = [*run.inputs] or [""]
    missing = not (os.path.lexists(last) or has_magic(last) or is_sequence(Path(last)))
    missing = missing and not is_object(last)
    named = Path(last).suffix.lower() in PHOTO_SUFFIXES | VIDEO_SUFFIXES or last.endswith(os.sep)
    if others and run.output is None and missing and named and all(map(os.path.lexists, others)):
        raise UsageError(f"There is no {last}", hint=f"To write there, use --output {last}")


def is_moving(job: FileJob) -> bool:
    """Whether a job's input is a video or an image sequence, or an animation that becomes one."""
    if job.input.is_file():
        kind = kind_of_file(job.input)
        return kind == VIDEO or (kind in ANIMATIONS and job.output.suffix.lower() in CONTAINERS)
    return job.input.is_dir() or is_sequence(job.input)


def _pictures_job(inputs: Sequence[str], output: str | None) -> FileJob | None:
    """The job of an image sequence that becomes one clip; None if there is none.

    Raises:
        InputError: no file matches.
        UsageError: a result would replace an input.
    """
    if len(inputs) != 1 or output is None:
        return None
    source, target = Path(inputs[0]), Path(output)
    clip = target.suffix.lower() in CONTAINERS and not target.is_dir()
    if not (clip or is_sequence(target)):
        return None
    if is_sequence(source) and not source.exists():
        files = by_number(source)
    else:
        files = _pictures_in(source)
    if files and is_sequence(target):
        places = [FileJob(file, frame_path(target, number)) for number, file in files.items()]
        check_inputs_stay(places)
    return FileJob(source, target) if files else None


def _pictures_in(folder: Path) -> dict[int, Path]:
    """The photos of a folder by number; empty if it is not a folder, or one of videos."""
    with suppress(InputError):
        return by_number(folder) if folder.is_dir() else {}
    return {}


def _named_one_by_one(inputs: Sequence[str]) -> Iterator[str]:
    """The inputs, with patterns of image sequences expanded to their files.

    Raises:
        InputError: no file matches.
    """
    for word in inputs:
        path = Path(word)
        if is_sequence(path) and not path.exists():
            yield from map(str, find_frames(path))
        else:
            yield word
