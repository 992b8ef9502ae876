"""The three stages in order, each starting from the weights of the one before.

RUN/stage1/ stage2/ stage3/     a run folder each (`run.RunFolder`)
RUN/stageN/networks.safetensors the networks after the stage, once it is done
RUN/model/                      the model folder: the newest model that can deblur on its own
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from blurdm_cli import zoo
from blurdm_cli.errors import TrainingError
from blurdm_cli.networks.build import build
from blurdm_cli.networks.fusion import widened
from blurdm_cli.spec import ModelSpec
from blurdm_cli.training import ranks
from blurdm_cli.training.card import model_card
from blurdm_cli.training.model import Networks
from blurdm_cli.training.pairs import Batch, Source
from blurdm_cli.training.recipe import Objective, Progress, Recipe
from blurdm_cli.training.run import RunFolder, changes
from blurdm_cli.training.stage1 import OraclePrior, Stage1
from blurdm_cli.training.stage2 import FoundPrior, Stage2
from blurdm_cli.training.stage3 import Stage3, WholeModel
from blurdm_cli.training.trainer import Machine, Trainer

Report = Callable[[str, Progress], None]
"""Called with the stage's name and its progress."""

RECIPES: dict[str, type[Recipe]] = {"stage1": Stage1, "stage2": Stage2, "stage3": Stage3}

OBJECTIVES: dict[str, Callable[[Networks, Any], Objective]] = {
    "stage1": OraclePrior,
    "stage2": FoundPrior,
    "stage3": WholeModel,
}

RESULT = "networks.safetensors"
"""File in a stage's folder with all networks in training, in fp32, once the stage is done."""

SHARES = {"stage1": 0.35, "stage2": 0.2, "stage3": 0.45}
"""Share of each stage in the total time or steps."""


def stages_of(spec: ModelSpec) -> tuple[str, ...]:
    """The stages that a model needs; a model without a prior has no stage 2."""
    return ("stage1", "stage3") if spec.prior.kind == "none" else tuple(RECIPES)


def train(
    recipes: Mapping[str, Recipe],
    spec: ModelSpec,
    source: Source,
    validation: Batch,
    output: Path,
    machine: Machine,
    *,
    start: zoo.Model | None = None,
    report: Report = lambda stage, progress: None,
) -> bool:
    """Train the stages that have a recipe, in order.

    Args:
        recipes: recipes by stage.
        spec: the model to train; its `training` is filled in.
        source: training crops.
        validation: crops to evaluate on.
        output: the run's folder.
        machine: where to compute; its time limit is for all stages together.
        start: a model whose weights the first stage starts from.
        report: called now and then with the progress.

    Returns:
        Whether all stages were completed.

    Raises:
        TrainingError: the stage before the first one has not been trained, or as another
            model, or the folder already holds a run.
        OutputError: the run's folder cannot be created.
        ModelError: the trained weights are not finite in the model's precision.
    """
    first = next(iter(recipes))
    torch.manual_seed(recipes[first].seed)
    networks = Networks(spec)
    begin = partial(_begin, networks, spec, output, first, start)
    history = spec.training | ranks.from_first(begin)
    ranks.copy_from_first(networks)
    for name, recipe in recipes.items():
        run = RunFolder(output / name)
        result = run.folder / RESULT
        begun = {"stage": name, "model": spec.to_json(), **asdict(recipe)}
        done = ranks.from_first(partial(_begin_stage, run, begun, networks, machine.resume))
        if done is not None:
            ranks.copy_from_first(networks)
            history |= done
            continue
        objective = OBJECTIVES[name](networks, recipe)
        tell = partial(report, name)
        last = Trainer(objective, source, validation, recipe, machine, run, tell).fit()
        history[name] = asdict(recipe) | last.outcome()
        if isinstance(objective, WholeModel) and ranks.rank() == 0:
            trained = replace(spec, training=history)
            zoo.write(output / "model", trained, networks.weights(), model_card(trained))
        if last.fraction == 1 and ranks.rank() == 0:
            _save(networks, history, result)
        if last.fraction < 1:
            return False
    return True


def _begin(
    networks: Networks, spec: ModelSpec, output: Path, first: str, start: zoo.Model | None
) -> dict[str, Any]:
    """Load the weights that the first stage starts from; return how they were trained."""
    if start is not None:
        if first == "stage2":
            raise TrainingError(
                "stage2 needs the sharp encoder of stage1, which model folders do not include",
                hint="Run `blurdm train all --from MODEL`;"
                " or, if OUTPUT holds a finished stage1, leave out --from",
            )
        _start_from(networks, spec, start)
        return {}
    order = stages_of(spec)
    place = order.index(first) - 1
    if place < 0:
        return {}
    before = order[place]
    result = output / before / RESULT
    if not result.exists():
        from_model = ", or name a model to start from: --from MODEL"
        raise TrainingError(
            f"{first} starts from {before}, which is not finished: {result} is missing",
            hint="Run `blurdm train all`" + from_model * (first == "stage3"),
        )
    _check_same_model(spec, output / before)
    return _load(networks, result)


def _begin_stage(
    run: RunFolder, begun: Mapping[str, Any], networks: Networks, resume: bool
) -> dict[str, Any] | None:
    """Start a stage's folder; if it is finished, load its networks and return its history."""
    run.start(begun, resume=resume)
    result = run.folder / RESULT
    return _load(networks, result) if resume and result.exists() else None


def _check_same_model(spec: ModelSpec, before: Path) -> None:
    """Refuse to continue from a stage that trained different networks."""
    now, trained = spec.to_json(), RunFolder(before).recipe()["model"]
    parts = ("backbone", "prior", "input_range", "candidates")
    changed = changes({key: now[key] for key in parts}, {key: trained[key] for key in parts})
    if changed:
        raise TrainingError(
            f"{before} was trained with different networks: {', '.join(changed)} differ",
            hint="Use the model options that it was trained with, such as --size",
        )


def _start_from(networks: Networks, spec: ModelSpec, start: zoo.Model) -> None:
    """Load a model's weights; if its prior is different, without the prior and its fusion.

    Weights of additional inputs and outputs of the backbone start at zero.
    """
    state = build(start.spec, start.weights()).state_dict()
    if start.spec.prior != spec.prior:
        state = {
            name: value
            for name, value in state.items()
            if name.startswith("backbone.") and "fusion" not in name.split(".")
        }
    network = networks.network
    network.load_state_dict(widened(state, network))


def _save(networks: Networks, history: dict[str, Any], result: Path) -> None:
    state = {name: value.contiguous() for name, value in networks.state_dict().items()}
    save_file(state, result, metadata={"history": json.dumps(history)})


def _load(networks: Networks, result: Path) -> dict[str, Any]:
    """Load the networks of a stage; return how it and those before it were trained."""
    networks.load_state_dict(load_file(result))
    with safe_open(result, "pt") as file:
        return json.loads(file.metadata()["history"])
