"""State of a training run: everything that changes from step to step, as in a checkpoint."""

import math
import zlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from blurdm_cli.training.pairs import Order
from blurdm_cli.training.recipe import Objective, Progress, Recipe


@dataclass
class State:
    """Everything that a checkpoint holds."""

    objective: Objective
    parameters: list[Tensor]
    ema: list[Tensor]
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    skipped: int = 0

    @classmethod
    def start(cls, objective: Objective, parameters: list[Tensor], recipe: Recipe) -> "State":
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

    def fraction(self, recipe: Recipe, step: int | None = None) -> float:
        """Share of the run that is done, now or before `step`; with a time limit, always now."""
        if recipe.duration:
            return min(self.seconds / recipe.duration, 1.0)
        return min((self.step if step is None else step) / recipe.steps, 1.0)

    def learning_rate(self, recipe: Recipe) -> float:
        fraction = self.fraction(recipe)
        warm_up = min(fraction / 0.02, 1.0) if fraction else 0.01
        return (
            recipe.learning_rate * warm_up * (0.01 + 0.99 * math.cos(math.pi / 2 * fraction) ** 2)
        )

    def order(self, recipe: Recipe, step: int, steps: int = 1) -> Order:
        """Order of the crops for `steps` steps, beginning with `step`."""
        grown = min(self.fraction(recipe, step) / recipe.growth, 1.0) if recipe.growth else 1.0
        return Order(
            count=recipe.batch * steps,
            side=recipe.crop,
            seed=seed_of(recipe),
            first=step * recipe.batch,
            partial_steps=self.objective.partial_steps,
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
        self,
        recipe: Recipe,
        loss: float,
        scores: tuple[float, float] | None = None,
        rate: float = math.nan,
    ) -> Progress:
        fraction = self.fraction(recipe)
        return Progress(self.step, fraction, self.seconds, loss, self.skipped, scores, rate)

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
        self.ema = state["ema"]
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
