"""An objective that learns one factor, and its crops."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from blurdm_cli.training.pairs import Batch, Order
from blurdm_cli.training.recipe import Objective, Progress, Recipe
from blurdm_cli.training.run import RunFolder
from blurdm_cli.training.trainer import Machine, Trainer

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
    progress = Trainer(objective, source or Crops(), validation, recipe, where, run).fit()
    return progress, objective.state_dict()
