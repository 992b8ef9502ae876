"""Where results go: names, folders, templates, and what to do where a file is there already."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from string import Formatter

from blurdm_cli.choices import OnExists
from blurdm_cli.errors import OutputError, UsageError
from blurdm_cli.files.formats import FORMATS, INSTEAD, PHOTO_SUFFIXES, SUFFIX_OF, format_of
from blurdm_cli.files.inputs import Found
from blurdm_cli.files.signatures import VIDEO, kind_of_file

BESIDE, INSIDE = "{stem}.deblurred{ext}", "{stem}{ext}"
"""The templates of results beside their inputs, and in a folder of their own."""

VIDEO_INSTEAD = ".mkv"
"""The suffix of results of videos whose own is not written: it takes every codec."""

FIELDS = ("stem", "ext", "parent", "index", "model")
"""What a template may name: stem and suffix, the input's folder, its number, the model."""


@dataclass(frozen=True)
class FileJob:
    """A file, and the file that its restored self will be."""

    input: Path
    output: Path
    home: Path | None = None
    """The folder whose journal tells of it: the results' one, else the one it was found through,
    else, in place, its own. None: of a file that was named itself no journal tells."""


@dataclass(frozen=True)
class Naming:
    """How results are named."""

    template: str | None = None
    """Such as "{stem}_sharp{ext}", of `FIELDS`; None: `BESIDE` or `INSIDE`."""
    suffix: str | None = None
    """".png" and the like: of all results but those of videos."""
    model: str = ""
    in_place: bool = False
    """Whether results take their inputs' places."""


def plan_outputs(
    inputs: Found,
    output: str | Path | None = None,
    naming: Naming = Naming(),
) -> list[FileJob]:
    """Decide where each result goes; no two go to one place, and none onto an input.

    Args:
        inputs: photos and videos.
        output: None: beside each input, and results of earlier runs are no inputs. A file, for
            one input that was named itself. Else a folder: what exists as one, has no suffix,
            or ends with a separator (in a str; a Path has lost it), or takes several inputs;
            folders are mirrored in it.
        naming: of the results.

    Raises:
        UsageError: a result would take an input's place, or several that of one file; or the
            template names a field that there is not, or leads out of the folder; or the output
            file is of no format that is written, or of another one than the suffix.
    """
    if naming.in_place:
        if output is not None or naming.template or naming.suffix:
            raise UsageError(
                "--in-place keeps the place, the name and the format of each file",
                hint="Leave out --output, --name and --format",
            )
        return [FileJob(path, Path(os.path.realpath(path)), root) for path, root in inputs]
    wanted: list[FileJob]
    if output is None:
        template = BESIDE if naming.template is None else naming.template
        kept = _without_results(inputs, template)
        wanted = [
            FileJob(path, path.parent / _name(template, path, number, naming), root)
            for number, (path, root) in enumerate(kept, start=1)
        ]
    elif _is_file(output, inputs):
        _check_format(Path(output), naming.suffix)
        wanted = [FileJob(path, Path(output)) for path, _ in inputs]
    else:
        wanted = _mirrored(inputs, Path(output), naming)
    jobs = list(_apart(wanted))
    check_inputs_stay(jobs)
    return jobs


def _mirrored(inputs: Found, output: Path, naming: Naming) -> list[FileJob]:
    """Results in a folder, in sub-folders as their inputs are."""
    if output.is_file():
        raise UsageError(
            f"{output} is a file, and cannot hold the results of a folder",
            hint="Name a folder with --output",
        )
    template = INSIDE if naming.template is None else naming.template
    jobs = []
    for number, (path, root) in enumerate(inputs, start=1):
        inside = path.relative_to(root or path.parent).parent
        jobs.append(FileJob(path, output / inside / _name(template, path, number, naming), output))
    return jobs


def _name(template: str, path: Path, number: int, naming: Naming) -> PurePosixPath:
    """Fill a template in for one input."""
    values = {
        "stem": path.stem,
        "ext": _suffix(path, naming.suffix),
        "parent": path.absolute().parent.name,
        "index": number,
        "model": naming.model,
    }
    try:
        name = PurePosixPath(template.format_map(values))
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(
            f"The template {template!r} cannot be filled in",
            hint=f"It may name {', '.join(f'{{{field}}}' for field in FIELDS)}",
        ) from error
    if name.is_absolute() or ".." in name.parts or name.name in ("", "."):
        raise UsageError(
            f"The template {template!r} gives {str(name)!r}, which is no name in the folder",
            hint="Choose the folder with --output",
        )
    if name.suffix and not values["ext"]:  # what looks like a suffix is of the template
        return name.with_name(name.name + SUFFIX_OF.get(kind_of_file(path) or "", ""))
    return name


