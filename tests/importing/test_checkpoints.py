from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blurdm_cli.errors import ModelError, UsageError
from blurdm_cli.importing.checkpoints import import_model
from blurdm_cli.networks import nafnet
from blurdm_cli.networks.build import BACKBONES, build
from blurdm_cli.physics.diffusion import schedule
from blurdm_cli.spec import ModelSpec
from tests.importing.original import (
    PRIOR_CHANNELS,
    SMALL_NAFNET,
    mimo_checkpoint,
    nafnet_checkpoint,
    original_prior,
    prior_checkpoint,
    saved,
)


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that are written and read in no time, beside those that are published."""
    monkeypatch.setitem(nafnet.SIZES, "small", SMALL_NAFNET)


def imported(*sources: Any, **options: Any) -> tuple[ModelSpec, Mapping[str, np.ndarray]]:
    made = import_model(*sources, **options)
    return made.spec, made.weights


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"params": state},
        lambda state: {"params": {"other": torch.zeros(1)}, "params_ema": state},
        lambda state: {"model_state": state, "epoch": 3},
        lambda state: {"state_dict": {f"module.{name}": v for name, v in state.items()}},
        lambda state: {"model": state, "optimizer": {"lr": 1e-4}},
    ],
)
def test_a_checkpoint_in_any_wrapper_gives_the_same_weights(
    wrap: Callable[[dict[str, Tensor]], Any], tmp_path: Path
) -> None:
    state = nafnet_checkpoint()
    path = saved(tmp_path, wrap(state))
    spec, weights = imported([path], "nafnet", name="mine")
    assert spec.backbone.sizes == SMALL_NAFNET | {"window": 384}
    assert spec.input_range == (0.0, 1.0)
    assert (spec.multiple_of, spec.padding) == (16, "zeros")
    assert (weights["backbone.stem.weight"] == state["intro.weight"].numpy()).all()
    assert (weights["backbone.middle.0.share"] == state["middle_blks.0.beta"][0].numpy()).all()
    assert len(weights) == len(state)
    build(spec, weights)


def test_safetensors_and_several_files_are_read_too(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = nafnet_checkpoint()
    half = len(state) // 2
    save_file(dict(list(state.items())[:half]), tmp_path / "a.safetensors")
    second = saved(tmp_path, dict(list(state.items())[half:]))
    _, weights = imported([tmp_path / "a.safetensors", second], "nafnet", name="x")
    assert len(weights) == len(state)


def test_blurdm_s_weights_compute_what_they_computed(tmp_path: Path) -> None:
    """Scale and shift as in the paper, one prior a photo, and the schedule of the file."""
    state, prior = mimo_checkpoint(PRIOR_CHANNELS), prior_checkpoint()
    spec, weights = imported(
        [saved(tmp_path, {"model_state": state})],
        "mimo_unet",
        name="x",
        prior_file=saved(tmp_path, {"model_dm_state": prior}, "prior.pth"),
    )
    assert (spec.prior.fusion, spec.prior.scope, spec.prior.encoder) == ("scale", "image", "paper")
    assert spec.prior.schedule is not None
    assert spec.prior.schedule.name == "released"
    assert spec.input_range == (-0.5, 0.5)
    network = build(spec, weights).eval()
    assert network.prior is not None

    blurred, eps = torch.rand(1, 3, 32, 32), torch.randn(1, PRIOR_CHANNELS)
    found = network.find_prior(blurred, eps)
    torch.testing.assert_close(
        found, original_prior(prior, blurred - 0.5, eps), atol=1e-5, rtol=1e-4
    )
    features = torch.rand(1, 32, 4, 4)
    scale, shift = (state["Decoder.0.kv.weight"] @ eps[0]).chunk(2)
    torch.testing.assert_close(
        network.backbone.fusion[0](features, eps),
        features * scale[:, None, None] + shift[:, None, None],
    )


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({"betas_bar": torch.tensor(schedule("released").beta_bar)}, True),
        ({"betas_bar": torch.zeros(3)}, False),
        ({"alphas": torch.tensor([1.0, 2.0, 1.0]), "betas_bar": torch.zeros(2)}, False),
    ],
)
def test_a_schedule_of_any_length_is_read_or_refused(
    change: dict[str, Tensor], fits: bool, tmp_path: Path
) -> None:
    """Noise scales with the sharp state's 0 and without mean the same."""
    backbone = saved(tmp_path, mimo_checkpoint(PRIOR_CHANNELS))
    prior = saved(tmp_path, prior_checkpoint() | change, "prior.pth")
    if not fits:
        with pytest.raises(ModelError, match=r"schedule in .*prior\.pth"):
            import_model([backbone], "mimo_unet", name="x", prior_file=prior)
        return
    spec, _ = imported([backbone], "mimo_unet", name="x", prior_file=prior)
    assert spec.prior.schedule is not None
    assert spec.prior.schedule.name == "released"


