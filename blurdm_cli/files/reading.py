"""Error messages for files that cannot be read."""

import os
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from blurdm_cli.errors import InputError
from blurdm_cli.files.signatures import special


def check_regular(path: Path) -> None:
    """Check that opening a path does not block until somebody writes to it.

    Raises:
        InputError: it is a pipe, a socket or a device.
    """
    if words := special(path):
        raise InputError(f"{path} is {words}, not a file", hint="Copy its content to a file")


def no_input(path: Path, error: OSError) -> InputError:
    """Build the error for a file or folder that cannot be opened; suggest the closest name."""
    if os.path.islink(path) and not os.path.exists(path):
        return InputError(f"{path} is a link to a file that does not exist", hint="Fix the link")
    if isinstance(error, FileNotFoundError):
        with suppress(OSError):
            near = get_close_matches(path.name, os.listdir(path.parent), n=1)
            if near:
                return InputError(f"There is no {path}", hint=f"Did you mean {near[0]!r}?")
        return InputError(f"There is no {path}", hint="Check the name and the folder")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a folder, not a photo", hint="Name a file in it")
    reason = error.strerror or type(error).__name__
    hint = "Ask for permission to read it" if isinstance(error, PermissionError) else None
    return InputError(f"{path} cannot be read: {reason}", hint=hint)
