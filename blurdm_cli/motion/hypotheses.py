"""The ways in which the kernel is looked for, and those in which it is refined."""

from dataclasses import dataclass, replace

from blurdm_cli.motion.pyramid import Settings
from blurdm_cli.motion.windows import VALUES


@dataclass(frozen=True)
class Hypothesis:
    """One way of looking for the kernel."""

    name: str
    scale: float
    support: int
    """Largest side of the kernel at that scale, in pixels."""
    settings: Settings
    values: tuple[str, ...] = VALUES
    """The kinds of values in which it is followed; what it finds is refined in both."""
    pages_only: bool = False
    """Whether it is for pages alone: on scenes it is taken for right too often."""


PATIENT = Settings()
GRADUAL = Settings(4e-3, 5e-4, 3.0, iterations=7, ratio=0.8)
LIGHT = Settings(4e-3, 5e-4, 10.0, iterations=5)
SHORT = Settings(5e-3, 1e-3, iterations=5, fine_iterations=2)
LINEAR, ENCODED = VALUES
HYPOTHESES = (
    Hypothesis("half", 0.5, 41, PATIENT, (LINEAR,)),
    Hypothesis("half, gradual", 0.5, 41, GRADUAL),
    Hypothesis("half, light", 0.5, 41, LIGHT, (ENCODED,)),
    Hypothesis("full", 1.0, 41, PATIENT),
    Hypothesis("half, page", 0.5, 41, replace(PATIENT, page=True), pages_only=True),
    Hypothesis("short", 1.0, 25, SHORT, pages_only=True),
    Hypothesis("short, page", 1.0, 25, replace(SHORT, page=True), pages_only=True),
    Hypothesis("quarter", 0.25, 41, PATIENT, (LINEAR,)),
    Hypothesis("quarter, gradual", 0.25, 41, GRADUAL, (ENCODED,)),
)


@dataclass(frozen=True)
class Refinement:
    """How kernels are refined at full scale."""

    weight: float
    """Price of an edge in the latent picture."""
    kernel_weight: float
    """Price of the squared distance from the kernel that was there."""
    iterations: int = 5


REFINEMENTS = {"linear": Refinement(1.5e-3, 20.0), "encoded": Refinement(3e-3, 10.0)}

POLISHES = {
    "linear": (Refinement(5e-4, 5.0, 2), Refinement(4e-3, 5.0, 2)),
    "encoded": (Refinement(1e-3, 3.0, 2), Refinement(8e-3, 3.0, 2)),
}
"""Tried on the best kernel: fewer or more edges. What costs less is taken."""
