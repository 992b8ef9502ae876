from dataclasses import replace

import numpy as np
import pytest
import torch

from blurdm_cli.errors import ModelError
from blurdm_cli.networks.build import build
from blurdm_cli.networks.prior import PriorNetwork
from blurdm_cli.networks.unet import SIZES
from blurdm_cli.physics.diffusion import schedule
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec, ScheduleSpec

VALUES = schedule("released")
SCHEDULE = ScheduleSpec("released", VALUES.alpha, VALUES.beta_bar)


def prior(kind: str, channels: int = 16, encoder: str = "light") -> PriorNetwork:
    return PriorNetwork(PriorSpec(kind, channels, encoder, schedule=SCHEDULE))


def model(kind: str = "blurdm") -> ModelSpec:
    return ModelSpec(
        "test",
        BackboneSpec("unet", dict(SIZES["tiny"])),
        PriorSpec(kind, 16, schedule=SCHEDULE),
        multiple_of=8,
        input_range=(-0.5, 0.5),
    )


def test_blurdm_has_the_paper_s_size() -> None:
    network = prior("blurdm", 256, "paper")
    assert sum(p.numel() for p in network.parameters()) == 2_067_776


@pytest.mark.parametrize(
    ("kind", "matters"), [("blurdm", 1), ("noise", 1), ("blur", 0), ("mlp", 0)]
)
def test_only_a_diffusion_with_noise_depends_on_the_noise(kind: str, matters: int) -> None:
    network, image = prior(kind), torch.rand(1, 3, 32, 32)
    one, other = torch.randn(2, 1, 16)
    assert torch.equal(network(image, one), network(image, other)) != bool(matters)


def test_all_priors_give_a_vector_that_depends_on_the_image() -> None:
    noise = torch.randn(1, 16)
    for kind in ("blurdm", "blur", "noise", "mlp"):
        network = prior(kind)
        one, other = (network(image, noise) for image in torch.rand(2, 1, 3, 32, 32))
        assert one.shape == (1, 16)
        assert not torch.equal(one, other)


def test_controls_have_the_estimators_that_they_use_and_no_others() -> None:
    def estimators(kind: str) -> set[str]:
        return {name.split(".")[0] for name, _ in prior(kind).named_parameters()} - {
            "condition_encoder"
        }

    assert estimators("blurdm") == estimators("mlp") == {"blur_residual", "noise_residual"}
    assert estimators("blur") == {"blur_residual"}
    assert estimators("noise") == {"noise_residual"}


def test_an_untrained_diffusion_that_removes_nothing_multiplies_by_the_exposures() -> None:
    network = prior("blur")
    for parameter in network.blur_residual.parameters():
        parameter.data.zero_()
    condition = torch.rand(2, 16)
    found = network.sample(condition, torch.zeros(2, 16))
    torch.testing.assert_close(found, condition * VALUES.alpha[-1] / VALUES.alpha[0])


@pytest.mark.parametrize("kind", ["blurdm", "none"])
def test_an_untrained_model_gives_the_image_back(kind: str) -> None:
    image, spec = torch.rand(2, 3, 32, 32), model(kind)
    restored = build(spec)(image, torch.randn(2, spec.prior_channels))
    torch.testing.assert_close(restored, image)


def test_weights_there_and_back_give_the_same_answer() -> None:
    image, noise = torch.rand(1, 3, 32, 32), torch.randn(1, 16)
    network = build(model())
    for parameter in network.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    assert torch.equal(build(model(), weights)(image, noise), network(image, noise))


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(ModelError, match="do not fit the model 'test'"):
        build(model(), {"somewhere.weight": np.zeros(3, dtype=np.float32)})


@pytest.mark.parametrize(
    "backbone", [BackboneSpec("u-net"), BackboneSpec("unet", {"depth": 3}), BackboneSpec("unet")]
)
def test_a_backbone_that_does_not_exist_is_refused(backbone: BackboneSpec) -> None:
    with pytest.raises(ModelError, match="backbone"):
        build(replace(model(), backbone=backbone))


def test_a_diffusion_without_a_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="needs an exposure schedule"):
        PriorNetwork(PriorSpec("blurdm", 16))
    with pytest.raises(ValueError, match="without a prior"):
        PriorNetwork(PriorSpec("none", 0))


@pytest.mark.parametrize(
    "values", [None, ScheduleSpec("falling", (2.0, 1.0), (0.0, 0.1)), ScheduleSpec("none", (), ())]
)
def test_a_model_whose_schedule_cannot_be_is_refused(values: ScheduleSpec | None) -> None:
    broken = replace(model(), prior=replace(model().prior, schedule=values))
    with pytest.raises(ModelError, match="The prior 'blurdm'"):
        build(broken)
