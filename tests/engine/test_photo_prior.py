from pathlib import Path

import numpy as np
import pytest
import torch

from blurdm_cli import zoo
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.engine.torch_runtime import TorchRuntime
from blurdm_cli.errors import RuntimeMissing, UsageError
from blurdm_cli.export.onnx import Options, make_graph
from blurdm_cli.networks.build import BACKBONES, build
from blurdm_cli.networks.encoder import LatentEncoder
from blurdm_cli.spec import BackboneSpec, PriorSpec, ScheduleSpec

SCHEDULE = ScheduleSpec("short", (1.0, 1.5, 2.0), (0.0, 0.05, 0.1))


@pytest.fixture
def model(tmp_path: Path) -> zoo.Model:
    """An untrained model that takes one prior a photo, and listens to it."""
    family = BACKBONES["unet"]
    prior = PriorSpec("blurdm", 16, "light", "image", SCHEDULE, "scale")
    spec = family.spec("whole", BackboneSpec("unet", family.size("tiny")), prior)
    torch.manual_seed(0)
    state = build(spec).state_dict()
    weights = {k: (0.7 * v + 0.05 * torch.randn_like(v)).numpy() for k, v in state.items()}
    return zoo.write(tmp_path / "whole", spec, weights, "a card")


def photo(height: int = 184, width: int = 136) -> np.ndarray:
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32)


def deblurrer(model: zoo.Model, **options: int) -> Deblurrer:
    return Deblurrer(TorchRuntime(model, "cpu", "fp32"), model.spec, guard="off", **options)


def test_every_tile_gets_the_prior_of_the_whole_photo(model: zoo.Model) -> None:
    """With it, tiles agree with the photo in one piece; with their own they do not."""
    whole = deblurrer(model, tile=256)(photo())
    tiled = deblurrer(model, tile=96, halo=32)(photo())
    assert np.abs(whole - tiled).max() < 1e-4
    network = build(model.spec, model.weights()).eval()
    pixels = torch.from_numpy(np.ascontiguousarray(photo().transpose(2, 0, 1)[None]))
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(16).astype(np.float32)[None])
    with torch.inference_mode():
        expected = network(pixels, noise)[0].permute(1, 2, 0).clamp(0, 1)
    found = deblurrer(model, tile=96, halo=32)(photo())
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_the_next_photo_has_its_own_prior(model: zoo.Model) -> None:
    used = deblurrer(model, tile=96)
    used(photo()[::-1].copy())
    np.testing.assert_array_equal(used(photo()), deblurrer(model, tile=96)(photo()))


def test_a_runtime_that_sees_tiles_alone_is_refused(model: zoo.Model) -> None:
    class TilesAlone(Runtime):
        name, device, precision = "onnx", "cpu", "fp32"

        def restore(self, blurred: np.ndarray, noise: np.ndarray) -> np.ndarray:
            return blurred

    with pytest.raises(RuntimeMissing, match="one prior per photo") as caught:
        Deblurrer(TilesAlone(), model.spec)
    assert "--runtime torch" in str(caught.value.hint)


def test_no_graph_is_made_of_such_a_model(model: zoo.Model) -> None:
    with pytest.raises(UsageError, match="one prior per photo") as caught:
        make_graph(model, Options())
    assert "--prior-scope tile" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["paper", "light", "spectral"])
@pytest.mark.parametrize("height", [160, 408, 512])
def test_bands_give_the_latent_of_the_whole(kind: str, height: int) -> None:
    torch.manual_seed(0)
    encoder = LatentEncoder(16, kind)  # type: ignore[arg-type]
    images = torch.rand(2, 3, height, 32)
    expected = encoder(images, images.flip(2))
    found = encoder.in_bands(images, images.flip(2), rows=144)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
