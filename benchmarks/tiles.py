"""How far a photo in tiles is from the photo in one piece: PSNR between the two, in dB.

    python benchmarks/tiles.py FOLDER [MODEL]

Two columns a tile size: with one prior for all tiles, taken from the photo's middle, where
only halos differ; and as photos are deblurred, with each tile's own prior.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.torch_runtime import TorchRuntime
from blurdm_cli.training.pairs import read_photos
from blurdm_cli.zoo import DEFAULT, find

TILES = (128, 192, 256, 384)

MIDDLE = 256
"""Side in pixels of the piece that the one prior is taken from."""


class OnePrior(TorchRuntime):
    """Gives every tile the prior of one image."""

    def __init__(self, model: str, image: np.ndarray, noise: np.ndarray) -> None:
        super().__init__(find(model))
        blurred = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32) / 255)
        prior = self._network.find_prior(
            blurred.to(self._device), torch.from_numpy(noise)[None].to(self._device)
        )

        def of_the_image(blurred: Tensor, noise: Tensor | None = None) -> Tensor | None:
            return None if prior is None else prior.expand(len(blurred), *prior.shape[1:])

        self._network.find_prior = of_the_image  # type: ignore[method-assign]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Of two 8-bit photos."""
    error = ((one.astype(float) - other.astype(float)) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


def compare(model: str, photo: np.ndarray) -> list[float]:
    """The PSNR for each of `TILES`: with one prior, then with each tile's own."""
    own = Deblurrer.open(model)
    spec, side = own.spec, MIDDLE
    top, left = ((extent - side) // 2 for extent in photo.shape[:2])
    middle = photo[max(top, 0) : top + side, max(left, 0) : left + side]
    runtime = OnePrior(model, middle, np.zeros(spec.prior_channels, dtype=np.float32))
    whole = Deblurrer(runtime, spec, tile=4096)(photo)
    whole_own = Deblurrer(own.runtime, spec, tile=4096)(photo)
    found = []
    for tile in TILES:
        found.append(psnr(Deblurrer(runtime, spec, tile=tile)(photo), whole))
        found.append(psnr(Deblurrer(own.runtime, spec, tile=tile)(photo), whole_own))
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    model = sys.argv[2] if len(sys.argv) > 2 else DEFAULT
    photos = {
        name: np.ascontiguousarray(photo.permute(1, 2, 0).numpy())
        for name, photo in read_photos(folder).items()
    }
    print(f"{'tile':<32}" + "".join(f"{tile:>8}{'own':>8}" for tile in TILES))
    rows = []
    for name, photo in photos.items():
        rows.append(compare(model, photo))
        print(f"{name[:31]:<32}" + "".join(f"{value:8.1f}" for value in rows[-1]))
    for what, values in (("mean", np.mean(rows, axis=0)), ("least", np.min(rows, axis=0))):
        print(f"{what:<32}" + "".join(f"{value:8.1f}" for value in values))


if __name__ == "__main__":
    main()
