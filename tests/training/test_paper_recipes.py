from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import avg_pool2d

from blurdm_cli import zoo
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.networks.build import BACKBONES
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec
from blurdm_cli.training import losses, stages
from blurdm_cli.training.model import Networks
from blurdm_cli.training.pairs import Batch, Order
from blurdm_cli.training.paper_recipes import LEFT_ALONE, PUBLISHED
from blurdm_cli.training.recipe import ImageRecipe
from blurdm_cli.training.stage1 import OraclePrior, Stage1
from blurdm_cli.training.trainer import Machine

SHORT: dict[str, Any] = {"steps": 1, "batch": 1, "evaluate_every": 100}


class Noise:
    """A source of random crops."""

    def draw(self, order: Order) -> Batch:
        side = order.side
        generator = torch.Generator().manual_seed(order.first)
        sharp = torch.rand(order.count, 3, side, side, generator=generator)
        return Batch(avg_pool2d(sharp, 3, stride=1, padding=1), sharp)


def small(backbone: str, prior: PriorSpec) -> ModelSpec:
    kind = BACKBONES[backbone]
    return kind.spec("small", BackboneSpec(backbone, kind.size("tiny")), prior)


@pytest.mark.parametrize("backbone", list(PUBLISHED))
def test_every_backbone_goes_through_all_stages_and_deblurs(
    backbone: str, spec: ModelSpec, tmp_path: Path
) -> None:
    model = small(backbone, spec.prior)
    crop = model.multiple_of
    recipes = {
        name: kind(**PUBLISHED[backbone][name] | SHORT | {"crop": crop})
        for name, kind in stages.RECIPES.items()
    }
    validation = Noise().draw(Order(1, crop))
    assert stages.train(recipes, model, Noise(), validation, tmp_path, Machine())
    trained = zoo.find(str(tmp_path / "model"))
    assert [trained.spec.training[name]["steps_done"] for name in recipes] == [1, 1, 1]
    photo = torch.rand(50, 70, 3, generator=torch.Generator().manual_seed(0)).numpy()
    restored = Deblurrer.open(str(tmp_path / "model"), precision="fp32", guard="off")(photo)
    assert restored.shape == photo.shape


@pytest.mark.parametrize("backbone", list(PUBLISHED))
def test_published_numbers_are_recipes_that_the_backbone_takes(backbone: str) -> None:
    multiple_of = small(backbone, PriorSpec("none", 0)).multiple_of
    for name, kind in stages.RECIPES.items():
        recipe = kind(**PUBLISHED[backbone][name])
        assert recipe.crop % multiple_of == 0
        assert recipe.steps > 10_000


@pytest.mark.parametrize("backbone", list(PUBLISHED))
def test_published_recipes_leave_alone_in_all_stages_what_the_authors_did_not_do(
    backbone: str,
) -> None:
    own = {"loformer": {"gradient_clip": 0.01}}.get(backbone, {})  # its authors do clip
    for name, kind in stages.RECIPES.items():
        recipe = kind(**PUBLISHED[backbone][name])
        assert {field: getattr(recipe, field) for field in LEFT_ALONE} == LEFT_ALONE | own


def test_mimo_unet_s_stages_are_as_long_as_in_the_paper() -> None:
    epochs = [
        PUBLISHED["mimo_unet"][name]["steps"] * 20 / 2103 for name in ("stage1", "stage2", "stage3")
    ]
    assert epochs == pytest.approx([3000, 500, 3000], abs=0.01)


def test_all_sizes_that_a_backbone_restores_count(batch: Batch) -> None:
    networks = Networks(small("mimo_unet", PriorSpec("none", 0)))
    objective = OraclePrior(networks, Stage1())
    objective.loss(replace(batch, partial=None)).backward()
    heads = networks.network.backbone.get_submodule("head")
    assert all(parameter.grad is not None for parameter in heads.parameters())


def test_smaller_images_are_measured_against_a_smaller_answer() -> None:
    sharp = torch.rand(1, 3, 16, 16)
    scales = [sharp, avg_pool2d(sharp, 2)]
    recipe = ImageRecipe(pixel_loss="l1", frequency_weight=0.0)
    assert losses.image_loss(scales, sharp, recipe).item() == pytest.approx(0, abs=1e-6)
    worse = [sharp, avg_pool2d(sharp, 2) + 0.25]
    assert losses.image_loss(worse, sharp, recipe).item() == pytest.approx(0.25, abs=1e-6)


def test_edges_count_and_flat_light_hardly_does() -> None:
    image = torch.rand(1, 3, 32, 32)
    columns = 0.2 * torch.tensor([1.0, -1.0]).repeat(16)
    flat = losses.edge_distance(image + 0.2, image).item()
    fine = losses.edge_distance(image + columns, image).item()
    assert losses.edge_distance(image, image).item() == pytest.approx(1e-3)
    assert fine > 10 * flat


def test_no_constant_of_the_losses_is_copied_to_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = torch.rand(1, 3, 32, 32)
    monkeypatch.setattr(torch, "tensor", None)
    recipe = ImageRecipe(edge_weight=1.0)
    assert losses.image_loss([image], image, recipe).isfinite()


@pytest.mark.parametrize(("error", "psnr"), [(0.1, 20.0), (0.01, 40.0)])
def test_the_psnr_loss_is_minus_the_psnr(error: float, psnr: float) -> None:
    image = torch.rand(2, 3, 8, 8)
    assert losses.negative_psnr(image + error, image).item() == pytest.approx(-psnr, abs=1e-2)


def test_dropout_does_not_reach_the_evaluation(batch: Batch) -> None:
    model = small("mimo_unet", PriorSpec("none", 0))
    sizes = model.backbone.sizes | {"dropout": 0.5}
    networks = Networks(replace(model, backbone=BackboneSpec("mimo_unet", sizes)))
    restore = OraclePrior(networks, Stage1()).restore
    assert torch.equal(restore(batch), restore(batch))
    assert networks.training
