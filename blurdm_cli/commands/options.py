"""Options that several commands have."""

from typing import Annotated

import typer

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
