"""Recipes of the stages that blurdm train is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blurdm_cli.commands.train_options import RecipeOf, Stage
from blurdm_cli.errors import UsageError

if TYPE_CHECKING:
    from blurdm_cli.spec import ModelSpec
    from blurdm_cli.training.recipe import Recipe


def recipes_for(
    stage: Stage,
    spec: ModelSpec,
    recipe: RecipeOf,
    changed: dict[str, Any],
    step_weight: float,
    steps: int,
    duration: float,
) -> dict[str, Recipe]:
    """Recipes of the stages to train; steps and duration are divided among them.

    Args:
        stage: the stage to train, or all.
        spec: the model.
        recipe: origin of the recipes.
        changed: fields that the options set.
        step_weight: weight of single-step supervision in stage 2.
        steps: optimiser steps of all stages; 0 for those of the recipes.
        duration: seconds of all stages; 0 to count steps.

    Raises:
        UsageError: the model has no such stage, or an option does not fit it, or a batch cannot
            be divided among the processes of the run.
    """
    from blurdm_cli.training.ranks import share_of
    from blurdm_cli.training.recipe import FUSION_RECIPE, ImageRecipe
    from blurdm_cli.training.stages import RECIPES, SHARES, stages_of

    all_stages = stages_of(spec)
    if stage is not Stage.all and stage.value not in all_stages:
        raise UsageError(
            f"A model without a prior has no {stage.value}",
            hint=f"Its stages are {' and '.join(all_stages)}",
        )
    published = _published(spec) if recipe is RecipeOf.paper else {}
    names = all_stages if stage is Stage.all else (stage.value,)
    if step_weight and ("stage2" not in names or spec.prior.kind != "blurdm"):
        raise UsageError(
            "--step-weight is only for stage2 of the prior blurdm", hint="Leave it out"
        )
    whole = sum(SHARES[name] for name in names)
    recipes = {}
    for name in names:
        share = SHARES[name] / whole
        fused = spec.candidates and issubclass(RECIPES[name], ImageRecipe)
        own = dict(FUSION_RECIPE) if fused else {}
        own |= published.get(name, {}) | changed | {"duration": duration * share}
        if steps:
            own["steps"] = max(round(steps * share), 1)
        if name == "stage2":
            own["step_weight"] = step_weight
        recipes[name] = RECIPES[name](**own)
        if recipes[name].crop % spec.multiple_of:
            raise UsageError(f"A crop's side must be a multiple of {spec.multiple_of}")
        share_of(recipes[name].batch)
    return recipes


def _published(spec: ModelSpec) -> dict[str, dict[str, Any]]:
    """Changes to the recipes, by stage, that the backbone's authors published."""
    from blurdm_cli.training.paper_recipes import PUBLISHED

    if spec.backbone.kind not in PUBLISHED:
        raise UsageError(
            f"The backbone {spec.backbone.kind!r} has no published recipe",
            hint=f"--recipe paper is for --backbone {', '.join(PUBLISHED)}",
        )
    return PUBLISHED[spec.backbone.kind]
