import csv
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

from blurdm_cli.errors import StepTooLarge, TrainingError
from blurdm_cli.training import meter, trainer
from blurdm_cli.training.run import RunFolder, changes
from tests.training.line import RECIPE, Crops, Line, train


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
    kept = RunFolder(tmp_path / "parts").load()
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
    kept = RunFolder(tmp_path).load()
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
        clock[0] += trainer.KEEP_EVERY / 3
        if next(asked) == 8:
            raise ArithmeticError

    lazy = replace(RECIPE, evaluate_every=100)
    with pytest.raises(ArithmeticError):
        train(tmp_path, tell=pass_time, recipe=lazy)
    kept = RunFolder(tmp_path).load()
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


def test_losses_csv_tells_how_fast_it_goes(tmp_path: Path) -> None:
    _last, _ = train(tmp_path, recipe=replace(RECIPE, steps=50, evaluate_every=50))
    row = next(row for row in rows(tmp_path) if row["loss"])
    assert float(row["crops_per_second"]) > 0
    assert float(row["crops_per_second"]) == pytest.approx(
        50 * RECIPE.batch / float(row["seconds"]), rel=0.2
    )
    assert 0 <= float(row["drawing_share"]) <= 1
