"""One prior for all tiles of a photo, for models that say so in their `prior.scope`.

The prior network pools over the whole photo, at its full size; nothing is scaled down,
because the original pools over the whole photo too. The runtime goes through it band by band.
"""

import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine.pixels import Pixels
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.engine.tiling import plan_tiles
from blurdm_cli.errors import RuntimeMissing
from blurdm_cli.spec import ModelSpec


def check_scope(runtime: Runtime, spec: ModelSpec) -> None:
    """Make sure that a runtime can give a model its prior.

    Raises:
        RuntimeMissing: the model wants one of the whole photo, and the runtime sees tiles alone.
    """
    if of_photo(spec) and not runtime.has_photo_prior:
        raise RuntimeMissing(
            f"The model {spec.name!r} takes one prior a photo, which {runtime.name} cannot give",
            hint="Try --runtime torch",
        )


def of_photo(spec: ModelSpec) -> bool:
    """Whether all tiles of a photo get the same prior."""
    return spec.prior.kind != "none" and spec.prior.scope == "image"


class PhotoPrior:
    """One photo; each runtime that asks finds its prior once."""

    def __init__(
        self, pixels: Pixels, white: float, noise: Float32[np.ndarray, " c"], multiple_of: int
    ) -> None:
        height, width = pixels.shape[:2]
        side = -(-max(height, width, 2) // multiple_of) * multiple_of
        plan = plan_tiles(height, width, tile=side, halo=0, multiple_of=multiple_of)
        self._photo = plan.cut(pixels, plan.corners, white)
        self._noise = noise[None]
        self._guided: dict[str, Runtime] = {}

    def guide(self, runtime: Runtime) -> Runtime:
        """The same runtime, with the photo's prior."""
        if not runtime.has_photo_prior:
            raise ValueError(f"{runtime.name} finds no prior of a photo")
        if runtime.precision not in self._guided:
            self._guided[runtime.precision] = runtime.for_photo(self._photo, self._noise)
        return self._guided[runtime.precision]
