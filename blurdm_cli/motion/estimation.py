"""The motion of a photo: one kernel in linear light and one in encoded values, each with a score.

    window ── half scale: hypotheses for long blur ──┐
           └─ full scale: hypotheses for all blur ───┤── refined ── scored ── the best, or none
                    what the other values found ─────┘
                                       five windows ── roll and zoom, where they explain more
    hardly believed, or none: streaks of light, at night

Most blur is made in linear light, by a sensor; some in encoded values, by software that averages
frames. Which one it was, the fusion decides for each pixel; both motions are found.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np

from blurdm_cli.motion.camera import Window, fit_camera
from blurdm_cli.motion.confidence import BELIEVED, with_confidence
from blurdm_cli.motion.deconvolution import noise_of
from blurdm_cli.motion.found import NO_BLUR, NONE, SHAKEN, Found, Motion
from blurdm_cli.motion.kernel import DELTA, centred, pruned, rescaled, trimmed
from blurdm_cli.motion.light import LUMA, to_linear
from blurdm_cli.motion.night import motion_of_lights
from blurdm_cli.motion.pyramid import Settings, estimate, refine
from blurdm_cli.motion.score import score
from blurdm_cli.motion.windows import (
    VALUES,
    Photo,
    Views,
    in_unit_range,
    is_pagelike,
    spread_windows,
)

NO_SLIGHT_BLUR = {"scene": 0.9, "page": 1.1}
"""The same for paths that are no longer than those found in sharp photos; pages score higher, and
sharp pages far higher."""

FEW_EDGES = 0.94
"""Score from which on a kernel must also leave fewer ripples than none does."""

LEAST_SMOOTHED = 0.05
"""By how much fewer."""

LEAST_SPREAD = 0.6
"""Standard deviation of a path in pixels below which it is none: rendered letters have as much."""

SMALLEST = 32
"""Shortest side in pixels of a photo whose motion is looked for."""

ROUNDS = 4
"""Times that the values exchange what they found and polish it, at most."""

WORTHWHILE = 0.02
"""By how much a round must lower the cost for another one."""

LEAST_TURN = 0.015
"""By how much roll and zoom must improve the windows' mean score."""

FLAT = 0.01
"""Standard deviation, of white, below which nothing in a photo tells of motion."""


@dataclass(frozen=True)
class Hypothesis:
    """One way of looking for the kernel."""

    name: str
    scale: float
    support: int
    """Largest side of the kernel at that scale, in pixels."""
    settings: Settings
    pages_only: bool = False
    """Whether it is for pages alone: on scenes it is taken for right too often."""


