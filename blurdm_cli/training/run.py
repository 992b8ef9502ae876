"""The folder of a training run: everything needed to resume it and to see how it went.

recipe.json       the requested recipe
checkpoint.pt     state to resume from: weights, EMA, optimiser, random state
losses.csv        a row every few steps; evaluations fill its last columns
losses.png        its curves, drawn at each evaluation if matplotlib is installed
pictures/         blurred, restored and sharp crops at each evaluation
"""

import csv
import json
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import torch
from jaxtyping import Float
from torch import Tensor

from blurdm_cli.errors import TrainingError
from blurdm_cli.files.atomic import output_error

COLUMNS = (
    "step",
    "seconds",
    "loss",
    "learning_rate",
    "drawing_share",
    "crops_per_second",
    "skipped",
    "psnr_blurred",
    "psnr_restored",
    "dead_share",
)


class RunFolder:
    """Folder of one stage of a training run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def start(self, recipe: Mapping[str, Any], *, resume: bool) -> None:
        """Create the folder and write the recipe.

        Raises:
            TrainingError: the folder already holds a run and `resume` is not set, or its
                recipe is different.
            OutputError: the folder cannot be created.
        """
        if self.checkpoint.exists():
            if not resume:
                raise TrainingError(
                    f"{self.folder} already holds a run",
                    hint="Add --resume to continue it, or choose another --output",
                )
            if changed := changes(recipe, self.recipe()):
                raise TrainingError(
                    f"The run in {self.folder} has a different recipe: {', '.join(changed)}",
                    hint="Resume with the options that it was started with",
                )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(self.folder, error) from error
        self._recipe.write_text(json.dumps(recipe, indent=2) + "\n")

    def recipe(self) -> dict[str, Any]:
        """The recipe that the run was last started with."""
        return json.loads(self._recipe.read_text())

    @property
    def _recipe(self) -> Path:
        return self.folder / "recipe.json"

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint; the old one stays until the new one is complete."""
        partial = self.checkpoint.with_suffix(".pt.part")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)

    def load(self) -> dict[str, Any] | None:
        """Read the checkpoint, and delete later rows of losses.csv; None without a checkpoint."""
        if not self.checkpoint.exists():
            return None
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self._forget_after(state["step"])
        return state

    def log(self, row: Mapping[str, float]) -> None:
        """Add a row to losses.csv; missing `COLUMNS` stay empty."""
        new = not self._losses.exists()
        with self._losses.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow({key: f"{value:.6g}" for key, value in row.items()})

    def draw(self) -> None:
        """Draw losses.csv as losses.png, if matplotlib is installed.

        Raises:
            OutputError: it cannot be written.
        """
        if find_spec("matplotlib"):
            from blurdm_cli.training.curves import draw_curves

            draw_curves(self._losses, self.folder / "losses.png")

    @property
    def _losses(self) -> Path:
        return self.folder / "losses.csv"

    def picture(self, step: int, rows: Float[Tensor, "rows columns 3 h w"]) -> None:
        """Write a grid of pictures, one PNG per evaluation."""
        folder = self.folder / "pictures"
        folder.mkdir(exist_ok=True)
        grid = rows.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
        pixels = (grid.float().clamp(0, 1) * 255).round().byte().cpu().numpy()
        cv2.imwrite(str(folder / f"{step:07d}.png"), pixels[..., ::-1])

    def _forget_after(self, step: int) -> None:
        if self._losses.exists():
            header, *rows = self._losses.read_text().splitlines(keepends=True)
            kept = [row for row in rows if float(row.split(",", 1)[0]) <= step]
            self._losses.write_text("".join([header, *kept]))


def changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """List what differs between a recipe and an earlier one that was read, as `part.key`.

    Fields that a newer version added to recipes do not count.
    """
    return list(_changes(json.loads(json.dumps(now)), before))


def _changes(now: Any, before: Any, name: str = "") -> Iterator[str]:
    if isinstance(now, dict) and isinstance(before, dict):
        for key in before:
            yield from _changes(now.get(key), before[key], f"{name}.{key}" if name else key)
    elif now != before:
        yield name
