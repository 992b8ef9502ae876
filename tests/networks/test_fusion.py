from dataclasses import replace

import pytest
import torch

from blurdm_cli import zoo
from blurdm_cli.errors import ModelError
from blurdm_cli.networks.build import BACKBONES, DeblurNetwork, build, family
from blurdm_cli.networks.fusion import fuse, widened
from blurdm_cli.spec import CANDIDATE_PLANES, BackboneSpec, PriorSpec


def images(count: int = 1, side: int = 64, seed: int = 0) -> torch.Tensor:
    """Blurred images whose candidates are others."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3 + CANDIDATE_PLANES, side, side, generator=generator)


def without_candidates(blurred: torch.Tensor) -> torch.Tensor:
    """Images of which no motion was found."""
    facts = torch.zeros(len(blurred), CANDIDATE_PLANES - 6, *blurred.shape[2:])
    return torch.cat([blurred, blurred, blurred, facts], dim=1)


def test_weights_choose_between_the_own_picture_and_the_candidates() -> None:
    seen, own = images(), torch.rand(1, 3, 64, 64)
    for place, wanted in enumerate((own, seen[:, 3:6], seen[:, 6:9])):
        outputs = torch.zeros(1, 6, 64, 64)
        outputs[:, place] = 60
        torch.testing.assert_close(fuse(own, outputs, seen), wanted, atol=1e-5, rtol=0)


def test_a_change_is_added_behind_the_choice() -> None:
    seen, own = images(), torch.rand(1, 3, 64, 64)
    outputs = torch.zeros(1, 6, 64, 64)
    plain = fuse(own, outputs, seen)
    outputs[:, 3:] = 0.1
    torch.testing.assert_close(fuse(own, outputs, seen), plain + 0.1)


@pytest.mark.parametrize("kind", list(BACKBONES))
def test_a_widened_model_knows_what_the_narrow_one_knew(kind: str) -> None:
    torch.manual_seed(0)
    backbone = BackboneSpec(kind, family(kind).size("tiny"))
    spec = family(kind).spec("narrow", backbone, PriorSpec("none"))
    narrow = DeblurNetwork(spec).eval()
    wide = DeblurNetwork(replace(spec, candidates=True)).eval()
    wide.load_state_dict(widened(narrow.state_dict(), wide))
    blurred = images(side=max(64, spec.multiple_of * 2))[:, :3]
    with torch.no_grad():
        before, after = narrow(blurred), wide(without_candidates(blurred))
    own = before - blurred
    # where no candidate was found, all three are the photo: most of the own change stays
    torch.testing.assert_close(after - blurred, own * 0.9095, atol=2e-3, rtol=1e-2)


def test_the_prior_of_a_widened_model_starts_as_it_was() -> None:
    model = zoo.find("blurdm-tiny")
    narrow = build(model.spec, model.weights()).eval()
    wide = DeblurNetwork(replace(model.spec, candidates=True)).eval()
    wide.load_state_dict(widened(narrow.state_dict(), wide))
    seen, noise = images(2), torch.randn(2, model.spec.prior_channels)
    with torch.no_grad():
        torch.testing.assert_close(
            wide.find_prior(seen, noise), narrow.find_prior(seen[:, :3], noise), atol=1e-5, rtol=0
        )


def test_the_prior_sees_the_candidates_once_it_has_learnt_to() -> None:
    model = zoo.find("blurdm-tiny")
    wide = DeblurNetwork(replace(model.spec, candidates=True)).eval()
    assert wide.prior is not None
    encoder = wide.prior.condition_encoder.candidates
    assert encoder is not None
    torch.nn.init.normal_(encoder.to_latent.weight)
    seen, noise = images(), torch.randn(1, model.spec.prior_channels)
    other = torch.cat([seen[:, :3], images(seed=1)[:, 3:]], dim=1)
    with torch.no_grad():
        first, second = wide.find_prior(seen, noise), wide.find_prior(other, noise)
    assert first is not None
    assert second is not None
    assert (first - second).abs().max() > 1e-3


def test_weights_without_candidates_do_not_fit_unsaid() -> None:
    model = zoo.find("blurdm-tiny")
    with pytest.raises(ModelError, match="do not fit"):
        build(replace(model.spec, candidates=True), model.weights())
