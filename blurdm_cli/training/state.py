"""State of a training run: everything that changes from step to step, as in a checkpoint."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from blurdm_cli.training import ranks
from blurdm_cli.training.pairs import Order
from blurdm_cli.training.recipe import Objective, Progress, Recipe


@dataclass
class State:
    """Everything that a checkpoint holds, and the objective and recipe that it belongs to."""

    objective: Objective
    recipe: Recipe
    parameters: list[Tensor]
    """The parameters in training."""
    ema: list[Tensor]
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    skipped: int = 0

    @classmethod
    def start(cls, objective: Objective, recipe: Recipe) -> "State":
        torch.manual_seed(recipe.seed)
        parameters: list[Tensor] = [p for p in objective.parameters() if p.requires_grad]
        return cls(
            objective,
            recipe,
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

    def fraction(self, step: int | None = None) -> float:
        """Share of the run that is done, now or before `step`; with a time limit, always now."""
        if self.recipe.duration:
            return min(self.seconds / self.recipe.duration, 1.0)
        return min((self.step if step is None else step) / self.recipe.steps, 1.0)

    def learning_rate(self) -> float:
        fraction = self.fraction()
        warm_up = min(fraction / 0.02, 1.0) if fraction else 0.01
        falling = 0.01 + 0.99 * math.cos(math.pi / 2 * fraction) ** 2
        return self.recipe.learning_rate * warm_up * falling

    def set_learning_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate() * group["share"]

    def order(self, step: int, steps: int = 1) -> Order:
        """Order of this rank's crops for `steps` steps, beginning with `step`."""
        recipe = self.recipe
        grown = min(self.fraction(step) / recipe.growth, 1.0) if recipe.growth else 1.0
        return Order(
            count=recipe.batch * steps,
            side=recipe.crop,
            seed=seed_of(recipe),
            first=step * recipe.batch,
            partial_steps=self.objective.partial_steps,
            reach=max(math.ceil(grown * 16), 1) / 16,
            only=ranks.shares(recipe.batch, steps),
        )

    def row(self) -> dict[str, float]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "learning_rate": self.learning_rate(),
            "skipped": self.skipped,
        }

    def progress(
        self,
        loss: float,
        scores: tuple[float, float] | None = None,
        rate: float = math.nan,
    ) -> Progress:
        fraction = self.fraction()
        return Progress(self.step, fraction, self.seconds, loss, self.skipped, scores, rate)

    @torch.no_grad()
    def average(self) -> None:
        """Set the parameters to their EMA."""
        torch._foreach_copy_(self.parameters, self.ema)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Run a block with the parameters replaced by their EMA, and without gradients."""
        kept = [p.detach().clone() for p in self.parameters]
        with torch.no_grad():
            self.average()
            try:
                yield
            finally:
                torch._foreach_copy_(self.parameters, kept)

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
        device = self.parameters[0].device
        if device.type != "cpu":
            state["device"] = torch.get_device_module(device).get_rng_state(device)
        return state

    def load(self, state: dict[str, Any]) -> None:
        self.objective.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema = [value.to(self.parameters[0].device) for value in state["ema"]]
        torch.set_rng_state(state["torch"].cpu())
        device = self.parameters[0].device
        if "device" in state and device.type != "cpu":
            torch.get_device_module(device).set_rng_state(state["device"].cpu(), device)
        self.step, self.seconds = state["step"], state["seconds"]
        self.skipped = state["skipped"]


def seed_of(recipe: Recipe, purpose: str = "training") -> int:
    """Seed for the crops of a stage; other stages and purposes get others from the same seed."""
    return zlib.crc32(f"{type(recipe).__name__} {purpose} {recipe.seed}".encode())


OF_PRIOR = {"sharp_encoder", "motion_encoder", "motion_head", "prior", "fusion"}
"""Modules that learn at the rate of the prior."""


def _groups(objective: Objective, recipe: Recipe) -> list[dict[str, Any]]:
    """Group parameters by their share of the learning rate: for the prior, and for wide layers."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            share = recipe.prior_rate if OF_PRIOR & set(name.split(".")) else 1.0
            inputs = _inputs(objective.get_submodule(name.rpartition(".")[0]), parameter)
            if recipe.full_rate_inputs:
                share *= min(recipe.full_rate_inputs / inputs, 1.0)
            groups.setdefault(share, []).append(parameter)
    return [{"params": found, "share": share} for share, found in groups.items()]


def _inputs(layer: nn.Module, parameter: nn.Parameter) -> float:
    """Number of weighted values summed in an output of a layer; 1 for a bias and the like."""
    if parameter.dim() < 2:
        return 1
    if isinstance(layer, nn.ConvTranspose2d):  # each output depends on one place per stride
        return parameter[:, 0].numel() / math.prod(layer.stride)
    return parameter[0].numel()
