import csv
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from blurdm_cli.errors import TrainingError
from blurdm_cli.training import meter
from blurdm_cli.training.loop import Machine, fit
from blurdm_cli.training.pairs import Batch, Order
from blurdm_cli.training.recipe import Objective, Progress, Recipe
from blurdm_cli.training.run import RunFolder, changes
from blurdm_cli.training.state import State

RECIPE = Recipe(steps=8, batch=2, crop=16, learning_rate=0.01, evaluate_every=4)


class Line(Objective):
    """Learns one factor, with a little noise."""

    def __init__(self) -> None:
        super().__init__()
        self.tell: Callable[[], None] = lambda: None
        """Called with each step."""
        self.backbone = nn.Conv2d(3, 3, 1)
        nn.init.zeros_(self.backbone.weight)
        self.fusion = nn.Linear(1, 1)

    def loss(self, batch: Batch) -> torch.Tensor:
        self.tell()
        found = self.backbone(batch.blurred) * self.fusion.weight
        return ((found - batch.sharp) ** 2).mean() + 0 * torch.randn(()) * found.mean()

    def restore(self, batch: Batch) -> torch.Tensor:
        return self.backbone(batch.blurred) * self.fusion.weight


class Crops:
    """Random crops that follow from the order; calls `told` with it first."""

    def __init__(self, told: Callable[[Order], float] = lambda order: 1.0) -> None:
        self.told = told

    def draw(self, order: Order) -> Batch:
        factor = self.told(order)
        values = torch.from_numpy(order.rng().random((order.count, 3, order.side, order.side)))
        return Batch(values.float(), values.float() * 0.5 * factor)


def train(
    folder: Path,
    source: Crops | None = None,
    recipe: Recipe = RECIPE,
    tell: Callable[[], None] = lambda: None,
    **machine: object,
) -> tuple[Progress, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    objective, run = Line(), RunFolder(folder)
    objective.tell = tell
    validation = Crops().draw(Order(2, 16))
    where = Machine(**machine)
    run.start({"steps": recipe.steps}, resume=where.resume)
    progress = fit(objective, source or Crops(), validation, recipe, where, run)
    return progress, objective.state_dict()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_run_that_was_stopped_and_resumed_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    _, whole = train(tmp_path / "whole")
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def pass_time() -> None:
        clock[0] += 1

    halfway, _ = train(tmp_path / "parts", tell=pass_time, deadline=float(stop))
    last, parts = train(tmp_path / "parts", resume=True)

    assert (halfway.step, last.step) == (stop, 8)
    assert halfway.fraction < 1 == last.fraction
    for name, value in whole.items():
        assert torch.equal(parts[name], value)


def test_steps_that_are_not_finite_are_skipped_and_counted(tmp_path: Path) -> None:
    last, weights = train(tmp_path, Crops(lambda order: math.nan if order.first in (4, 8) else 1.0))
    assert (last.step, last.skipped) == (8, 2)
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert rows(tmp_path)[-1]["skipped"] == "2"


def test_a_run_with_nothing_finite_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "PATIENCE", 3)
    with pytest.raises(TrainingError, match="3 steps in a row") as caught:
        train(tmp_path, Crops(lambda order: math.nan))
    assert "--learning-rate" in str(caught.value.hint)


def test_the_loss_falls_and_every_evaluation_has_its_row_and_picture(tmp_path: Path) -> None:
    last, _ = train(tmp_path, recipe=replace(RECIPE, steps=200, evaluate_every=100))
    found = rows(tmp_path)
    scores = [float(row["psnr_restored"]) for row in found if row["psnr_restored"]]
    losses = [float(row["loss"]) for row in found if row["loss"]]
    assert [row["step"] for row in found if row["loss"]] == ["50", "100", "150", "200"]
    assert losses == sorted(losses, reverse=True)
    assert scores[1] > scores[0] + 1.5
    assert last.psnr is not None
    assert last.psnr[1] == pytest.approx(scores[-1], abs=1e-3)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["0000100.png", "0000200.png"]


def test_the_weights_that_come_out_are_the_average_of_those_on_the_way(tmp_path: Path) -> None:
    still = replace(RECIPE, ema_decay=1.0, steps=1)
    torch.manual_seed(1)
    start = Line().state_dict()
    _, averaged = train(tmp_path / "a", recipe=replace(still, steps=30))
    _, newest = train(tmp_path / "b", recipe=replace(still, steps=30, ema_decay=0.0))
    way = newest["backbone.weight"] - start["backbone.weight"]
    done = averaged["backbone.weight"] - start["backbone.weight"]
    moved = way.abs() > 1e-3
    assert (done / way)[moved].min() > 0
    assert (done / way)[moved].max() < 1


def test_the_rate_rises_and_falls_and_the_prior_has_its_share(tmp_path: Path) -> None:
    seen: list[list[float]] = []
    objective = Line()
    state = State.start(objective, list(objective.parameters()), RECIPE)
    for step in range(0, 101):
        state.step = step
        seen.append([state.learning_rate(replace(RECIPE, steps=100))])
    rates = [rate for (rate,) in seen]
    assert max(rates) == rates[2] == pytest.approx(0.01, rel=0.01)
    assert rates[0] < 0.002
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[100] == pytest.approx(0.0001)
    shares = {group["share"]: len(group["params"]) for group in state.optimizer.param_groups}
    assert shares == {1.0: 2, 0.1: 2}


def test_blurs_grow_over_the_share_of_the_run_that_is_asked_for(tmp_path: Path) -> None:
    reached: list[float] = []
    train(
        tmp_path,
        Crops(lambda order: float(reached.append(order.reach) or 1.0)),
        recipe=replace(RECIPE, steps=32, growth=0.5),
    )
    assert reached == sorted(reached)
    assert reached[0] == 1 / 16
    assert reached[8] == 0.5
    assert set(reached[16:]) == {1.0}


def test_a_run_is_not_overwritten_nor_resumed_with_another_recipe(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(TrainingError, match="holds a run already"):
        train(tmp_path)
    with pytest.raises(TrainingError, match="another recipe: steps"):
        train(tmp_path, recipe=replace(RECIPE, steps=9), resume=True)


def test_the_parts_of_a_recipe_that_changed_are_named() -> None:
    before = {"model": {"training": {"data": ["a"], "evaluated": "b"}}, "steps": 3}
    now = {"model": {"training": {"data": ["a"], "evaluated": "c", "new": 1}}, "steps": 3}
    assert changes(now, before) == ["model.training.evaluated"]


def test_wide_layers_learn_slower(tmp_path: Path) -> None:
    objective = Line()
    slow = replace(RECIPE, full_rate_inputs=2)  # of three
    state = State.start(objective, list(objective.parameters()), slow)
    shares = {group["share"]: len(group["params"]) for group in state.optimizer.param_groups}
    assert shares == {2 / 3: 1, 1.0: 1, 0.1: 2}


def test_losses_csv_tells_how_fast_it_goes(tmp_path: Path) -> None:
    _last, _ = train(tmp_path, recipe=replace(RECIPE, steps=50, evaluate_every=50))
    row = next(row for row in rows(tmp_path) if row["loss"])
    assert float(row["crops_per_second"]) > 0
    assert float(row["crops_per_second"]) == pytest.approx(
        50 * RECIPE.batch / float(row["seconds"]), rel=0.2
    )
    assert 0 <= float(row["drawing_share"]) <= 1
