"""Steps of the search for a photo's motion; each can run beside others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from blurdm_cli.motion.camera import CameraPath, Window, trace
from blurdm_cli.motion.found import Found
from blurdm_cli.motion.hypotheses import Hypothesis, Refinement
from blurdm_cli.motion.kernel import Kernel, centred, pruned, rescaled, trimmed
from blurdm_cli.motion.light import LUMA, to_linear
from blurdm_cli.motion.path_fit import SHIFTS, TURNS
from blurdm_cli.motion.path_start import path_of
from blurdm_cli.motion.pyramid import estimate, refine
from blurdm_cli.motion.score import score
from blurdm_cli.motion.windows import Photo, Views, in_unit_range

TURNING = {"linear": (6e-3, 3e-3, 1.5e-3, 7.5e-4), "encoded": (1.2e-2, 6e-3, 3e-3, 1.5e-3)}
"""Price of an edge in the latent pictures of a path with roll and zoom, round by round: with many
edges at once, a path stays where it begins."""


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
        return _found(self.views, self.values, kernel, plan.name, plan.scale, limit)


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
                return _found(self.views, self.values, kernel, self.found.name, scale)


@dataclass(frozen=True, eq=False)
class Turn:
    """The path with roll and zoom, where it explains parts of a photo better than one kernel."""

    values: str
    photo: Photo
    places: Sequence[tuple[slice, slice]]
    found: Found

    def __call__(self) -> Found:
        windows = [self._window(*place) for place in self.places]
        alike = np.mean([score(each.grey, self.found.kernel) for each in windows])
        if not np.isfinite(alike):
            return self.found
        start = CameraPath(path_of(self.found.kernel), self.photo.shape[:2])
        camera = trace(windows, start, weights=TURNING[self.values], axes=(*SHIFTS, *TURNS))
        turned = np.mean(
            [score(each.grey, camera.kernel_at(each.row, each.column)) for each in windows]
        )
        if not turned < alike:
            return self.found
        return replace(self.found, score=self.found.score - float(alike - turned), camera=camera)

    def _window(self, rows: slice, columns: slice) -> Window:
        seen = in_unit_range(self.photo[rows, columns])
        light = to_linear(seen) if self.values == "linear" else seen
        middle = ((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2)
        return Window(np.ascontiguousarray(light @ LUMA), *middle)


def _found(
    views: Views,
    values: str,
    kernel: Kernel,
    name: str,
    scale: float,
    support: int | None = None,
) -> Found:
    """A kernel with what tells how well it explains the photo at a scale."""
    ripples = views.ripples(values, scale).left_by(kernel)
    return Found(kernel, score(views.grey(values, scale), kernel, support), name, scale, ripples)
