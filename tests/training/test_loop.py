import csv
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import nn

from blurdm_cli.errors import StepTooLarge, TrainingError
from blurdm_cli.training import loop, meter
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


SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(params=SIGNALS)
def interruption(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that ends the command as Ctrl-C does."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield request.param
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("step", [2, 4])
def test_a_run_that_is_interrupted_in_a_step_is_resumed_as_if_it_had_not_been(
    tmp_path: Path, interruption: signal.Signals, step: int
) -> None:
    _, whole = train(tmp_path / "whole")
    asked = count(1)

    def interrupt() -> None:
        if next(asked) == step:
            signal.raise_signal(interruption)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", tell=interrupt)
    assert signal.getsignal(interruption) is signal.default_int_handler
    kept = RunFolder(tmp_path / "parts").load(torch.device("cpu"))
    assert kept is not None
    assert kept["step"] == step
    _, parts = train(tmp_path / "parts", resume=True)
    for name, value in whole.items():
        assert torch.equal(parts[name], value)
    evaluated = [row["step"] for row in rows(tmp_path / "parts") if row["psnr_restored"]]
    assert evaluated == ["4", "8"]


def test_whoever_interrupts_twice_does_not_wait(
    tmp_path: Path, interruption: signal.Signals
) -> None:
    asked, finished = count(1), []

    def interrupt() -> None:
        if next(asked) == 6:
            signal.raise_signal(interruption)
            signal.raise_signal(interruption)
            finished.append(True)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, tell=interrupt)
    kept = RunFolder(tmp_path).load(torch.device("cpu"))
    assert kept is not None
    assert kept["step"] == 4  # of the last evaluation, not half of a step
    assert not finished


def test_an_error_in_a_step_leaves_the_last_whole_state(tmp_path: Path) -> None:
    _, whole = train(tmp_path / "whole")
    asked = count(1)

    def fail() -> None:
        if next(asked) == 6:
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        train(tmp_path / "parts", tell=fail)
    _, parts = train(tmp_path / "parts", resume=True)
    for name, value in whole.items():
        assert torch.equal(parts[name], value)


def test_a_run_is_kept_by_the_clock_too_with_the_rows_that_belong_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, asked = [0.0], count(1)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def pass_time() -> None:
        clock[0] += loop.KEEP_EVERY / 3
        if next(asked) == 8:
            raise ArithmeticError

    lazy = replace(RECIPE, evaluate_every=100)
    with pytest.raises(ArithmeticError):
        train(tmp_path, tell=pass_time, recipe=lazy)
    kept = RunFolder(tmp_path).load(torch.device("cpu"))
    assert kept is not None
    assert kept["step"] == 6
    train(tmp_path, recipe=lazy, resume=True)
    assert [row["step"] for row in rows(tmp_path)] == ["3", "6", "8", "8"]
    assert b"\r" not in (tmp_path / "losses.csv").read_bytes()


def test_the_last_step_is_evaluated_once(tmp_path: Path) -> None:
    train(tmp_path)
    evaluated = [row["step"] for row in rows(tmp_path) if row["psnr_restored"]]
    assert evaluated == ["4", "8"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_step_that_does_not_fit_in_memory_says_what_to_make_smaller(
    tmp_path: Path, error: Exception
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(StepTooLarge, match="A step of 2 crops of 16 pixels") as caught:
        train(tmp_path, tell=fail)
    assert caught.value.exit_code == 8
    assert "--batch 1" in str(caught.value.hint)


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
    with pytest.raises(TrainingError, match="already holds a run"):
        train(tmp_path)
    with pytest.raises(TrainingError, match="different recipe: steps"):
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


@pytest.mark.parametrize(("kernel", "stride", "inputs"), [(2, 2, 6), (4, 2, 24), (3, 1, 54)])
def test_outputs_of_a_transposed_convolution_hear_of_one_place_in_a_stride(
    kernel: int, stride: int, inputs: int
) -> None:
    objective = Line()
    objective.backbone = nn.ConvTranspose2d(6, 3, kernel, stride=stride)
    slow = replace(RECIPE, full_rate_inputs=2)
    state = State.start(objective, list(objective.parameters()), slow)
    weight = objective.backbone.weight
    groups = state.optimizer.param_groups
    [share] = [g["share"] for g in groups if any(p is weight for p in g["params"])]
    assert share == pytest.approx(2 / inputs)


def test_losses_csv_tells_how_fast_it_goes(tmp_path: Path) -> None:
    _last, _ = train(tmp_path, recipe=replace(RECIPE, steps=50, evaluate_every=50))
    row = next(row for row in rows(tmp_path) if row["loss"])
    assert float(row["crops_per_second"]) > 0
    assert float(row["crops_per_second"]) == pytest.approx(
        50 * RECIPE.batch / float(row["seconds"]), rel=0.2
    )
    assert 0 <= float(row["drawing_share"]) <= 1
