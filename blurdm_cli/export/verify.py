"""Check that a graph matches its model. Both get the same tiles and the same noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from blurdm_cli.engine.candidates import with_candidates
from blurdm_cli.engine.onnx_runtime import OnnxRuntime
from blurdm_cli.engine.torch_runtime import TorchRuntime
from blurdm_cli.errors import VerificationError
from blurdm_cli.spec import CANDIDATE_PLANES
from blurdm_cli.zoo import Model

LARGEST_DIFFERENCE = {"fp32": 1e-4}
"""Largest allowed difference of two values in [0, 1], by the graph's precision."""

LEAST_PSNR = {"fp16": 50.0, "int8": 45.0}
"""Lowest allowed PSNR of the two outputs in dB, by the graph's precision."""

PATTERN_CONTRAST = 0.1
"""Amplitude of stripes and checkerboards. Above it, models may amplify any difference."""


@dataclass(frozen=True)
class Agreement:
    """Difference between graph and model on one input."""

    what: str
    largest: float
    """Largest absolute difference of values in [0, 1]."""
    mean: float
    """Mean absolute difference."""
    psnr: float
    """In dB; infinite if all values are equal."""

    def within(self, precision: str) -> bool:
        """Whether a graph of this precision may differ by this much."""
        largest = LARGEST_DIFFERENCE.get(precision, np.inf)
        return self.largest <= largest and self.psnr >= LEAST_PSNR.get(precision, 0)


def verify(
    model: Model,
    graph: Path,
    photo: UInt8[np.ndarray, "height width 3"],
    size: tuple[int, int] | None = None,
) -> list[Agreement]:
    """Run the model in fp32 and the graph in its own precision on the CPU, and compare them.

    Args:
        model: the model that the graph was exported from.
        graph: file of the graph.
        photo: sRGB, at least as large as the model's `multiple_of`.
        size: the only height and width that the graph takes, if they are fixed.

    Returns:
        The agreement on noise of three sizes (including the size of the model's tile), or
        three times of the fixed size, on stripes and a checkerboard, and on the middle of the
        photo. An int8 graph is calibrated only for photos: it gets the photo in the three
        sizes instead of noise and patterns.

    Raises:
        VerificationError: they differ by more than is allowed.
        ModelError: the graph cannot be opened.
    """
    exact, tried = TorchRuntime(model, "cpu", "fp32"), OnnxRuntime(graph, "cpu")
    found = []
    for what, blurred in _inputs(model, tried.precision, photo, size):
        rng = np.random.default_rng(0)
        if model.spec.candidates:
            photo_like = what.startswith("the photo")
            blurred = with_candidates(blurred) if photo_like else _with_planes(blurred, rng)
        noise = rng.standard_normal((len(blurred), model.spec.prior_channels)).astype(np.float32)
        wanted, got = exact.restore(blurred, noise), tried.restore(blurred, noise)
        found.append(compare(what, wanted, got))
    return check(found, tried.precision)


def check(agreements: list[Agreement], precision: str) -> list[Agreement]:
    """Return the agreements of a graph of this precision, if all are within what is allowed.

    Raises:
        VerificationError: one is not.
    """
    bad = [agreement for agreement in agreements if not agreement.within(precision)]
    if bad:
        raise VerificationError(
            f"The {precision} graph does not match the model: on {bad[0].what} they differ by"
            f" up to {bad[0].largest:.2g}, {bad[0].psnr:.1f} dB",
            hint="Nothing was written. Try --precision fp32, or more photos for --int8",
        )
    return agreements


def _inputs(
    model: Model,
    precision: str,
    photo: UInt8[np.ndarray, "height width 3"],
    size: tuple[int, int] | None,
) -> Iterator[tuple[str, Float32[np.ndarray, "n 3 h w"]]]:
    multiple_of, tile = model.spec.multiple_of, model.spec.tile
    rng = np.random.default_rng(1)
    small, wide = 4 * multiple_of, tile + multiple_of
    for height, width in [size] * 3 if size else [(small, small), (tile, tile), (small, wide)]:
        if precision == "int8":
            yield f"the photo {height}x{width}", middle(photo, height, width)
        else:
            count = 1 if size else 2
            yield f"noise {height}x{width}", rng.random((count, 3, height, width), np.float32)
    if precision != "int8":
        yield from _patterns(*size or (tile, tile))
    if size is None:
        height, width = (
            min(2 * tile, side) // multiple_of * multiple_of for side in photo.shape[:2]
        )
        yield f"the photo {height}x{width}", middle(photo, height, width)
    elif precision != "int8":
        yield f"the photo {size[0]}x{size[1]}", middle(photo, *size)


def _patterns(height: int, width: int) -> Iterator[tuple[str, Float32[np.ndarray, "1 3 h w"]]]:
    """Patterns with all their power in one frequency, where sums are largest."""
    rows, columns = np.mgrid[:height, :width]
    for what, wave in (
        ("stripes", np.sin(np.pi / 2 * columns)),
        ("a checkerboard", (-1.0) ** (rows + columns)),
    ):
        pattern = np.tile(0.5 + PATTERN_CONTRAST * wave, (1, 3, 1, 1))
        yield f"{what} {height}x{width}", pattern.astype(np.float32)


def _with_planes(
    tiles: Float32[np.ndarray, "n 3 h w"], rng: np.random.Generator
) -> Float32[np.ndarray, "n planes h w"]:
    """Append random planes in the range of candidates to tiles, without running the estimator."""
    count, _, height, width = tiles.shape
    candidates = rng.random((count, CANDIDATE_PLANES, height, width), np.float32)
    candidates[:, :3] = tiles**1.2
    candidates[:, 3:6] = tiles**0.8
    return np.concatenate([tiles, candidates], axis=1)


def middle(
    photo: UInt8[np.ndarray, "rows columns 3"], height: int, width: int
) -> Float32[np.ndarray, "1 3 {height} {width}"]:
    """Cut the middle of a photo as a tile in [0, 1], mirrored beyond the photo's edges."""
    rows, columns = photo.shape[:2]
    pad = ((0, max(height - rows, 0)), (0, max(width - columns, 0)), (0, 0))
    full = np.pad(photo, pad, mode="symmetric")
    top, left = max(rows - height, 0) // 2, max(columns - width, 0) // 2
    tile = full[top : top + height, left : left + width].transpose(2, 0, 1)
    return np.ascontiguousarray(tile[None], dtype=np.float32) / 255


def compare(
    what: str, wanted: Float32[np.ndarray, "n 3 h w"], got: Float32[np.ndarray, "n 3 h w"]
) -> Agreement:
    """The difference between two results."""
    difference = np.abs(wanted.astype(np.float64) - got)
    squared = float((difference**2).mean())
    psnr = float("inf") if squared == 0 else -10 * float(np.log10(squared))
    return Agreement(what, float(difference.max()), float(difference.mean()), psnr)
