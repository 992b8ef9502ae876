"""Every error that blurdm raises on purpose.

BlurdmError
├── InputError           the photo, video or folder that was asked for cannot be used
│   └── DecodeError      … because its bytes cannot be read as pixels
├── OutputError          the result cannot be written where it was asked for
│   └── DiskFull         … because there is no space left: no other result can be, either
├── UsageError           the options contradict each other or the input
├── ModelError           the model is unknown, incomplete, damaged or from another version
├── TrainingError        a training run cannot start or cannot go on
├── VerificationError    an exported graph is not the model that it was made from
└── ComputeError         the runtime failed on input that was valid
    ├── RuntimeMissing   … because the runtime, its device or its precision is not on this machine
    ├── OutOfMemory      … because even the smallest tile does not fit on the device
    └── StepTooLarge     … because a step of training does not fit on the device

The command line turns a BlurdmError into one line, a hint, and its exit code.
Anything else that reaches the command line is a bug, and keeps its traceback.
"""


class BlurdmError(Exception):
    """What went wrong, in the user's words; the hint says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BlurdmError):
    """The options contradict each other or the input."""

    exit_code = 2


class InputError(BlurdmError):
    """The photo, video or folder that was asked for cannot be used."""

    exit_code = 3


class DecodeError(InputError):
    """The file exists, but its bytes cannot be read as pixels."""


class OutputError(BlurdmError):
    """The result cannot be written where it was asked for."""

    exit_code = 5


class DiskFull(OutputError):
    """There is no space left for the result."""


class ModelError(BlurdmError):
    """The model is unknown, incomplete, damaged or from another version."""

    exit_code = 6


class TrainingError(BlurdmError):
    """A training run cannot start or cannot go on."""

    exit_code = 2


class VerificationError(BlurdmError):
    """An exported graph is not the model that it was made from."""

    exit_code = 9


class ComputeError(BlurdmError):
    """The runtime failed on input that was valid."""

    exit_code = 7


class RuntimeMissing(ComputeError):
    """The runtime, its device or its precision is not on this machine."""


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
    """A step of training does not fit in the device's memory."""

    exit_code = 8

    def __init__(self, device: str, batch: int, crop: int) -> None:
        super().__init__(
            f"{batch} crops of {crop} pixels a step do not fit in the memory of {device}",
            hint=f"Try fewer, --batch {max(batch // 2, 1)}, or a smaller --crop",
        )
