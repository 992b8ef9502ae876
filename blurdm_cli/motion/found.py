"""The motion of a photo, as it was found: a kernel in linear light and one in encoded values."""

from dataclasses import dataclass

from blurdm_cli.motion.camera import CameraPath
from blurdm_cli.motion.kernel import DELTA, Kernel, direction, extent, spread

NO_BLUR = 1.25
"""Score of the hypothesis that there was no motion; wrong kernels are mostly above."""

SHAKEN = 2.5
"""Standard deviation of a path in pixels from which on a photo counts as shaken. Of sharp photos
some 1 to 2 are found: their own softness."""

RIPPLES = 0.5
"""Weight of the ripples that a kernel leaves beside its score."""


FOCUS = "focus"
"""Name of the disc that a lens out of focus makes of each point; see `focus`."""

LIGHTS = "lights"
"""Name of a motion that streaks of light show; see `night`."""


@dataclass(frozen=True, eq=False)
class Found:
    """A kernel that was found, and how well it explains the photo."""

    kernel: Kernel
    score: float
    name: str
    """Name of the hypothesis that led to it; "focus": it is the disc of a lens out of focus;
    "lights": streaks of light show it; "none": no motion was found."""
    scale: float = 1.0
    """Scale of the photo at which the kernel holds."""
    ripples: float = 0.0
    """Ripples that it leaves in the photo's power spectrum; see `ripples`."""
    camera: CameraPath | None = None
    """The path with roll and zoom, where it explains the photo better; `kernel` is its middle's."""
    confidence: float = 0.0
    """Probability that the photo deconvolved with it is nearest to the sharp one; see
    `confidence.confidences`."""
    smoothing: float = 1.0
    """How much the photo deconvolved with it is smoothed, as a multiple of what its noise asks for;
    see `deconvolution.smoothing_for`."""

    @property
    def cost(self) -> float:
        """The lower, the better of two kernels of the same photo and values."""
        return self.score + RIPPLES * self.ripples

    @property
    def length(self) -> float:
        """Longest side of the path's box, in pixels."""
        return extent(self.kernel)

    @property
    def spread(self) -> float:
        """Standard deviation of the path's displacements, in pixels."""
        return spread(self.kernel)

    @property
    def direction(self) -> float | None:
        """Angle of the path in degrees: 0 is level, 90 is upright. A disc has none."""
        return None if self.name == FOCUS else round(direction(self.kernel), 1)


NONE = Found(DELTA, NO_BLUR, "none")


@dataclass(frozen=True, eq=False)
class Motion:
    """A photo's motion, in linear light and in encoded values."""

    linear: Found = NONE
    encoded: Found = NONE
    noise: float = 0.0
    """Standard deviation of the photo's noise, of white, in encoded values."""

    @property
    def best(self) -> Found:
        """The more likely one of the two."""
        return max((self.linear, self.encoded), key=lambda found: (found.confidence, -found.score))

    @property
    def reach(self) -> int:
        """Rows and columns of the larger kernel; 1 where there is no motion."""
        return max(self.linear.kernel.shape[0], self.encoded.kernel.shape[0])

    @property
    def is_shaken(self) -> bool:
        """Whether a path was found that sharp photos do not have."""
        return self.best.spread >= SHAKEN
