"""The training loop that all three stages share."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from blurdm_cli.engine.torch_runtime import move
from blurdm_cli.errors import TrainingError
from blurdm_cli.training.metrics import psnr
from blurdm_cli.training.pairs import Batch, Source
from blurdm_cli.training.recipe import Objective, Progress, Recipe
from blurdm_cli.training.run import RunFolder
from blurdm_cli.training.state import State

LOG_EVERY = 50
"""Steps between two rows of losses.csv."""

PATIENCE = 100
"""Steps in a row that may be skipped because they are not finite."""


@dataclass(frozen=True)
class Machine:
    """Where and how to compute; it does not change what is learnt."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bf16: bool = False
    """Compute in bfloat16 what autocast takes as safe."""
    deadline: float = math.inf
    """When `time.monotonic()` reaches this, write a checkpoint and stop, to be resumed."""
    resume: bool = False


def fit(
    objective: Objective,
    source: Source,
    validation: Batch,
    recipe: Recipe,
    machine: Machine,
    run: RunFolder,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train until the recipe or the deadline ends it; then the weights are their EMA's.

    A step whose loss or gradients are not finite is skipped and counted.

    Returns:
        How it went, with the last evaluation; its fraction is below 1 where the
        deadline came first.

    Raises:
        TrainingError: the run cannot start here, or goes on giving nothing finite.
    """
    move(objective, machine.device)
    parameters: list[Tensor] = [p for p in objective.parameters() if p.requires_grad]
    state = State.start(objective, parameters, recipe)
    if machine.resume and (saved := run.load(machine.device)):
        state.load(saved)
    in_a_row, losses = 0, [0.0]
    drawing, since = 0.0, time.monotonic()
    try:
        while state.fraction(recipe) < 1 and time.monotonic() < machine.deadline:
            begin = time.monotonic()
            batch = source.draw(state.order(objective, recipe))
            drawing += time.monotonic() - begin
            loss = _step(objective, parameters, state, batch, recipe, machine)
            in_a_row = 0 if math.isfinite(loss) else in_a_row + 1
            if in_a_row == PATIENCE:
                raise TrainingError(
                    f"{PATIENCE} steps in a row gave no finite loss",
                    hint="Try a lower --learning-rate",
                )
            state.seconds += time.monotonic() - begin
            losses.append(loss)
            if state.step % LOG_EVERY == 0:
                mean = float(np.nanmean(losses[-LOG_EVERY:]))
                row = state.row(recipe) | {"loss": mean}
                row["drawing_share"] = drawing / (time.monotonic() - since)
                drawing, since, losses = 0.0, time.monotonic(), [mean]
                run.log(row)
                report(state.progress(recipe, mean))
            if state.step % recipe.evaluate_every == 0:
                _evaluate(objective, validation, state, recipe, machine, run, report)
                run.save(state.save())
                since = time.monotonic()
    finally:
        run.save(state.save())
    last = _evaluate(objective, validation, state, recipe, machine, run, report)
    with torch.no_grad():
        torch._foreach_copy_(parameters, state.ema)
    return last


def _step(
    objective: Objective,
    parameters: list[Tensor],
    state: State,
    batch: Batch,
    recipe: Recipe,
    machine: Machine,
) -> float:
    """Take one optimiser step, unless something is not finite, and return the loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = state.learning_rate(recipe) * group["share"]
    with torch.autocast(machine.device.type, torch.bfloat16, enabled=machine.bf16):
        loss = objective.loss(batch)
    state.optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(parameters, recipe.gradient_clip)
    state.step += 1
    value = loss.item() + 0 * norm.item()
    if not math.isfinite(value):
        state.skipped += 1
        return math.nan
    state.optimizer.step()
    decay = min(recipe.ema_decay, (1 + state.step) / (10 + state.step))
    torch._foreach_lerp_(state.ema, [p.detach() for p in parameters], 1 - decay)
    return value


@contextmanager
def _averaged(parameters: list[Tensor], ema: list[Tensor]) -> Iterator[None]:
    """Run a block with the parameters' EMA in their place."""
    kept = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        torch._foreach_copy_(parameters, ema)
        try:
            yield
        finally:
            torch._foreach_copy_(parameters, kept)


def _evaluate(
    objective: Objective,
    validation: Batch,
    state: State,
    recipe: Recipe,
    machine: Machine,
    run: RunFolder,
    report: Callable[[Progress], None],
) -> Progress:
    """Measure the EMA's weights on the validation crops; training's random state is kept."""
    restored = []
    with (
        torch.random.fork_rng(),
        _averaged(state.parameters, state.ema),
        torch.autocast(machine.device.type, torch.bfloat16, enabled=machine.bf16),
    ):
        torch.manual_seed(0)
        for blurred, sharp in zip(
            validation.blurred.split(8), validation.sharp.split(8), strict=True
        ):
            restored.append(objective.restore(Batch(blurred, sharp)).float().clamp(0, 1))
    blurred, sharp, found = validation.blurred, validation.sharp, torch.cat(restored)
    scores = (psnr(blurred, sharp).mean().item(), psnr(found, sharp).mean().item())
    run.log(state.row(recipe) | {"psnr_blurred": scores[0], "psnr_restored": scores[1]})
    run.picture(state.step, torch.stack([blurred, found, sharp], dim=1)[:6])
    progress = state.progress(recipe, math.nan, scores)
    report(progress)
    return progress
