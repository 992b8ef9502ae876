"""How likely it is that a candidate is nearer to the sharp photo than the others.

The score of a kernel compares kernels of one kind of values. It does not tell whether the blur was
made in linear light or in encoded values, nor whether the best kernel is good enough. What the
candidates look like does: deconvolved in the wrong values, edges between dark and bright parts
ring. A multinomial logistic regression turns that into probabilities. benchmarks/confidence.py
fits it on made crops, whose sharp pictures are known, and prints what it is worth.
"""

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Float32

from blurdm_cli.motion.candidates import Planes, make_candidates
from blurdm_cli.motion.found import Motion
from blurdm_cli.motion.light import LUMA
from blurdm_cli.motion.windows import Photo, in_unit_range, window

WEIGHTS = Path(__file__).with_name("confidence.json")

SIDE = 384
"""Side in pixels of the window that is looked at, where it is square; of training crops too."""

TONES = (0.0, 0.15, 0.4, 0.7, 1.01)
"""Borders of the tones that residuals are averaged in."""

FEW = 500
"""Pixels of a tone below which its residual says nothing."""

TINY = 1e-3
"""Added to residuals and differences before their logarithm."""

Evidence = Float[np.ndarray, "features"]


def with_confidence(photo: Photo, motion: Motion, threads: int = 1) -> Motion:
    """A motion with the confidence of both kernels, from the photo's most textured window.

    Args:
        photo: sRGB-encoded.
        motion: what was found in it.
        threads: how many channels are deconvolved side by side; the answer is the same.
    """
    if motion.reach == 1:
        return motion
    rows, columns = window(photo, SIDE * SIDE)
    seen = in_unit_range(photo[rows, columns])
    planes = make_candidates(seen, motion, threads, (rows.start, columns.start))
    linear, encoded = confidences(seen.transpose(2, 0, 1), planes)
    return replace(
        motion,
        linear=replace(motion.linear, confidence=linear),
        encoded=replace(motion.encoded, confidence=encoded),
    )


def confidences(blurred: Float32[np.ndarray, "3 h w"], planes: Planes) -> tuple[float, float]:
    """Probability that the linear and that the encoded candidate is nearest to the sharp photo.

    What is missing to 1 is the probability that the blurred photo is. A candidate that is the
    blurred photo, because no motion was found, has none.

    Args:
        blurred: sRGB-encoded, in [0, 1].
        planes: its candidates, see `candidates`; their confidence is not looked at.
    """
    scores = _weights() @ np.append(evidence(blurred, planes), 1)
    shares = np.exp(scores - scores.max())
    shares = shares[1:] / shares.sum() * planes[8:10].any(axis=(1, 2))
    return float(shares[0]), float(shares[1])


@cache
def _weights() -> Float[np.ndarray, "3 terms"]:
    """Of the blurred photo, the linear and the encoded candidate; the last is the constant."""
    return np.array(json.loads(WEIGHTS.read_text())["weights"])


def evidence(blurred: Float32[np.ndarray, "3 h w"], planes: Planes) -> Evidence:
    """What the candidates look like, beside the blurred photo.

    Args:
        blurred: sRGB-encoded, in [0, 1].
        planes: its candidates, see `candidates`.
    """
    before, linear, encoded = (
        np.tensordot(LUMA, image, 1) for image in (blurred, planes[:3], planes[3:6])
    )
    looks = [_look(grey) for grey in (before, linear, encoded)]
    differences = [
        float(np.log(np.abs(one - other).mean() + TINY))
        for one, other in ((linear, before), (encoded, before), (linear, encoded))
    ]
    counts, _ = np.histogram(before, 50, (0, 1))
    most = int(counts.argmax())
    page = counts[max(most - 1, 0) : most + 2].sum() / before.size
    return np.concatenate(
        [
            looks[0],
            looks[1] - looks[0],
            looks[2] - looks[0],
            differences,
            *(_residuals(residual, before) for residual in planes[8:10]),
            [page, before.mean()],
        ]
    )


def _look(grey: Float32[np.ndarray, "h w"]) -> Evidence:
    """Strength and sparsity of edges, fine detail, and shares of black and of white."""
    along, down = np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1]
    edges = np.sqrt(along * along + down * down)
    mean, root = float(edges.mean()) + 1e-5, float(np.sqrt((edges * edges).mean())) + 1e-5
    fine = float(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.5)).mean()) + 1e-5
    shares = (edges < 0.02).mean(), (grey < 1.5 / 255).mean(), (grey > 253.5 / 255).mean()
    return np.array([*np.log([mean, root, fine]), mean / root, *shares])


def _residuals(
    residual: Float32[np.ndarray, "h w"], before: Float32[np.ndarray, "h w"]
) -> Evidence:
    """The mean residual, and how it is spread over the tones and over the photo."""
    mean = float(residual.mean()) + TINY
    tones = [(before >= low) & (before < high) for low, high in pairwise(TONES)]
    relative = [
        float(residual[tone].mean() + TINY) / mean if tone.sum() > FEW else 1.0 for tone in tones
    ]
    spread = (np.quantile(residual, [0.5, 0.9]) + TINY) / mean
    return np.log([mean, *relative, *spread])
