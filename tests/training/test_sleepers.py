from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from blurdm_cli.networks.blocks import ResidualBlock
from blurdm_cli.spec import ModelSpec
from blurdm_cli.training.model import Networks, Sleepers
from blurdm_cli.training.pairs import Batch
from blurdm_cli.training.run import RunFolder
from blurdm_cli.training.stage1 import OraclePrior, Stage1
from blurdm_cli.training.stage2 import FoundPrior, Stage2
from blurdm_cli.training.stage3 import Stage3, WholeModel
from blurdm_cli.training.trainer import Machine, Trainer
from tests.training.small import SMALL, Same


def with_sleepers(spec: ModelSpec) -> tuple[Networks, ResidualBlock]:
    """Networks in whose first block of the decoder eight units sleep."""
    torch.manual_seed(0)
    networks = Networks(spec)
    nn.init.normal_(networks.network.backbone.head.weight, std=0.1)
    block = networks.network.backbone.decoder[0][0]
    nn.init.constant_(block.first.bias[:8], -1e3)
    return networks, block


def test_dead_units_are_woken_without_a_change(spec: ModelSpec, batch: Batch) -> None:
    woken = []
    for state in (1, 2):
        networks, block = with_sleepers(spec)
        sleepers, noise = Sleepers(networks), torch.randn(2, 16)

        def look(networks: Networks, sleepers: Sleepers, noise: torch.Tensor) -> torch.Tensor:
            with torch.no_grad(), sleepers.watch():
                return networks.network(batch.blurred, noise)

        before = look(networks, sleepers, noise)
        units = sum(block.first.out_channels for block in sleepers.blocks)
        assert sleepers.share() == pytest.approx(8 / units)
        torch.manual_seed(state)  # new weights follow from the seed that is given alone
        sleepers.wake(3, {})
        after = look(networks, sleepers, noise)
        torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
        assert sleepers.share() == 0
        woken.append(block.first.weight[:8])
    assert torch.equal(*woken)


def test_frozen_units_sleep_on(spec: ModelSpec, batch: Batch) -> None:
    networks, _ = with_sleepers(spec)
    FoundPrior(networks, Stage2())
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    sleepers = Sleepers(networks)
    with torch.no_grad(), sleepers.watch():
        networks.network(batch.blurred, torch.randn(2, 16))
    sleepers.wake(0, {})
    assert sleepers.share() > 0
    assert all(torch.equal(value, before[name]) for name, value in networks.state_dict().items())


def test_what_sleeps_in_training_is_woken_in_the_average_too_and_learns_again(
    spec: ModelSpec, batch: Batch, tmp_path: Path
) -> None:
    networks, block = with_sleepers(spec)
    batch = replace(batch, partial=None)
    recipe = Stage1(**SMALL)
    objective = OraclePrior(networks, recipe)
    trainer = Trainer(objective, Same(batch), batch, recipe, Machine(), RunFolder(tmp_path))
    state = trainer.state
    state.step = 1
    with torch.no_grad():  # the average lags behind: one of the eight is awake there
        torch._foreach_mul_(state.ema, 0.9)
        bias = next(n for n, p in enumerate(state.parameters) if p is block.first.bias)
        state.ema[bias][7] = 0

    def look() -> list[torch.Tensor]:
        now = objective.restore(batch)
        with state.averaged():
            return [now, objective.restore(batch)]

    before = look()
    trainer._wake(lambda: [batch])
    for now, then in zip(look(), before, strict=True):
        torch.testing.assert_close(now, then, atol=1e-5, rtol=0)
    sleepers = Sleepers(networks)
    with sleepers.watch():
        objective.restore(batch)
    assert (~sleepers._awake[block.first]).nonzero().flatten().tolist() == [7]
    for _ in range(2):  # first what they pass on, then what they see
        objective.loss(batch).backward()
        gradients = [block.second.weight.grad[:, :7], block.first.weight.grad[:7]]
        trainer._step(objective.loss, batch)
    assert all(gradient.flatten(1).abs().amax(dim=1).min() > 0 for gradient in gradients)


def test_units_that_work_on_other_crops_than_the_validation_s_are_not_woken(
    spec: ModelSpec, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blurdm_cli.training.trainer.WATCHED", 4)
    networks, block = with_sleepers(spec)
    validation = replace(batch, partial=None, blurred=batch.blurred * 0, sharp=batch.sharp * 0)
    sleepers = Sleepers(networks)
    with torch.no_grad(), sleepers.watch():
        networks.network(validation.blurred, torch.zeros(2, 16))
    asleep = ~sleepers._awake[block.first]
    with torch.no_grad(), sleepers.watch():
        networks.network(batch.blurred, torch.zeros(2, 16))
    works = asleep & sleepers._awake[block.first]
    assert works.any()
    before = block.first.weight[works].clone()
    recipe = Stage3(**SMALL)
    objective = WholeModel(networks, recipe)
    trainer = Trainer(objective, Same(batch), validation, recipe, Machine(), RunFolder(tmp_path))
    trainer._wake(trainer._watched())
    assert torch.equal(block.first.weight[works], before)
    assert (block.first.bias[:8] == 0).all()
