"""The regions of a photo that a motion explains, and a picture of them."""

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.found import Found, Motion
from blurdm_cli.motion.kernel import DELTA, centred, pruned, rescaled, trimmed
from blurdm_cli.motion.windows import Photo, in_unit_range

LOOKED_AT = 1_000_000
"""Pixels that a photo is made smaller to."""

CELLS = 4
"""Regions along the longer side."""

PATH = np.array([255, 210, 40], np.float32)
SHADOW = np.array([20, 20, 20], np.float32)


@dataclass(frozen=True)
class Region:
    """A part of a photo, in pixels, and how sure it is that the motion holds there."""

    top: int
    left: int
    height: int
    width: int
    confidence: float


def regions(photo: Photo, motion: Motion, threads: int = 1) -> list[Region]:
    """Say for each part of a photo how far the motion explains it, row by row."""
    height, width = photo.shape[:2]
    scale = min(1.0, (LOOKED_AT / (height * width)) ** 0.5)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(in_unit_range(photo), size, interpolation=cv2.INTER_AREA)
    found = motion.best
    shown = Motion(_at(motion.linear, scale), _at(motion.encoded, scale), motion.noise)
    planes = make_candidates(small, shown, threads)
    residual = planes[8] if found is motion.linear else planes[9]
    rows, columns = _cells(height, width)
    cells = cv2.resize(residual, (columns, rows), interpolation=cv2.INTER_AREA)
    tops, lefts = (
        np.linspace(0, side, count + 1).round().astype(int).tolist()
        for side, count in ((height, rows), (width, columns))
    )
    return [
        Region(
            tops[row],
            lefts[column],
            tops[row + 1] - tops[row],
            lefts[column + 1] - lefts[column],
            round(found.confidence * float(1 - cells[row, column]), 3),
        )
        for row in range(rows)
        for column in range(columns)
    ]


def as_row(motion: Motion, parts: list[Region]) -> dict[str, Any]:
    """A motion and the regions that it explains, for JSON."""
    row: dict[str, Any] = {"noise": round(motion.noise, 5)}
    row |= {"found": motion.best.kernel.size > 1}
    row |= {"linear": _facts(motion.linear), "encoded": _facts(motion.encoded)}
    return row | {"regions": [asdict(part) for part in parts]}


def _facts(found: Found) -> dict[str, Any] | None:
    """One motion for JSON; None where none was found."""
    if found.kernel.size == 1:
        return None
    return {
        "length": found.length,
        "direction": found.direction,
        "confidence": round(found.confidence, 3),
        "score": round(found.score, 3),
    }


def drawn_path(motion: Motion) -> Float32[np.ndarray, "k k"]:
    """The path as a line, as opaque as the camera stayed long; its middle is the displacement 0."""
    kernel = motion.best.kernel
    strong = np.sqrt(kernel / kernel.max())
    line = cv2.GaussianBlur(np.pad(strong, 4), (0, 0), 0.8)
    return np.clip(line / max(float(line.max()), 1e-6) * 1.5, 0, 1)


def draw(
    photo: UInt8[np.ndarray, "h w 3"], motion: Motion, parts: list[Region]
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the path in the middle of each region, at its true size, as strong as it is sure."""
    picture = photo.copy()
    if motion.best.kernel.size == 1:
        return picture
    line = drawn_path(motion)
    around = np.clip(cv2.dilate(line, np.ones((5, 5), np.uint8)), 0, 1)
    for part in parts:
        share = 0.25 + 0.75 * part.confidence
        middle = (part.top + part.height // 2, part.left + part.width // 2)
        _paint(picture, around * share * 0.7, middle, SHADOW)
        _paint(picture, line * share, middle, PATH)
    return picture


def _paint(
    picture: UInt8[np.ndarray, "h w 3"],
    opacity: Float32[np.ndarray, "k k"],
    middle: tuple[int, int],
    colour: Float32[np.ndarray, "3"],
) -> None:
    """Lay a colour over a picture; what reaches beyond it is left out."""
    here, there = [], []
    for centre, side, extent in zip(middle, opacity.shape, picture.shape, strict=False):
        first = centre - side // 2
        begin, end = max(first, 0), min(first + side, extent)
        here.append(slice(begin, max(end, begin)))
        there.append(slice(begin - first, max(end, begin) - first))
    shown = opacity[there[0], there[1], None]
    below = picture[here[0], here[1]]
    picture[here[0], here[1]] = np.rint(below * (1 - shown) + colour * shown).astype(np.uint8)


def _at(found: Found, scale: float) -> Found:
    """Rescale a motion to a smaller copy of the photo."""
    if scale == 1 or found.kernel.size == 1:
        return found
    kernel = trimmed(centred(pruned(rescaled(found.kernel, scale), 0.03)))
    return Found(kernel if kernel.size > 1 else DELTA, found.score, found.name)


def _cells(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of regions that are about square."""
    longer, shorter = max(height, width), min(height, width)
    across = max(1, round(CELLS * shorter / longer))
    return (across, CELLS) if width >= height else (CELLS, across)
