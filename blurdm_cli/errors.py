"""Every error that blurdm raises on purpose.

BlurdmError
├── InputError           the given photo, video or folder cannot be used
│   └── DecodeError      … because its bytes cannot be read as pixels
├── OutputError          the result cannot be written to its destination
│   ├── Busy             … because another run is writing there
│   └── DiskFull         … because the disk is full; no further result can be written
├── UsageError           the options contradict each other or the input
├── ModelError           the model is unknown, incomplete, damaged or from another version
├── TrainingError        a training run cannot start or continue
├── VerificationError    an exported graph does not match its model
└── ComputeError         the runtime failed on input that was valid
    ├── RuntimeMissing   … because the runtime, device or precision is not available here
    ├── MemoryFull       … because a photo, a video or the program does not fit in memory
    ├── OutOfMemory      … because even the smallest tile does not fit on the device
    └── StepTooLarge     … because a training step does not fit on the device

The command line turns a BlurdmError into one line, a hint, and its exit code.
Any other exception that reaches the command line is a bug and keeps its traceback.
"""

from copyreg import __newobj__  # type: ignore[attr-defined]
from typing import Any


class BlurdmError(Exception):
    """Base class: the message says what went wrong, the hint what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the message and the fields, whatever arguments the constructor takes."""
        return __newobj__, (type(self), *self.args), self.__dict__


class UsageError(BlurdmError):
    """The options contradict each other or the input."""

    exit_code = 2


class InputError(BlurdmError):
    """The given photo, video or folder cannot be used."""

    exit_code = 3


class DecodeError(InputError):
    """The file exists, but its bytes cannot be read as pixels."""


class TooManyPixels(DecodeError):
    """The photo or video is larger than the limit; it was not decoded."""


class OutputError(BlurdmError):
    """The result cannot be written to its destination."""

    exit_code = 5


class Busy(OutputError):
    """Another run is writing to the destination."""


class DiskFull(OutputError):
    """There is no space left for the result."""


class ModelError(BlurdmError):
    """The model is unknown, incomplete, damaged or from another version."""

    exit_code = 6


class TrainingError(BlurdmError):
    """A training run cannot start or continue."""

    exit_code = 2


class VerificationError(BlurdmError):
    """An exported graph does not match its model."""

    exit_code = 9


class ComputeError(BlurdmError):
    """The runtime failed on input that was valid."""

    exit_code = 7


class RuntimeMissing(ComputeError):
    """The runtime, its device or its precision is not available on this machine."""


class MemoryFull(ComputeError):
    """A file, or the program, needs more memory than there is or than its limit (ulimit -v)."""

    exit_code = 8

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} does not fit in memory", hint="Close other programs, or raise ulimit -v"
        )


class OutOfMemory(ComputeError):
    """Even the smallest tile does not fit in the device's memory."""

    exit_code = 8

    def __init__(self, device: str, tile: int) -> None:
        self.tile = tile
        super().__init__(
            f"A {tile}-pixel tile does not fit in the memory of {device}",
            hint=f"Free some memory, or try a smaller tile: --tile {max(tile // 2, 64)}",
        )


class StepTooLarge(ComputeError):
    """A training step does not fit in the device's memory."""

    exit_code = 8

    def __init__(self, device: str, batch: int, crop: int) -> None:
        super().__init__(
            f"A step of {batch} crops of {crop} pixels does not fit in the memory of {device}",
            hint=f"Try a smaller batch, --batch {max(batch // 2, 1)}, or a smaller --crop",
        )
