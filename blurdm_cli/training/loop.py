"""The training loop that all three stages share."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.engine.torch_runtime import move
from blurdm_cli.errors import TrainingError
from blurdm_cli.training.metrics import psnr
from blurdm_cli.training.pairs import Batch, Order, Source
from blurdm_cli.training.run import RunFolder

LOG_EVERY = 50
"""Steps between two rows of losses.csv."""

PATIENCE = 100
"""Steps in a row that may be skipped because they are not finite."""


@dataclass(frozen=True)
class Recipe:
    """What every stage asks of the loop."""

    steps: int = 300_000
    """Optimiser steps."""
    duration: float = 0.0
    """Seconds of training, where that is the limit and not `steps`; the learning rate
    then follows the clock. 0 for none."""
    batch: int = 8
    crop: int = 128
    """Side of a training crop in pixels."""
    learning_rate: float = 1e-3
    """The backbone's highest; it rises over the first 2 % of the steps, then falls as a cosine."""
    prior_rate: float = 0.1
    """Learning rate of the encoders, estimators and fusion, as a share of the backbone's.

    A fusion sums as many products as the latent has channels, and multiplies all features
    of a level by the sum: at the backbone's rate it blows up.
    """
    weight_decay: float = 1e-4
    ema_decay: float = 0.999
    gradient_clip: float = 0.5
    """Largest norm of all gradients together."""
    growth: float = 0.0
    """Share of the training over which blurs grow to their full length: short ones teach
    a network that knows nothing much faster. Only for blurs that are made."""
    seed: int = 0
    evaluate_every: int = 2000
    """Steps between two evaluations, each with a checkpoint."""


@dataclass(frozen=True)
class Machine:
    """Where and how to compute; it does not change what is learnt."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bf16: bool = False
    """Compute in bfloat16 what autocast takes as safe."""
    deadline: float = math.inf
    """When `time.monotonic()` reaches this, write a checkpoint and stop, to be resumed."""
    resume: bool = False


@dataclass(frozen=True)
class Progress:
    """How a run is doing."""

    step: int
    fraction: float
    """Of the whole run that is done, in [0, 1]."""
    seconds: float
    """Spent on training so far, resumed runs included."""
    loss: float
    skipped: int
    psnr: tuple[float, float] | None = None
    """Of the blurred and of the restored validation crops in dB, at an evaluation."""

    def outcome(self) -> dict[str, float]:
        """What the model's spec keeps of a finished stage."""
        found: dict[str, float] = {"steps_done": self.step, "seconds": round(self.seconds)}
        if self.psnr:
            found["psnr_blurred"], found["psnr_restored"] = (round(p, 3) for p in self.psnr)
        return found


class Objective(nn.Module, ABC):
    """What a stage trains: networks, some of them frozen, and a loss."""

    partial_steps: int = 0
    """T, where the loss needs the partial exposures."""

    @abstractmethod
    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss of one batch."""

    @abstractmethod
    def restore(self, batch: Batch) -> Float[Tensor, "n 3 h w"]:
        """Restore the blurred crops, as well as this stage can."""


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
    state = _State.start(objective, parameters, recipe)
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


@dataclass
class _State:
    """All that a checkpoint keeps."""

    objective: Objective
    parameters: list[Tensor]
    ema: list[Tensor]
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    skipped: int = 0

    @classmethod
    def start(cls, objective: Objective, parameters: list[Tensor], recipe: Recipe) -> "_State":
        torch.manual_seed(recipe.seed)
        return cls(
            objective,
            parameters,
            ema=[p.detach().clone() for p in parameters],
            optimizer=torch.optim.AdamW(
                _groups(objective, recipe),
                lr=recipe.learning_rate,
                betas=(0.9, 0.99),
                weight_decay=recipe.weight_decay,
                fused=True,
            ),
        )

    def fraction(self, recipe: Recipe) -> float:
        if recipe.duration:
            return min(self.seconds / recipe.duration, 1.0)
        return min(self.step / recipe.steps, 1.0)

    def learning_rate(self, recipe: Recipe) -> float:
        fraction = self.fraction(recipe)
        warm_up = min(fraction / 0.02, 1.0) if fraction else 0.01
        return (
            recipe.learning_rate * warm_up * (0.01 + 0.99 * math.cos(math.pi / 2 * fraction) ** 2)
        )

    def order(self, objective: Objective, recipe: Recipe) -> Order:
        first = self.step * recipe.batch
        grown = min(self.fraction(recipe) / recipe.growth, 1.0) if recipe.growth else 1.0
        return Order(
            count=recipe.batch,
            side=recipe.crop,
            seed=recipe.seed,
            first=first,
            partial_steps=objective.partial_steps,
            reach=max(math.ceil(grown * 16), 1) / 16,
        )

    def row(self, recipe: Recipe) -> dict[str, float]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "learning_rate": self.learning_rate(recipe),
            "skipped": self.skipped,
        }

    def progress(
        self, recipe: Recipe, loss: float, scores: tuple[float, float] | None = None
    ) -> Progress:
        fraction = self.fraction(recipe)
        return Progress(self.step, fraction, self.seconds, loss, self.skipped, scores)

    def save(self) -> dict[str, Any]:
        state = {
            "networks": self.objective.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "torch": torch.get_rng_state(),
            "step": self.step,
            "seconds": self.seconds,
            "skipped": self.skipped,
        }
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state()
        return state

    def load(self, state: dict[str, Any]) -> None:
        self.objective.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema = state["ema"]
        torch.set_rng_state(state["torch"].cpu())
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda"].cpu())
        self.step, self.seconds = state["step"], state["seconds"]
        self.skipped = state["skipped"]


def _groups(objective: Objective, recipe: Recipe) -> list[dict[str, Any]]:
    """The backbone's parameters, and those of the prior, each with its share of the rate."""
    backbone: list[nn.Parameter] = []
    prior: list[nn.Parameter] = []
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            of_prior = {"sharp_encoder", "prior", "fusion"} & set(name.split("."))
            (prior if of_prior else backbone).append(parameter)
    groups = [(backbone, 1.0), (prior, recipe.prior_rate)]
    return [{"params": found, "share": share} for found, share in groups if found]


def _step(
    objective: Objective,
    parameters: list[Tensor],
    state: _State,
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
    state: _State,
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
