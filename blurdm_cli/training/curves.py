"""Curves of a training run, drawn with matplotlib: losses, PSNR and rates by step."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from blurdm_cli.files.atomic import atomic_output

SMOOTHING = 0.9
"""Share of the past in the smoothed loss."""


def draw_curves(losses: Path, picture: Path) -> None:
    """Draw the columns of losses.csv as a PNG.

    Raises:
        OutputError: the picture cannot be written.
    """
    with losses.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(8, 10), layout="constrained")
    of_loss, of_psnr, of_rate, of_speed = figure.subplots(4, 1, sharex=True)
    steps, values = _curve(rows, "loss")
    of_loss.plot(steps, values, color="tab:blue", alpha=0.3)
    of_loss.plot(steps, _smoothed(values), color="tab:blue")
    of_loss.set(ylabel="loss", yscale="log" if all(value > 0 for value in values) else "linear")
    of_psnr.plot(*_curve(rows, "psnr_restored"), marker=".", label="restored")
    of_psnr.plot(*_curve(rows, "psnr_blurred"), "--", label="blurred")
    of_psnr.set(ylabel="PSNR in dB")
    of_psnr.legend()
    of_rate.plot(*_curve(rows, "learning_rate"), color="tab:green")
    of_rate.set(ylabel="learning rate")
    of_speed.plot(*_curve(rows, "crops_per_second"), color="tab:gray")
    of_speed.set(ylabel="crops per second", xlabel="step", ylim=(0, None))
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    with atomic_output(picture) as part:
        figure.savefig(part, format="png", dpi=100)


def _curve(rows: Sequence[dict[str, str]], column: str) -> tuple[list[float], list[float]]:
    """Steps and values of the rows that have a finite value in a column."""
    points = [(float(row["step"]), float(row[column])) for row in rows if row.get(column)]
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    return [step for step, _ in finite], [value for _, value in finite]


def _smoothed(values: Sequence[float]) -> list[float]:
    """Exponential mean, which begins with the first value."""
    smoothed = list(values[:1])
    for value in values[1:]:
        smoothed.append(SMOOTHING * smoothed[-1] + (1 - SMOOTHING) * value)
    return smoothed
