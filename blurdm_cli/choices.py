"""Allowed values of options. Each list is defined only here."""

from enum import StrEnum
from typing import Literal

OnExists = Literal["skip", "overwrite", "rename", "error"]
"""Policy for existing outputs."""

Format = Literal["keep", "jpg", "png", "webp", "tiff", "avif"]
"""Output format of photos."""

Keep = Literal["keep", "strip", "strip-gps"]
"""Metadata to keep."""

Guard = Literal["on", "off", "strict"]
"""Handling of a result that looks wrong: repair it and warn, keep it, or fail."""

MotionMode = Literal["auto", "on", "off"]
"""Whether to estimate motion: in photos, in each frame of videos as well, or not at all."""

Quality = Literal["auto"] | int
"""Quality of lossy formats, 1 to 100."""


class Audio(StrEnum):
    """Handling of the sound."""

    copy = "copy"
    none = "none"
