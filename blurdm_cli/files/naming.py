"""Output paths: names, folders, templates, and the policy for existing files."""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePosixPath
from string import Formatter

from blurdm_cli.choices import OnExists
from blurdm_cli.errors import OutputError, UsageError
from blurdm_cli.files.formats import FORMATS, INSTEAD, PHOTO_SUFFIXES, SUFFIX_OF, format_of
from blurdm_cli.files.inputs import Found
from blurdm_cli.files.signatures import VIDEO, kind_of_file

BESIDE, INSIDE = "{stem}.deblurred{ext}", "{stem}{ext}"
"""The templates of results next to their inputs, and in an output folder."""

VIDEO_INSTEAD = ".mkv"
"""The suffix of results of videos in other containers: it supports every codec."""

FIELDS = ("stem", "ext", "parent", "index", "model")
"""Template fields: stem and suffix, the input's folder, its number, the model."""


@dataclass(frozen=True)
class FileJob:
    """An input file and its output path."""

    input: Path
    output: Path
    home: Path | None = None
    """The folder whose journal records it: the output folder, else the folder it was found in,
    else, in place, its own. None: a file that was named directly is in no journal."""


@dataclass(frozen=True)
class Naming:
    """Naming rules for results."""

    template: str | None = None
    """Such as "{stem}_sharp{ext}", with `FIELDS`; None: `BESIDE` or `INSIDE`."""
    suffix: str | None = None
    """The suffix of all results except videos, such as ".png"."""
    model: str = ""
    in_place: bool = False
    """Whether results replace their inputs."""


def plan_outputs(
    inputs: Found,
    output: str | Path | None = None,
    naming: Naming = Naming(),
) -> list[FileJob]:
    """Choose the output path of each input; no two are the same, and none is an input.

    Args:
        inputs: photos and videos.
        output: None: next to each input, and results of earlier runs are not used as inputs.
            A file, for one input that was named directly. Else a folder: if it exists as one,
            has no suffix, ends with a separator (in a str; a Path loses it), or is for several
            inputs; folders are mirrored in it.
        naming: how results are named.

    Raises:
        UsageError: a result would replace an input, or several would go to one file; or the
            template has an unknown field, or leads out of the folder; or the format of the
            output file is not supported, or differs from the suffix.
    """
    if naming.in_place:
        if output is not None or naming.template or naming.suffix:
            raise UsageError(
                "--in-place keeps the location, name and format of each file",
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
    """Mirror the subfolders of the inputs in the output folder."""
    if output.is_file():
        raise UsageError(
            f"{output} is a file and cannot hold the results of a folder",
            hint="Name a folder with --output",
        )
    template = INSIDE if naming.template is None else naming.template
    jobs = []
    for number, (path, root) in enumerate(inputs, start=1):
        inside = path.relative_to(root or path.parent).parent
        jobs.append(FileJob(path, output / inside / _name(template, path, number, naming), output))
    return jobs


def _name(template: str, path: Path, number: int, naming: Naming) -> PurePosixPath:
    """Fill in the template for one input."""
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
            hint=f"Known fields: {', '.join(f'{{{field}}}' for field in FIELDS)}",
        ) from error
    if name.is_absolute() or ".." in name.parts or name.name in ("", "."):
        raise UsageError(
            f"The template {template!r} gives {str(name)!r}, which is not a path in the folder",
            hint="Choose the folder with --output",
        )
    if name.suffix and not values["ext"]:  # the apparent suffix is part of the template
        return name.with_name(name.name + SUFFIX_OF.get(kind_of_file(path) or "", ""))
    return name


def _is_file(output: str | Path, inputs: Found) -> bool:
    """Whether the output is the path of a single result, in a supported format."""
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
            f"{suffix[1:]} is not a supported output format",
            hint=f"Known for photos: {photos}; for videos: {videos}",
        )
    if inputs and written and not alone:
        raise UsageError(
            f"Results of a folder, a pattern or several files cannot go into one file, {text}",
            hint="Name a folder with --output: an existing one, or a name that ends with /",
        )
    return alone


