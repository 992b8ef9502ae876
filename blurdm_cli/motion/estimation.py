"""The motion of a photo: one kernel in linear light and one in encoded values, each with a score.

    window ── half scale: hypotheses for long blur ──┐
           ├─ full scale: hypotheses for all blur ───┤── refined ── scored ── the best, or none
           └─ all scales: discs, for soft focus ─────┤
                    what the other values found ─────┘
                          five windows ── a path with roll and zoom, where it explains more
    slight, not quite believed, or none: streaks of light, at night

Most blur is made in linear light, by a sensor; some in encoded values, by software that averages
frames. Which one it was, the fusion decides for each pixel; both motions are found.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from blurdm_cli.motion.confidence import with_confidence
from blurdm_cli.motion.deconvolution import noise_of
from blurdm_cli.motion.focus import Focus
from blurdm_cli.motion.found import FOCUS, NO_BLUR, NONE, SHAKEN, Found, Motion
from blurdm_cli.motion.hypotheses import (
    HYPOTHESES,
    POLISHES,
    REFINEMENTS,
    Hypothesis,
    Refinement,
)
from blurdm_cli.motion.kernel import DELTA
from blurdm_cli.motion.night import motion_of_lights
from blurdm_cli.motion.steps import Look, Refine, Turn
from blurdm_cli.motion.windows import VALUES, Photo, Views, is_pagelike, spread_windows

NO_SLIGHT_BLUR = {"scene": 0.9, "page": 1.1}
"""The same for paths that are no longer than those found in sharp photos; pages score higher, and
sharp pages far higher."""

FEW_EDGES = 0.94
"""Score from which on a kernel must also leave fewer ripples than none does."""

LEAST_SMOOTHED, LEAST_SMOOTHED_WORSE = 0.05, 0.15
"""By how much fewer, and by how much where it also scores worse than none."""

LEAST_SPREAD = 0.6
"""Standard deviation of a path in pixels below which it is none: rendered letters have as much."""

SMALLEST = 32
"""Shortest side in pixels of a photo whose motion is looked for."""

ROUNDS = 4
"""Times that the values exchange what they found and polish it, at most."""

WORTHWHILE = 0.02
"""By how much a round must lower the cost for another one."""

SURE = 0.85
"""Confidence of both together below which streaks of light are looked for."""

FLAT = 0.01
"""Standard deviation, of white, below which nothing in a photo tells of motion."""


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
        paths = [
            Look(values, views, hypothesis)
            for hypothesis in hypotheses
            if values in hypothesis.values
            and hypothesis.scale in views.scales
            and (pages[values] or not hypothesis.pages_only)
        ]
        return [*paths, Focus(values, views)]

    def refined(
        values: str, some: Sequence[Found], ways: Sequence[Refinement]
    ) -> list[Callable[[], Found]]:
        """Refine each path in each way, once: a round that changes nothing needs no other."""
        wanted = [(each, how) for each in some for how in ways if each.name != FOCUS]
        new = [(each, how) for each, how in wanted if (values, id(each), how) not in tried]
        tried.update((values, id(each), how) for each, how in new)
        return [Refine(values, views, each, pages[values], how) for each, how in new]

    def refinements(values: str) -> list[Callable[[], Found]]:
        coarse = sorted((f for f in found[values] if f.scale < 1), key=lambda f: f.cost)
        longest_first = sorted(coarse[:keep], key=lambda f: f.scale)
        return refined(values, [*longest_first, *best(values)], [REFINEMENTS[values]])

    def of_the_other_values(values: str) -> list[Callable[[], Found]]:
        other = "encoded" if values == "linear" else "linear"
        return refined(values, best(other), [REFINEMENTS[values]])

    def polishes(values: str) -> list[Callable[[], Found]]:
        return refined(values, best(values), POLISHES[values])

    def turns(values: str) -> list[Callable[[], Found]]:
        ripples = views.ripples(values, 1).left_by(DELTA)
        believed = [_believed(each, ripples, page=pages[values]) for each in best(values)]
        found[values] = believed
        moved = [e for e in believed if e.name not in {NONE.name, FOCUS} and len(places) > 1]
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
    sure = motion.linear.confidence + motion.encoded.confidence >= SURE
    if sure and motion.is_shaken:
        return motion
    lights = motion_of_lights(photo, views, motion.noise)
    return motion if lights.reach == 1 else lights


def _is_worthwhile(before: Sequence[Found], after: Sequence[Found]) -> bool:
    """Whether the least cost fell enough in a round for another one."""
    return bool(after) and (not before or before[0].cost - after[0].cost >= WORTHWHILE)


def _believed(found: Found, ripples: float, *, page: bool) -> Found:
    """Replace a motion that explains too little by none, which leaves so many ripples."""
    slight = NO_SLIGHT_BLUR["page" if page else "scene"]
    limit = NO_BLUR if found.spread >= SHAKEN else slight
    least = LEAST_SMOOTHED if found.score < 1 else LEAST_SMOOTHED_WORSE
    explains = found.score < FEW_EDGES or ripples - found.ripples >= least
    return found if found.score < limit and explains and found.spread >= LEAST_SPREAD else NONE


def _side_by_side(
    pool: ThreadPoolExecutor, work: Mapping[str, Sequence[Callable[[], Found]]]
) -> dict[str, list[Found]]:
    """Call everything, and give the answers in the same order."""
    begun = {name: [pool.submit(each) for each in some] for name, some in work.items()}
    return {name: [future.result() for future in some] for name, some in begun.items()}