def _is_file(output: str | Path, inputs: Found) -> bool:
    """Whether the output names the one result, of a format that can be written."""
    from blurdm_cli.files.formats import CONTAINERS

    text = os.fspath(output)
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if text.endswith(separators) or Path(text).is_dir() or not Path(text).suffix:
        return False
    suffix = Path(text).suffix.lower()
    written = suffix in FORMATS or suffix in CONTAINERS
    alone = len(inputs) == 1 and inputs[0][1] is None
    if alone and not written:
        photos, videos = (" ".join(known[1:] for known in each) for each in (FORMATS, CONTAINERS))
        raise UsageError(
            f"{suffix[1:]} is no format that can be written",
            hint=f"Known for photos: {photos}; for videos: {videos}",
        )
    if inputs and written and not alone:
        raise UsageError(
            f"The results of a folder, a pattern or several files do not go into one file, {text}",
            hint="Name a folder with --output: one that exists, or ends with /",
        )
    return alone


def _check_format(output: Path, suffix: str | None) -> None:
    """Refuse a suffix of another format than the one that an output file's name asks for."""
    if suffix is not None and FORMATS.get(output.suffix.lower()) != format_of(suffix):
        raise UsageError(
            f"--format {suffix[1:]} contradicts the name of the output, {output}",
            hint=f"Leave out --format, or write to {output.with_suffix(suffix)}",
        )


def _without_results(inputs: Found, template: str) -> Found:
    """Leave out what a run beside its inputs wrote: in folders, and beside its own original."""
    own = _own_stem(template)
    named = {path.with_suffix("") for path, _ in inputs}
    kept = []
    for path, root in inputs:
        match = own.fullmatch(path.stem)
        if not match or (root is None and path.with_name(match[1]) not in named):
            kept.append((path, root))
    return kept


def _own_stem(template: str) -> re.Pattern[str]:
    """What the stems of results look like; the first group is the input's stem."""
    try:
        parts = list(Formatter().parse(PurePosixPath(template).stem))
    except ValueError:  # is said when it is filled in
        parts = []
    text = "".join(literal for literal, *_ in parts)
    if [field for _, field, *_ in parts if field].count("stem") != 1 or not text:
        parts = list(Formatter().parse("{stem}.deblurred"))
    pattern = ""
    for literal, field, *_ in parts:
        pattern += re.escape(literal) + {None: "", "stem": "(.+)"}.get(field, ".*")
    return re.compile(rf"{pattern}(-\d+)?(\.compare(-\d+)?)?")


def _suffix(path: Path, suffix: str | None) -> str:
    """The suffix asked for, or the input's own where its format can be written, or none.

    What is asked for does not count for a video, unless it has a photo's name.
    """
    from blurdm_cli.files.formats import CONTAINERS

    own = path.suffix.lower()
    if own not in PHOTO_SUFFIXES and kind_of_file(path) == VIDEO:
        return path.suffix if own in CONTAINERS else VIDEO_INSTEAD
    if suffix is not None:
        return suffix
    known = not own or own in FORMATS or own in CONTAINERS
    return path.suffix if known else INSTEAD.get(own, ".png")


def _apart(wanted: Iterable[FileJob]) -> Iterator[FileJob]:
    """Number the places that were taken before, also those that differ only in their case."""
    taken: set[str] = set()
    for job in wanted:
        free = next(p for p in numbered(job.output) if plain(p) not in taken)
        taken.add(plain(free))
        yield replace(job, output=free)


def plain(path: Path) -> str:
    """What all names of one place have in common, also where a disk ignores their case."""
    return os.path.abspath(path).casefold()


def numbered(path: Path) -> Iterator[Path]:
    """The path, then the same with -2, -3, ... behind the stem."""
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1


def _identity(path: Path) -> tuple[int, int] | str:
    """What two names of one file have in common, whatever links, `..` or case they use."""
    real = os.path.realpath(path)
    try:
        status = os.stat(real)
    except OSError:
        return real
    return status.st_dev, status.st_ino


def check_inputs_stay(jobs: Sequence[FileJob]) -> None:
    """Refuse a result that would take an input's place."""
    inputs = {_identity(job.input) for job in jobs}
    for job in jobs:
        if _identity(job.output) in inputs:
            raise UsageError(
                f"{job.output} is an input, and would be replaced by its result",
                hint="Choose another place with --output, or say --in-place, which keeps it too",
            )


def settle(output: Path, policy: OnExists, taken: Collection[str] = frozenset()) -> Path | None:
    """Where to write, given what is there already; None is to skip.

    Args:
        output: where to, if nothing is there.
        policy: what to do where something is.
        taken: places, as `plain` writes them, that "rename" keeps free for others.

    Raises:
        OutputError: there is a file, and the policy is "error".
    """
    if policy == "overwrite" or not os.path.lexists(output):
        return output
    if policy == "skip":
        return None
    if policy == "rename":
        free = (path for path in numbered(output) if not os.path.lexists(path))
        return next(path for path in free if plain(path) not in taken)
    raise OutputError(
        f"{output} exists already", hint="Try --overwrite, or --on-exists skip or rename"
    )
