"""Options that several commands have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from blurdm_cli.commands.console import warn

if TYPE_CHECKING:
    from blurdm_cli.media.inputs import Search

INPUTS = "Inputs"

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Photos (deblur takes videos too), folders of them, patterns, or @LIST.txt with one"
        " of these a line.",
    ),
]
Recursive = Annotated[bool, typer.Option(help="Take sub-folders too.", rich_help_panel=INPUTS)]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Take only these of a folder's files, by name or path.",
        show_default="all",
        rich_help_panel=INPUTS,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Leave out these of a folder's files.",
        show_default="none",
        rich_help_panel=INPUTS,
    ),
]


def search_for(
    recursive: bool, include: list[str] | None, exclude: list[str] | None, *, videos: bool
) -> Search:
    """Which files of folders are taken; a folder that may not be read is told of."""
    from blurdm_cli.media.files import PHOTO_SUFFIXES, VIDEO_SUFFIXES
    from blurdm_cli.media.inputs import Search

    return Search(
        recursive,
        tuple(include or ()),
        tuple(exclude or ()),
        PHOTO_SUFFIXES | VIDEO_SUFFIXES if videos else PHOTO_SUFFIXES,
        left_out=lambda error: warn(f"{error.filename} is left out: {error.strerror}"),
    )
