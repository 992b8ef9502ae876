from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from blurdm_cli import zoo
from blurdm_cli.errors import ModelError, OutputError, TrainingError
from blurdm_cli.networks.build import build
from blurdm_cli.spec import ModelSpec, PriorSpec
from blurdm_cli.training import stages
from blurdm_cli.training.model import Networks
from blurdm_cli.training.pairs import Batch
from blurdm_cli.training.recipe import Recipe
from blurdm_cli.training.stage1 import Stage1
from blurdm_cli.training.stage2 import FoundPrior, Stage2
from blurdm_cli.training.stage3 import Stage3
from blurdm_cli.training.state import seed_of
from blurdm_cli.training.trainer import Machine
from tests.training.small import SMALL, Same, recipes


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
