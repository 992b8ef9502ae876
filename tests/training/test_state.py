from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from blurdm_cli.training.state import State
from tests.training.line import RECIPE, Line


def test_the_rate_rises_and_falls_and_the_prior_has_its_share(tmp_path: Path) -> None:
    objective = Line()
    state = State.start(objective, replace(RECIPE, steps=100))
    rates = []
    for step in range(0, 101):
        state.step = step
        rates.append(state.learning_rate())
    assert max(rates) == rates[2] == pytest.approx(0.01, rel=0.01)
    assert rates[0] < 0.002
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[100] == pytest.approx(0.0001)
    shares = {group["share"]: len(group["params"]) for group in state.optimizer.param_groups}
    assert shares == {1.0: 2, 0.1: 2}


def test_wide_layers_learn_slower(tmp_path: Path) -> None:
    objective = Line()
    slow = replace(RECIPE, full_rate_inputs=2)  # of three
    state = State.start(objective, slow)
    shares = {group["share"]: len(group["params"]) for group in state.optimizer.param_groups}
    assert shares == {2 / 3: 1, 1.0: 1, 0.1: 2}


@pytest.mark.parametrize(("kernel", "stride", "inputs"), [(2, 2, 6), (4, 2, 24), (3, 1, 54)])
def test_outputs_of_a_transposed_convolution_hear_of_one_place_in_a_stride(
    kernel: int, stride: int, inputs: int
) -> None:
    objective = Line()
    objective.backbone = nn.ConvTranspose2d(6, 3, kernel, stride=stride)
    slow = replace(RECIPE, full_rate_inputs=2)
    state = State.start(objective, slow)
    weight = objective.backbone.weight
    groups = state.optimizer.param_groups
    [share] = [g["share"] for g in groups if any(p is weight for p in g["params"])]
    assert share == pytest.approx(2 / inputs)
