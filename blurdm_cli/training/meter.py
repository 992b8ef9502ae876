"""Time and losses of a training run, without waiting for the device at each step."""

import math
import time

import torch
from jaxtyping import Float
from torch import Tensor

from blurdm_cli.errors import TrainingError
from blurdm_cli.training.state import State

PATIENCE = 100
"""Steps in a row that may be skipped because they are not finite."""


class Meter:
    """Time and losses of the steps since the last look."""

    def __init__(self, state: State) -> None:
        self.loss = 0.0
        """Mean of the finite losses at the last look."""
        self.rate = math.nan
        """Crops per second at the last look."""
        self._state, self._batch = state, state.recipe.batch
        self._losses: list[Tensor] = []
        self._in_a_row = 0
        self.start()

    def start(self) -> None:
        """Start the clock, or restart it after work that is not training."""
        self._mark = self._since = time.monotonic()
        self._waiting = 0.0

    def waited(self) -> None:
        """Count the time since the last step as waiting for crops."""
        self._waiting += self._tick()

    def add(self, loss: Float[Tensor, ""]) -> None:
        """Add a step, which the device may not have executed yet."""
        self._losses.append(loss)
        self._tick()

    def look(self) -> dict[str, float]:
        """Wait for the device, and return the fields of losses.csv for the steps.

        Raises:
            TrainingError: `PATIENCE` steps in a row gave nothing finite.
        """
        if not self._losses:
            return {}
        losses = torch.stack(self._losses).tolist()
        self._tick()
        for loss in losses:
            self._in_a_row = 0 if math.isfinite(loss) else self._in_a_row + 1
            self._state.skipped += self._in_a_row > 0
            if self._in_a_row == PATIENCE:
                raise TrainingError(
                    f"{PATIENCE} steps in a row gave no finite loss",
                    hint="Try a lower --learning-rate",
                )
        elapsed = max(self._mark - self._since, 1e-9)
        finite = [loss for loss in losses if math.isfinite(loss)]
        self.loss = sum(finite) / len(finite) if finite else math.nan
        self.rate = len(losses) * self._batch / elapsed
        row = {
            "loss": self.loss,
            "drawing_share": self._waiting / elapsed,
            "crops_per_second": self.rate,
        }
        self._losses.clear()
        self.start()
        return row

    def _tick(self) -> float:
        """Count the time since the last call as training, and return it."""
        now = time.monotonic()
        passed, self._mark = now - self._mark, now
        self._state.seconds += passed
        return passed
