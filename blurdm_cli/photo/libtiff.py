"""Messages of libtiff, which Pillow uses: not printed, but known.

Where a TIFF file is damaged, libtiff often prints an error to stderr, fills the gap and goes on.
Pillow does not tell.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import _imaging

DAMAGED = "the file is damaged: parts of the photo may be missing or wrong"

_heard = threading.local()
Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
"""A function of the module, the format and the arguments of a message, as in libtiff's tiffio.h."""


def _hear(module: bytes, form: bytes, arguments: int) -> None:
    _heard.error = True


HANDLER = Handler(_hear)
"""Lives as long as the process, as libtiff keeps its address."""

with suppress(AttributeError, OSError):  # Pillow for Windows does not export it
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(HANDLER)


@contextmanager
def noting_damage(notes: list[str]) -> Iterator[None]:
    """Add a note if libtiff reports an error in this thread while the block runs."""
    _heard.error = False
    yield
    if _heard.error:
        notes.append(DAMAGED)