def test_a_prior_and_a_backbone_must_both_be_there(tmp_path: Path) -> None:
    guided = saved(tmp_path, mimo_checkpoint(PRIOR_CHANNELS), "guided.pth")
    plain = saved(tmp_path, mimo_checkpoint(0), "plain.pth")
    prior = saved(tmp_path, prior_checkpoint(), "prior.pth")
    with pytest.raises(ModelError, match="with a prior") as caught:
        import_model([guided], "mimo_unet", name="x")
    assert "--prior" in str(caught.value.hint)
    with pytest.raises(ModelError, match="without a prior"):
        import_model([plain], "mimo_unet", name="x", prior_file=prior)
    with pytest.raises(ModelError, match=r"does not fit BlurDM's prior network: .* missing"):
        import_model([guided], "mimo_unet", name="x", prior_file=guided)


def test_the_first_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = nafnet_checkpoint()
    del state["intro.weight"]
    state["extra.weight"] = torch.zeros(3)
    state["ending.bias"] = torch.zeros(5)
    with pytest.raises(ModelError) as caught:
        import_model([saved(tmp_path, state)], "nafnet", name="x")
    message = str(caught.value)
    assert "1 missing, first stem.weight" in message
    assert "1 unexpected, first extra.weight" in message
    assert "1 misshaped, first ending.bias: (5,), not (3,)" in message


def test_the_nearest_backbone_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, nafnet_checkpoint())
    with pytest.raises(ModelError, match="does not fit mimo_unet") as caught:
        import_model([path], "mimo_unet", name="x")
    assert "nafnet (small)" in str(caught.value.hint)
    nothing = saved(tmp_path, {"layer.weight": torch.zeros(3)})
    with pytest.raises(ModelError) as caught:
        import_model([nothing], "nafnet", name="x")
    assert "does not match any backbone" in str(caught.value.hint)


class Harmful:
    """A pickle that runs code when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('the code of a checkpoint was run')",))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    path = saved(tmp_path, {"params": nafnet_checkpoint(), "extra": Harmful()})
    with pytest.raises(ModelError, match="tensors only"):
        import_model([path], "nafnet", name="x")


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint at all", b"PK\x03\x04 torn", b"hello\n" * 9]
)
def test_what_is_no_checkpoint_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.pth is not a (checkpoint, or|file of tensors)"):
        import_model([path], "nafnet", name="x")
    with pytest.raises(ModelError, match="cannot be read"):
        import_model([tmp_path / "nothing.pth"], "nafnet", name="x")


def test_a_checkpoint_without_weights_tells_its_keys(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="its keys are epoch, note"):
        import_model([saved(tmp_path, {"epoch": 1, "note": "x"})], "nafnet", name="x")


def test_backbones_and_sizes_that_do_not_exist_are_a_matter_of_usage(tmp_path: Path) -> None:
    path = saved(tmp_path, nafnet_checkpoint())
    for options in ({"backbone": "nafnett"}, {"backbone": "unet"}):
        with pytest.raises(UsageError):
            import_model([path], name="x", **options)
    with pytest.raises(UsageError, match="size"):
        import_model([path], "nafnet", name="x", size="huge")


def test_the_card_says_where_the_weights_came_from(tmp_path: Path) -> None:
    path = saved(tmp_path, nafnet_checkpoint())
    made = import_model([path], "nafnet", name="mine", licence="MIT")
    assert "weights.pth" in made.card
    assert "MIT" in made.card
    assert all(value.dtype == np.float32 for value in made.weights.values())


def test_the_backbone_is_found_by_its_tensors(tmp_path: Path) -> None:
    for number, (state, kind) in enumerate(
        ((nafnet_checkpoint(), "nafnet"), (mimo_checkpoint(0), "mimo_unet"))
    ):
        spec, _ = imported([saved(tmp_path, state, f"{number}.pth")], name="mine")
        assert spec.backbone.kind == kind
    with pytest.raises(ModelError, match="does not fit"):
        import_model([saved(tmp_path, {"a": torch.ones(3)})], name="mine")


def test_the_options_of_a_training_script_in_a_checkpoint_are_no_obstacle(tmp_path: Path) -> None:
    content = {"model": mimo_checkpoint(0), "args": Namespace(lr=1e-4, name="x")}
    spec, _ = imported([saved(tmp_path, content)], name="mine")
    assert spec.backbone.kind == "mimo_unet"


@pytest.mark.parametrize(
    ("backbone", "multiple_of", "size"),
    [("mimo_unet", 4, (36, 44)), ("stripformer", 4, (36, 44)), ("loformer", 8, (72, 56))],
)
def test_networks_take_their_authors_sizes(
    backbone: str, multiple_of: int, size: tuple[int, int], tmp_path: Path
) -> None:
    """Of the first two the authors do not pad; LoFormer's mirror to its three halvings."""
    tiny: Any = BACKBONES[backbone].network(0, **BACKBONES[backbone].size("tiny"))
    spec, weights = imported([saved(tmp_path, tiny.state_dict())], backbone, name="x")
    assert (spec.multiple_of, spec.padding) == (multiple_of, "mirror")
    assert spec.backbone.sizes == BACKBONES[backbone].size("tiny")
    photo = torch.rand(1, 3, *size)
    restored = build(spec, weights).eval()(photo)
    low, high = spec.input_range
    wanted = (tiny.eval()(photo * (high - low) + low, None) - low) / (high - low)
    torch.testing.assert_close(restored, wanted, atol=1e-5, rtol=0)
