"""One prior for all tiles of a photo, for models with `prior.scope` "image".

The prior network pools over the whole photo at full size, as the original does. Nothing is scaled
down. The runtime processes the photo band by band.
"""

import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine.pixels import Pixels
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.engine.tiling import plan_tiles
from blurdm_cli.errors import RuntimeMissing
from blurdm_cli.spec import ModelSpec


def check_scope(runtime: Runtime, spec: ModelSpec) -> None:
    """Check that a runtime can compute a model's prior.

    Raises:
        RuntimeMissing: the model needs a prior of the whole photo, and the runtime only sees tiles.
    """
    if of_photo(spec) and not runtime.has_photo_prior:
        raise RuntimeMissing(
            f"The model {spec.name!r} needs one prior per photo, which {runtime.name} lacks",
            hint="Try --runtime torch",
        )


def of_photo(spec: ModelSpec) -> bool:
    """Whether all tiles of a photo share one prior."""
    return spec.prior.kind != "none" and spec.prior.scope == "image"


class PhotoPrior:
    """The prior of one photo, computed once per precision."""

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
        """Return the runtime with the photo's prior set."""
        if not runtime.has_photo_prior:
            raise ValueError(f"{runtime.name} cannot compute the prior of a photo")
        if runtime.precision not in self._guided:
            self._guided[runtime.precision] = runtime.for_photo(self._photo, self._noise)
        return self._guided[runtime.precision]