def _check_format(output: Path, suffix: str | None) -> None:
    """Raise a UsageError if the suffix contradicts the format of the output file's name."""
    if suffix is not None and FORMATS.get(output.suffix.lower()) != format_of(suffix):
        raise UsageError(
            f"--format {suffix[1:]} does not match the output name {output}",
            hint=f"Leave out --format, or write to {output.with_suffix(suffix)}",
        )


def _without_results(inputs: Found, template: str) -> Found:
    """Leave out results of earlier runs: in folders, and where the original is also an input."""
    own = _own_stem(template)
    named = {path.with_suffix("") for path, _ in inputs}
    kept = []
    for path, root in inputs:
        match = own.fullmatch(path.stem)
        if not match or (root is None and path.with_name(match[1]) not in named):
            kept.append((path, root))
    return kept


def _own_stem(template: str) -> re.Pattern[str]:
    """A pattern that matches the stems of results; the first group is the input's stem."""
    try:
        parts = list(Formatter().parse(PurePosixPath(template).stem))
    except ValueError:  # reported when it is filled in
        parts = []
    text = "".join(literal for literal, *_ in parts)
    if [field for _, field, *_ in parts if field].count("stem") != 1 or not text:
        parts = list(Formatter().parse("{stem}.deblurred"))
    pattern = ""
    for literal, field, *_ in parts:
        pattern += re.escape(literal) + {None: "", "stem": "(.+)"}.get(field, ".*")
    return re.compile(rf"{pattern}(-\d+)?(\.compare(-\d+)?)?")


def _suffix(path: Path, suffix: str | None) -> str:
    """The requested suffix; else the input's own, if writable or empty; else a substitute.

    The request does not apply to a video, unless its name is that of a photo.
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
    """Number output paths that are already used; paths that differ only in case count as used."""
    taken: set[str] = set()
    following = Counter[str]()  # numbers tried for each path, or equal names would take for ever
    for job in wanted:
        key = plain(job.output)
        for free in numbered(job.output, after=following[key]):
            following[key] += 1
            if plain(free) not in taken:
                break
        taken.add(plain(free))
        yield replace(job, output=free)


def plain(path: Path) -> str:
    """A key that is the same for all spellings of a path, as some disks ignore case."""
    return os.path.abspath(path).casefold()


def numbered(path: Path, after: int = 0) -> Iterator[Path]:
    """Yield the path, then the path with -2, -3, ... after the stem.

    Args:
        path: the path.
        after: paths to leave out at the beginning.
    """
    for number in count(after + 1):
        yield path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def _identity(path: Path) -> tuple[int, int] | str:
    """A key that is the same for all names of a file, whatever links, `..` or case they use."""
    real = os.path.realpath(path)
    try:
        status = os.stat(real)
    except OSError:
        return real
    return status.st_dev, status.st_ino


def check_inputs_stay(jobs: Sequence[FileJob]) -> None:
    """Raise a UsageError if a result would replace an input."""
    inputs = {_identity(job.input) for job in jobs}
    for job in jobs:
        if _identity(job.output) in inputs:
            raise UsageError(
                f"{job.output} is an input and would be replaced by a result",
                hint="Choose another --output, or use --in-place, which keeps the original too",
            )


def resolve_existing(
    output: Path,
    policy: OnExists,
    taken: Collection[str] = frozenset(),
    exists: Callable[[Path], bool] = os.path.lexists,
) -> Path | None:
    """Choose the path to write to if the output may exist; None means skip.

    Args:
        output: the path to use if it does not exist.
        policy: what to do if it exists.
        taken: paths, normalised by `plain`, that "rename" leaves free for others.
        exists: whether something is at a path.

    Raises:
        OutputError: the file exists, and the policy is "error".
    """
    if policy == "overwrite" or not exists(output):
        return output
    if policy == "skip":
        return None
    if policy == "rename":
        free = (path for path in numbered(output) if not exists(path))
        return next(path for path in free if plain(path) not in taken)
    raise OutputError(
        f"{output} exists already", hint="Try --overwrite, or --on-exists skip or rename"
    )