PATIENT = Settings()
GRADUAL = Settings(4e-3, 5e-4, 3.0, iterations=7, ratio=0.8)
LIGHT = Settings(4e-3, 5e-4, 10.0, iterations=5)
SHORT = Settings(5e-3, 1e-3, iterations=5, fine_iterations=2)
HYPOTHESES = (
    Hypothesis("half", 0.5, 41, PATIENT),
    Hypothesis("half, gradual", 0.5, 41, GRADUAL),
    Hypothesis("half, light", 0.5, 41, LIGHT),
    Hypothesis("full", 1.0, 41, PATIENT),
    Hypothesis("half, page", 0.5, 41, replace(PATIENT, page=True), pages_only=True),
    Hypothesis("short", 1.0, 25, SHORT, pages_only=True),
    Hypothesis("short, page", 1.0, 25, replace(SHORT, page=True), pages_only=True),
    Hypothesis("quarter", 0.25, 41, PATIENT),
    Hypothesis("quarter, gradual", 0.25, 41, GRADUAL),
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


def find_motion(
    photo: Photo, threads: int = 1, hypotheses: Sequence[Hypothesis] = HYPOTHESES, keep: int = 3
) -> Motion:
    """Find the motion of a photo.

    Args:
        photo: sRGB-encoded, of any size; of each scale the most textured window is looked at.
        threads: how many hypotheses are followed side by side; the answer is the same.
        hypotheses: the ways of looking; those of a quarter of the scale are for large photos.
        keep: how many hypotheses of smaller scales are refined at full scale.
    """
    if min(photo.shape[:2]) < SMALLEST:
        return Motion()
    views = Views(photo, [h.scale for h in hypotheses])
    if views.grey("encoded", 1).std() < FLAT:
        return Motion()
    pages = {values: is_pagelike(views.grey(values, 1)) for values in VALUES}
    found: dict[str, list[Found]] = {values: [] for values in VALUES}
    tried: set[tuple[str, int, Refinement]] = set()

    def best(values: str) -> list[Found]:
        """The best one at full scale, if there is any."""
        return sorted((f for f in found[values] if f.scale == 1), key=lambda f: f.cost)[:1]

    def looks(values: str) -> list[Callable[[], Found]]:
        return [
            Look(values, views, hypothesis)
            for hypothesis in hypotheses
            if hypothesis.scale in views.scales and (pages[values] or not hypothesis.pages_only)
        ]

    def refined(
        values: str, some: Sequence[Found], ways: Sequence[Refinement]
    ) -> list[Callable[[], Found]]:
        """Refine each in each way, once: a round that changes nothing needs no other."""
        wanted = [(each, how) for each in some for how in ways]
        new = [(each, how) for each, how in wanted if (values, id(each), how) not in tried]
        tried.update((values, id(each), how) for each, how in new)
        return [Refine(values, views, each, pages[values], how) for each, how in new]

    def refinements(values: str) -> list[Callable[[], Found]]:
        coarse = sorted((f for f in found[values] if f.scale < 1), key=lambda f: f.cost)
        return refined(values, [*coarse[:keep], *best(values)], [REFINEMENTS[values]])

    def of_the_other_values(values: str) -> list[Callable[[], Found]]:
        other = "encoded" if values == "linear" else "linear"
        return refined(values, best(other), [REFINEMENTS[values]])

    def polishes(values: str) -> list[Callable[[], Found]]:
        return refined(values, best(values), POLISHES[values])

    def turns(values: str) -> list[Callable[[], Found]]:
        ripples = views.ripples(values, 1).left_by(DELTA)
        believed = [_believed(each, ripples, page=pages[values]) for each in best(values)]
        found[values] = believed
        moved = [each for each in believed if each.kernel.size > 1 and len(places) > 1]
        return [Turn(values, photo, places, each) for each in moved]

    places = spread_windows(photo)
    with ThreadPoolExecutor(threads) as pool:

        def work(*steps: Callable[[str], list[Callable[[], Found]]]) -> None:
            for step in steps:
                for values, more in _side_by_side(pool, {v: step(v) for v in VALUES}).items():
                    found[values] += more

        work(looks, refinements)
        for _ in range(ROUNDS):
            before = {values: best(values) for values in VALUES}
            work(of_the_other_values, polishes)
            if not any(_is_worthwhile(before[values], best(values)) for values in VALUES):
                break
        work(turns)
    linear, encoded = ((best(values) or [NONE])[0] for values in VALUES)
    motion = Motion(linear, encoded, noise_of(views.grey("encoded", 1)))
    motion = with_confidence(photo, motion, threads)
    if motion.linear.confidence + motion.encoded.confidence >= BELIEVED:
        return motion
    lights = motion_of_lights(photo, views.grey("linear", 1), motion.noise)
    return motion if lights.reach == 1 else lights


def _is_worthwhile(before: Sequence[Found], after: Sequence[Found]) -> bool:
    """Whether the least cost fell enough in a round for another one."""
    return bool(after) and (not before or before[0].cost - after[0].cost >= WORTHWHILE)


def _believed(found: Found, ripples: float, *, page: bool) -> Found:
    """Replace a motion that explains too little by none, which leaves so many ripples."""
    slight = NO_SLIGHT_BLUR["page" if page else "scene"]
    limit = NO_BLUR if found.spread >= SHAKEN else slight
    explains = found.score < FEW_EDGES or ripples - found.ripples >= LEAST_SMOOTHED
    return found if found.score < limit and explains and found.spread >= LEAST_SPREAD else NONE


def _side_by_side(
    pool: ThreadPoolExecutor, work: Mapping[str, Sequence[Callable[[], Found]]]
) -> dict[str, list[Found]]:
    """Call everything, and give the answers in the same order."""
    begun = {name: [pool.submit(each) for each in some] for name, some in work.items()}
    return {name: [future.result() for future in some] for name, some in begun.items()}


@dataclass(frozen=True, eq=False)
class Look:
    """One hypothesis in one kind of values, at its own scale."""

    values: str
    views: Views
    hypothesis: Hypothesis

    def __call__(self) -> Found:
        plan = self.hypothesis
        image = self.views.grey(self.values, plan.scale)
        kernel = estimate(image, plan.support, plan.settings)
        limit = plan.support if plan.scale == 1 else None
        ripples = self.views.ripples(self.values, plan.scale).left_by(kernel)
        return Found(kernel, score(image, kernel, limit), plan.name, plan.scale, ripples)


@dataclass(frozen=True, eq=False)
class Refine:
    """A kernel from elsewhere, refined at each scale up to the photo's own."""

    values: str
    views: Views
    found: Found
    page: bool
    how: Refinement

    def __call__(self) -> Found:
        kernel, scale = self.found.kernel, self.found.scale
        while True:
            if scale < 1:
                scale *= 2
                kernel = trimmed(centred(pruned(rescaled(kernel, 2), 0.03)))
            image = self.views.grey(self.values, scale)
            kernel = refine(image, kernel, page=self.page, **asdict(self.how))
            if scale == 1:
                ripples = self.views.ripples(self.values, scale).left_by(kernel)
                return Found(kernel, score(image, kernel), self.found.name, scale, ripples)


@dataclass(frozen=True, eq=False)
class Turn:
    """A kernel from the whole photo, and the roll and zoom that explain its parts better."""

    values: str
    photo: Photo
    places: Sequence[tuple[slice, slice]]
    found: Found

    def __call__(self) -> Found:
        windows = [self._window(*place) for place in self.places]
        how, kernel = REFINEMENTS[self.values], self.found.kernel
        camera = fit_camera(windows, kernel, self.photo.shape[:2], weight=how.weight)
        alike = np.mean([score(each.grey, kernel) for each in windows])
        turned = np.mean(
            [score(each.grey, trimmed(camera.kernel_at(each.row, each.column))) for each in windows]
        )
        if not np.isfinite([alike, turned]).all() or alike - turned <= LEAST_TURN:
            return self.found
        return replace(self.found, score=self.found.score - float(alike - turned), camera=camera)

    def _window(self, rows: slice, columns: slice) -> Window:
        seen = in_unit_range(self.photo[rows, columns])
        light = to_linear(seen) if self.values == "linear" else seen
        middle = ((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2)
        return Window(np.ascontiguousarray(light @ LUMA), *middle)
