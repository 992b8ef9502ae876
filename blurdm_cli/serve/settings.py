"""Settings of the server and options of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from blurdm_cli.choices import Format, Keep, MotionMode, Quality
from blurdm_cli.errors import UsageError
from blurdm_cli.pipeline.options import ModelOptions


@dataclass(frozen=True)
class Settings:
    """Settings of the server."""

    model: ModelOptions
    token: str | None = None
    queue: int = 16
    """Requests that may wait; more are refused."""
    most_bytes: int = 500 * 10**6
    """Limit of a request's body."""
    most_pixels: int = 100 * 10**6
    """Limit of a photo, or a frame of a video."""
    most_memory: int | None = None
    """Limit in bytes of the process that restores photos; None for none."""
    seconds: float = 600
    """Limit for the arrival of a request, and for the work on it."""
    keep_seconds: float = 3600
    """How long the files of a job are kept after its end."""


class Options(BaseModel):
    """Options of a request, with the names and defaults of the command line."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(default=None, description="A name from /api/models.")
    expert: str | None = Field(
        default=None,
        description="Another model for photos, by its name from /api/models; empty for none. Each"
        " part of a photo is taken from the model that restores more of it.",
    )
    strength: float = Field(default=1.0, ge=0, le=1, description="Mix of input (0) and result (1).")
    motion: MotionMode = Field(default="auto", description="Where to estimate the motion.")
    format: Format = Field(default="keep", description="Output format of photos.")
    quality: Quality = Field(
        default="auto", description="Quality of JPEG, WebP and AVIF, 1 to 100."
    )
    metadata: Keep = Field(default="keep", description="Which metadata to keep.")

    @field_validator("quality")
    @classmethod
    def _in_range(cls, quality: Quality) -> Quality:
        if quality != "auto" and not 1 <= quality <= 100:
            raise ValueError("not between 1 and 100")
        return quality

    def with_fields(self, fields: Mapping[str, Any]) -> Options:
        """Apply the fields of a form.

        Raises:
            UsageError: one is unknown or out of range.
        """
        try:
            return Options.model_validate(self.model_dump(exclude_unset=True) | dict(fields))
        except ValidationError as error:
            raise refused(error.errors()) from error


def refused(errors: Any) -> UsageError:
    """The error for options that are unknown or out of range."""
    first = errors[0]
    name = next((str(part) for part in first["loc"] if part not in ("query", "path")), "request")
    if first["type"] == "extra_forbidden":
        known = ", ".join(Options.model_fields)
        return UsageError(f"There is no option {name!r}", hint=f"Known: {known}")
    return UsageError(f"{name} cannot be {first.get('input')!r}", hint=first["msg"])
