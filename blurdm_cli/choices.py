"""The values that options may have. Each list is written here alone."""

from enum import StrEnum
from typing import Literal

OnExists = Literal["skip", "overwrite", "rename", "error"]
"""What to do if the output exists."""

Format = Literal["keep", "jpg", "png", "webp", "tiff", "avif"]
"""Output format of photos."""

Keep = Literal["keep", "strip", "strip-gps"]
"""Which metadata is kept."""

Guard = Literal["on", "off", "strict"]
"""What to do if a result looks wrong: repair it and say so, keep it, or fail."""

MotionMode = Literal["auto", "off"]
"""Whether the motion of photos is estimated."""

Quality = Literal["auto"] | int
"""Quality of lossy formats, 1 to 100."""


class Audio(StrEnum):
    """What becomes of the sound."""

    copy = "copy"
    none = "none"
