"""Owner, permissions, times and extended attributes of a file that a result replaces or follows."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from blurdm_cli.files.atomic import Seal


def following(source: Path, target: Path, seal: Seal, notes: list[str], *, in_place: bool) -> Seal:
    """Have a result take the attributes that it should have, before it takes its place.

    Args:
        source: the file that it was made from.
        target: its path.
        seal: is called afterwards, see `atomic.Seal`.
        notes: receives a line for each attribute that cannot be kept.
        in_place: whether the result replaces its source: it then keeps all attributes. Otherwise
            a new file is no more open than its source, and one that is replaced stays as open.
    """
    exists = target.exists()

    def sealed(part: Path) -> None:
        if in_place:
            notes.extend(keep_attributes(target, part))
        elif not exists:
            restrict_permissions(source, part)
        seal(part)

    return sealed


def keep_attributes(source: Path, part: Path) -> list[str]:
    """Give a result the attributes of the file whose place it takes.

    Args:
        source: the file that is replaced.
        part: the result, before it is renamed.

    Returns:
        A note on each attribute that cannot be kept.
    """
    status = source.stat()
    steps: list[tuple[str, Callable[[], object]]] = []
    if (status.st_uid, status.st_gid) != (part.stat().st_uid, part.stat().st_gid):
        steps.append(("owner", lambda: os.chown(part, status.st_uid, status.st_gid)))
    steps.append(("permissions", lambda: part.chmod(stat.S_IMODE(status.st_mode))))
    steps += [
        (f"extended attribute {name}", partial(_copy, source, part, name))
        for name in _names(source)
    ]
    steps.append(("times", lambda: os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))))
    return [f"its {name} cannot be kept" for name, step in steps if not _works(step)]


def restrict_permissions(source: Path, part: Path) -> None:
    """Let nobody read a result who may not read its source; the owner may always."""
    with suppress(OSError):
        mode = stat.S_IMODE(part.stat().st_mode)
        part.chmod(mode & (stat.S_IMODE(source.stat().st_mode) | stat.S_IRUSR | stat.S_IWUSR))


def _works(step: Callable[[], object]) -> bool:
    try:
        step()
    except (OSError, AttributeError):  # another system has no owners, or no such call
        return False
    return True


def _names(path: Path) -> Iterator[str]:
    """The names of a file's extended attributes, where the system has them."""
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            yield from os.listxattr(path)


def _copy(source: Path, part: Path, name: str) -> None:
    os.setxattr(part, name, os.getxattr(source, name))
