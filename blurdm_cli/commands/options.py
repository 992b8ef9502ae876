"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blurdm_cli.commands.console import warn
from blurdm_cli.errors import OutputError

if TYPE_CHECKING:
    from blurdm_cli.files.inputs import Search

INPUTS = "Inputs"

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Photos, folders, patterns such as *.jpg, or @LIST.txt with one of these per line."
        " deblur also takes videos.",
    ),
]
Recursive = Annotated[bool, typer.Option(help="Include sub-folders.", rich_help_panel=INPUTS)]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Only files of a folder that match, by name or path.",
        show_default="all",
        rich_help_panel=INPUTS,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Skip files of a folder that match, by name or path.",
        show_default="none",
        rich_help_panel=INPUTS,
    ),
]


def search_for(
    recursive: bool, include: list[str] | None, exclude: list[str] | None, *, videos: bool
) -> Search:
    """Which files of folders are taken; a folder that may not be read is told of."""
    from blurdm_cli.files.formats import PHOTO_SUFFIXES, VIDEO_SUFFIXES
    from blurdm_cli.files.inputs import Search

    return Search(
        recursive,
        tuple(include or ()),
        tuple(exclude or ()),
        PHOTO_SUFFIXES | VIDEO_SUFFIXES if videos else PHOTO_SUFFIXES,
        left_out=lambda error: warn(f"{error.filename} is left out: {error.strerror}"),
    )


def check_output(path: Path, inputs: Collection[Path], overwrite: bool, *, instead: str) -> None:
    """Refuse an output that is there already, before any work is done.

    Args:
        path: the output.
        inputs: what is read; none of it is ever replaced.
        overwrite: whether other files are.
        instead: what to choose another one of, in words.

    Raises:
        OutputError: it is there, and is not to be replaced.
    """
    if not path.exists():
        return
    if any(other.exists() and path.samefile(other) for other in inputs):
        raise OutputError(f"{path} is one of the photos", hint=f"Choose another {instead}")
    if not overwrite:
        hint = f"Say --overwrite, or choose another {instead}"
        raise OutputError(f"{path} exists already", hint=hint)
