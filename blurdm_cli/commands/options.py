"""Options shared by several commands."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blurdm_cli.commands.console import warn
from blurdm_cli.errors import OutputError, UsageError

if TYPE_CHECKING:
    from blurdm_cli.files.inputs import Search

INPUTS = "Inputs"

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Photos, videos (deblur), folders, patterns such as *.jpg, s3:// and gs:// URLs"
        " (deblur), or @LIST.txt with one of these per line.",
    ),
]
Recursive = Annotated[bool, typer.Option(help="Include sub-folders.", rich_help_panel=INPUTS)]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="In folders, only take files whose name or path matches.",
        show_default="all",
        rich_help_panel=INPUTS,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="In folders, skip files whose name or path matches.",
        show_default="none",
        rich_help_panel=INPUTS,
    ),
]


def search_for(
    recursive: bool, include: list[str] | None, exclude: list[str] | None, *, videos: bool
) -> Search:
    """Build the search for files in folders; warn about folders that cannot be read."""
    from blurdm_cli.files.formats import PHOTO_SUFFIXES, VIDEO_SUFFIXES
    from blurdm_cli.files.inputs import Search

    return Search(
        recursive,
        tuple(include or ()),
        tuple(exclude or ()),
        PHOTO_SUFFIXES | VIDEO_SUFFIXES if videos else PHOTO_SUFFIXES,
        left_out=lambda error: warn(f"{error.filename} is skipped: {error.strerror}"),
    )


def auto_or_number(option: str, value: str, least: int, most: int) -> int | None:
    """Parse an option that is a number or "auto"; None for "auto"."""
    if value == "auto":
        return None
    if value.isdecimal() and least <= int(value) <= most:
        return int(value)
    raise UsageError(
        f"--{option} cannot be {value!r}", hint=f"Use auto, or a number from {least} to {most}"
    )


def check_output(path: Path, inputs: Collection[Path], overwrite: bool, *, instead: str) -> None:
    """Refuse an output that exists, before any work is done.

    Args:
        path: the output.
        inputs: the input files; they are never replaced.
        overwrite: whether to replace other files.
        instead: what the hint suggests to change, such as "--output".

    Raises:
        OutputError: it exists and must not be replaced.
    """
    if not path.exists():
        return
    if any(other.exists() and path.samefile(other) for other in inputs):
        raise OutputError(f"{path} is one of the photos", hint=f"Choose another {instead}")
    if not overwrite:
        hint = f"Use --overwrite, or choose another {instead}"
        raise OutputError(f"{path} exists already", hint=hint)
