from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from blurdm_cli import zoo
from blurdm_cli.errors import ModelError, OutputError, TrainingError
from blurdm_cli.networks.blocks import ResidualBlock
from blurdm_cli.networks.build import build
from blurdm_cli.spec import ModelSpec, PriorSpec
from blurdm_cli.training import loop, stages
from blurdm_cli.training.loop import Machine
from blurdm_cli.training.model import Networks, Sleepers
from blurdm_cli.training.pairs import Batch, Order
from blurdm_cli.training.recipe import Objective, Recipe
from blurdm_cli.training.stage1 import OraclePrior, Stage1
from blurdm_cli.training.stage2 import FoundPrior, Stage2
from blurdm_cli.training.stage3 import Stage3, WholeModel
from blurdm_cli.training.state import State, seed_of

SMALL: dict[str, Any] = {"batch": 2, "crop": 32, "evaluate_every": 1000}


class Same:
    """A source that always gives one batch."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def draw(self, order: Order) -> Batch:
        return self.batch if order.partial_steps else replace(self.batch, partial=None)


def recipes(steps: int) -> dict[str, Recipe]:
    return {name: kind(steps=steps, **SMALL) for name, kind in stages.RECIPES.items()}


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


def test_all_stages_make_a_model_that_the_zoo_knows(
    spec: ModelSpec, batch: Batch, tmp_path: Path
) -> None:
    done = stages.train(
        recipes(3), spec, Same(batch), replace(batch, partial=None), tmp_path, Machine()
    )

    model = zoo.find(str(tmp_path / "model"))
    assert done
    assert model.spec.backbone == spec.backbone
    assert [model.spec.training[name]["steps_done"] for name in stages.RECIPES] == [3, 3, 3]
    assert build(model.spec, model.weights())(batch.blurred, torch.randn(2, 16)).shape[1] == 3
    assert "| stage3 | 3 |" in model.card()


def test_a_seed_decides_what_is_learnt(spec: ModelSpec, batch: Batch, tmp_path: Path) -> None:
    found = []
    for number, seed in enumerate((3, 3, 4)):
        recipe = Stage1(steps=2, seed=seed, **SMALL)
        output = tmp_path / str(number)
        stages.train(
            {"stage1": recipe}, spec, Same(batch), replace(batch, partial=None), output, Machine()
        )
        found.append(load_file(output / "stage1" / stages.RESULT)["network.backbone.head.weight"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


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
    spec: ModelSpec, batch: Batch
) -> None:
    networks, block = with_sleepers(spec)
    batch = replace(batch, partial=None)
    recipe = Stage1(**SMALL)
    objective = OraclePrior(networks, recipe)
    state = State.start(objective, [p for p in objective.parameters() if p.requires_grad], recipe)
    state.step = 1
    with torch.no_grad():  # the average lags behind: one of the eight is awake there
        torch._foreach_mul_(state.ema, 0.9)
        bias = next(n for n, p in enumerate(state.parameters) if p is block.first.bias)
        state.ema[bias][7] = 0

    def look() -> list[torch.Tensor]:
        now = objective.restore(batch)
        with loop._averaged(state.parameters, state.ema):
            return [now, objective.restore(batch)]

    before = look()
    loop._wake(objective, lambda: [batch], state, recipe, Machine())
    for now, then in zip(look(), before, strict=True):
        torch.testing.assert_close(now, then, atol=1e-5, rtol=0)
    sleepers = Sleepers(networks)
    with sleepers.watch():
        objective.restore(batch)
    assert (~sleepers._awake[block.first]).nonzero().flatten().tolist() == [7]
    for _ in range(2):  # first what they pass on, then what they see
        objective.loss(batch).backward()
        gradients = [block.second.weight.grad[:, :7], block.first.weight.grad[:7]]
        loop._step(objective.loss, state, batch, recipe, Machine())
    assert all(gradient.flatten(1).abs().amax(dim=1).min() > 0 for gradient in gradients)


def test_units_that_work_on_other_crops_than_the_validation_s_are_not_woken(
    spec: ModelSpec, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "WATCHED", 4)
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
    state = State.start(objective, [p for p in objective.parameters() if p.requires_grad], recipe)
    watched = loop._watched(Same(batch), validation, recipe)
    loop._wake(objective, watched, state, recipe, Machine())
    assert torch.equal(block.first.weight[works], before)
    assert (block.first.bias[:8] == 0).all()


@pytest.mark.parametrize("kind", [Stage1, Stage2, Stage3])
def test_each_stage_has_crops_of_its_own(kind: type[Recipe]) -> None:
    others = {other for other in (Stage1, Stage2, Stage3) if other is not kind}
    assert seed_of(kind()) == seed_of(kind())
    assert seed_of(kind()) not in {seed_of(other()) for other in others}
    assert seed_of(kind()) not in {seed_of(kind(seed=1)), seed_of(kind(), "watched")}


def test_a_later_stage_begins_with_what_the_one_before_has_learnt(
    spec: ModelSpec, batch: Batch, tmp_path: Path
) -> None:
    validation = replace(batch, partial=None)
    with pytest.raises(TrainingError, match="stage3 starts from stage2") as caught:
        stages.train(
            {"stage3": Stage3(steps=1, **SMALL)}, spec, Same(batch), validation, tmp_path, Machine()
        )
    assert "train all" in str(caught.value.hint)
    for name, recipe in recipes(2).items():
        assert stages.train({name: recipe}, spec, Same(batch), validation, tmp_path, Machine())
    history = zoo.find(str(tmp_path / "model")).spec.training
    assert [history[name]["steps_done"] for name in stages.RECIPES] == [2, 2, 2]


def test_a_model_can_be_trained_on(spec: ModelSpec, batch: Batch, tmp_path: Path) -> None:
    validation = replace(batch, partial=None)
    stages.train(recipes(2), spec, Same(batch), validation, tmp_path / "first", Machine())
    start = zoo.find(str(tmp_path / "first" / "model"))

    still = {"stage3": Stage3(steps=1, learning_rate=0.0, **SMALL)}
    again = tmp_path / "second"
    stages.train(still, start.spec, Same(batch), validation, again, Machine(), start=start)

    before, after = start.weights(), zoo.find(str(again / "model")).weights()
    assert all((before[name] == after[name]).all() for name in before)


def test_without_a_prior_there_is_no_second_stage(
    spec: ModelSpec, batch: Batch, tmp_path: Path
) -> None:
    plain = replace(spec, prior=PriorSpec("none", 0))
    assert stages.stages_of(plain) == ("stage1", "stage3")
    short = {name: recipe for name, recipe in recipes(2).items() if name != "stage2"}
    validation = replace(batch, partial=None)
    assert stages.train(short, plain, Same(batch), validation, tmp_path, Machine())
    with pytest.raises(TrainingError, match="no stage 2"):
        FoundPrior(Networks(plain), Stage2())


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


def test_a_new_prior_keeps_the_backbone_that_it_starts_from(
    spec: ModelSpec, batch: Batch, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    weights = {k: torch.rand_like(v).numpy() for k, v in build(spec).state_dict().items()}
    start = zoo.write(tmp_path / "start", spec, weights, "a card")
    other = replace(spec, prior=replace(spec.prior, encoder="spectral"))
    networks = Networks(other)
    stages._start_from(networks, other, start)
    for name, value in networks.network.backbone.state_dict().items():
        if "fusion" in name:
            assert not value.any()
        else:
            torch.testing.assert_close(value, torch.from_numpy(weights[f"backbone.{name}"]))


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


def test_a_second_stage_needs_the_first_not_a_model(
    spec: ModelSpec, batch: Batch, tmp_path: Path
) -> None:
    weights = {name: value.numpy() for name, value in build(spec).state_dict().items()}
    start = zoo.write(tmp_path / "start", spec, weights, "a card")
    second = {"stage2": Stage2(steps=1, **SMALL)}
    with pytest.raises(TrainingError, match="sharp encoder of stage1"):
        stages.train(second, spec, Same(batch), batch, tmp_path, Machine(), start=start)
    with pytest.raises(TrainingError, match="stage2 starts from stage1") as caught:
        stages.train(second, spec, Same(batch), batch, tmp_path, Machine())
    assert "--from" not in str(caught.value.hint)


def test_a_stage_does_not_go_on_from_other_networks(
    spec: ModelSpec, batch: Batch, tmp_path: Path
) -> None:
    validation = replace(batch, partial=None)
    first, second = ({name: recipes(1)[name]} for name in ("stage1", "stage2"))
    stages.train(first, spec, Same(batch), validation, tmp_path, Machine())
    other = replace(spec, prior=replace(spec.prior, channels=32))
    with pytest.raises(TrainingError, match=r"different networks: prior\.channels"):
        stages.train(second, other, Same(batch), validation, tmp_path, Machine())
    renamed = replace(spec, name="other", training={"data": ["more"]})
    assert stages.train(second, renamed, Same(batch), validation, tmp_path, Machine())


def test_weights_that_overflow_in_a_model_are_no_finished_run(
    spec: ModelSpec, batch: Batch, tmp_path: Path
) -> None:
    weights = {name: value.numpy() for name, value in build(spec).state_dict().items()}
    weights["backbone.head.bias"][:] = 1e6
    start = zoo.write(tmp_path / "start", spec, weights, "a card")
    third = {"stage3": Stage3(steps=1, learning_rate=0.0, **SMALL)}
    for machine in (Machine(), Machine(resume=True)):
        with pytest.raises(ModelError, match=r"head\.bias.* float16"):
            stages.train(third, spec, Same(batch), batch, tmp_path / "run", machine, start=start)


def test_an_output_that_is_a_file_is_refused(spec: ModelSpec, batch: Batch, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    first = {"stage1": recipes(1)["stage1"]}
    with pytest.raises(OutputError, match="cannot be written"):
        stages.train(first, spec, Same(batch), batch, tmp_path / "run", Machine())
    assert (tmp_path / "run").read_text() == "mine"
