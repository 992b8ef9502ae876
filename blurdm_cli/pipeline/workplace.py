"""Private folders for what is fetched and made before it is sent."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from blurdm_cli.errors import OutputError
from blurdm_cli.files.journal import FOLDER
from blurdm_cli.files.locks import locked


@contextmanager
def throwaway() -> Iterator[Path]:
    """A new folder, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="blurdm-") as folder:
        yield Path(os.path.realpath(folder))


@contextmanager
def workplace(key: str) -> Iterator[Path]:
    """A folder in the user's cache that the next run with the same key finds again.

    Only finished segments of videos are kept for it, so that it resumes an interrupted video.

    Args:
        key: identifies the run: its output.

    Raises:
        OutputError: another run uses it, or it cannot be created.
    """
    import platformdirs

    cache = Path(platformdirs.user_cache_dir("blurdm", appauthor=False), "buckets")
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    folder = cache / name
    with ExitStack() as stack:
        try:
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            cache.chmod(0o700)
            stack.enter_context(locked(cache / f"{name}.lock", key))
        except OSError as error:
            raise OutputError(
                f"{cache} cannot be written: {error.strerror}",
                hint="Set XDG_CACHE_HOME to a folder where you may write",
            ) from error
        _tidy(folder)
        stack.callback(_tidy, folder)
        yield Path(os.path.realpath(folder))


def _tidy(folder: Path) -> None:
    """Remove all files but those of interrupted videos, and empty folders."""
    for parent, _, names in os.walk(folder, topdown=False):
        inside = Path(parent)
        kept = FOLDER in inside.relative_to(folder).parts
        with suppress(OSError):
            for name in () if kept else names:
                (inside / name).unlink()
            inside.rmdir()
