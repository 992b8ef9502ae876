from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from blurdm_cli.errors import TrainingError
from blurdm_cli.spec import ModelSpec
from blurdm_cli.training.model import Networks
from blurdm_cli.training.pairs import Batch
from blurdm_cli.training.recipe import Objective, Recipe
from blurdm_cli.training.stage1 import OraclePrior, Stage1
from blurdm_cli.training.stage2 import FoundPrior, Stage2
from blurdm_cli.training.stage3 import Stage3, WholeModel


@pytest.mark.parametrize(
    ("make", "recipe", "trained", "below"),
    [
        (OraclePrior, Stage1(), {"sharp_encoder", "network.backbone"}, 0.8),
        (FoundPrior, Stage2(), {"network.prior"}, 0.7),
        (FoundPrior, Stage2(step_weight=1.0), {"network.prior"}, 0.9),
        (WholeModel, Stage3(), {"network.prior", "network.backbone"}, 0.8),
    ],
)
def test_each_stage_learns_one_batch_by_heart_and_leaves_frozen_parameters_alone(
    make: Callable[[Networks, Any], Objective],
    recipe: Recipe,
    trained: set[str],
    below: float,
    spec: ModelSpec,
    batch: Batch,
) -> None:
    torch.manual_seed(0)
    networks = Networks(spec)
    before = {name: p.detach().clone() for name, p in networks.named_parameters()}
    objective = make(networks, recipe)
    batch = batch if objective.partial_steps else replace(batch, partial=None)
    optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], lr=2e-3)

    losses = []
    for _ in range(60):
        loss = objective.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert sum(losses[-5:]) < below * sum(losses[:5])
    changed = {name for name, p in networks.named_parameters() if not torch.equal(p, before[name])}
    for name in before:
        of_trained = any(name.startswith(f"{part}.") for part in trained)
        assert (name in changed) <= of_trained
    assert all(any(name.startswith(f"{part}.") for name in changed) for part in trained)


def test_steps_are_supervised_for_blurdm_alone(spec: ModelSpec) -> None:
    other = replace(spec, prior=replace(spec.prior, kind="mlp"))
    with pytest.raises(TrainingError, match="only with the prior 'blurdm'"):
        FoundPrior(Networks(other), Stage2(step_weight=1.0))


def test_a_prior_learns_to_tell_the_motion_and_unknown_motion_teaches_nothing(
    spec: ModelSpec, batch: Batch
) -> None:
    torch.manual_seed(0)
    networks = Networks(spec)
    motion = torch.zeros(2, 41, 41)
    motion[:, 20, 12:29] = 1 / 17
    told = replace(batch, partial=None, motion=motion)
    objective = WholeModel(networks, Stage3(motion_weight=1.0))
    optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], lr=2e-3)
    losses = []
    for _ in range(60):
        found = networks.network.find_prior(batch.blurred, torch.zeros(2, 16))
        losses.append(torch.as_tensor(networks.motion_loss(found, motion)).item())
        optimizer.zero_grad()
        objective.loss(told).backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 1
    prior = torch.rand(2, 16)
    assert torch.as_tensor(networks.motion_loss(prior, torch.zeros_like(motion))).item() == 0
    assert networks.motion_loss(prior, None) == 0


def test_the_oracle_is_told_each_motion_that_is_known(spec: ModelSpec, batch: Batch) -> None:
    torch.manual_seed(0)
    networks = Networks(spec)
    motion = torch.zeros(2, 41, 41)
    motion[0, 20, 12:29] = 1 / 17
    with torch.no_grad():
        seen = networks.oracle(batch.blurred, batch.sharp, None)
        told = networks.oracle(batch.blurred, batch.sharp, motion)
        other = networks.oracle(batch.blurred, batch.sharp, motion.transpose(1, 2))
    torch.testing.assert_close(told[1], seen[1])
    assert (told[0] - seen[0]).abs().max() > 1e-3
    assert (told[0] - other[0]).abs().max() > 1e-3
