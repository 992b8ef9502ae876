"""How likely it is that a candidate is nearer to the sharp photo than the others.

The score of a kernel compares kernels of one kind of values. It does not tell whether the blur was
made in linear light or in encoded values, nor whether the best kernel is good enough. What the
candidates look like does: deconvolved in the wrong values, edges between dark and bright parts
ring, on one side more than on the other. So do the kernels: a right one leaves few ripples in the
photo's power spectrum. Twelve small networks turn that into probabilities, and their mean counts.
benchmarks/confidence.py fits them on made crops, whose sharp pictures are known, and prints what
they are worth.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Float32
from safetensors.numpy import load_file

from blurdm_cli.motion.candidates import RESIDUAL_GAIN, Planes, make_candidates
from blurdm_cli.motion.deconvolution import LINEAR_SMOOTHING, smoothing_for
from blurdm_cli.motion.found import LIGHTS, NONE, SHAKEN, Motion
from blurdm_cli.motion.kernel import DELTA, Kernel, NewKernel, breadth, spread
from blurdm_cli.motion.light import LUMA, to_linear
from blurdm_cli.motion.ripples import Ripples
from blurdm_cli.motion.windows import Photo, commonest_share, in_unit_range, window

WEIGHTS = Path(__file__).with_name("confidence.safetensors")

SIDE = 384
"""Side in pixels of the window that is looked at, where it is square; of training crops too."""

TONES = (0.0, 0.15, 0.4, 0.7, 1.01)
"""Borders of the tones that residuals are averaged in."""

FEW = 500
"""Pixels of a tone below which its residual says nothing."""

TINY = 1e-3
"""Added to residuals and differences before their logarithm."""

BELIEVED = 0.6
"""Confidence of both together below which a short path does not count."""

FAR = 4.0
"""Standard deviations from the mean that evidence counts for at most."""

Evidence = Float[np.ndarray, "features"]

Weights = Mapping[str, Float32[np.ndarray, "..."]]


def with_confidence(photo: Photo, motion: Motion, threads: int = 1) -> Motion:
    """A motion with the confidence of both kernels, from the photo's most textured window.

    How much the candidates are smoothed follows from the same window. Short paths that are
    hardly believed are dropped: they are the softness of a sharp photo. What streaks of light show
    has a confidence of its own.

    Args:
        photo: sRGB-encoded.
        motion: what was found in it.
        threads: how many channels are deconvolved side by side; the answer is the same.
    """
    if motion.reach == 1 or motion.best.name == LIGHTS:
        return motion
    rows, columns = window(photo, SIDE * SIDE)
    seen, origin = in_unit_range(photo[rows, columns]), (rows.start, columns.start)
    blurred = seen.transpose(2, 0, 1)
    planes = make_candidates(seen, motion, threads, origin)
    linear, encoded = confidences(blurred, planes, motion)
    smoothing = _smoothing(motion, planes, encoded)
    if smoothing != motion.encoded.smoothing:
        motion = replace(motion, encoded=replace(motion.encoded, smoothing=smoothing))
        again = make_candidates(seen, replace(motion, linear=NONE), threads, origin)
        planes[3:6], planes[9] = again[3:6], again[9]
        linear, encoded = confidences(blurred, planes, motion)
    longest = max(motion.linear.spread, motion.encoded.spread)
    if longest < SHAKEN and linear + encoded < BELIEVED:
        return Motion(noise=motion.noise)
    of_linear = LINEAR_SMOOTHING**linear if motion.linear.spread >= SHAKEN else 1.0
    return replace(
        motion,
        linear=replace(motion.linear, confidence=linear, smoothing=of_linear),
        encoded=replace(motion.encoded, confidence=encoded),
    )


def _smoothing(motion: Motion, planes: Planes, confidence: float) -> float:
    """Smoothing of the encoded candidate: less where it is believed, and the photo is shaken."""
    if motion.encoded.spread < SHAKEN:
        return 1.0
    residual = float(planes[9].mean()) / RESIDUAL_GAIN
    return smoothing_for(residual, motion.noise) ** confidence


def confidences(
    blurred: Float32[np.ndarray, "3 h w"], planes: Planes, motion: Motion
) -> tuple[float, float]:
    """Probability that the linear and that the encoded candidate is nearest to the sharp photo.

    What is missing to 1 is the probability that the blurred photo is. A candidate that is the
    blurred photo, because no motion was found, has none.

    Args:
        blurred: sRGB-encoded, in [0, 1].
        planes: its candidates, see `candidates`; their confidence is not looked at.
        motion: what they were deconvolved with.
    """
    seen = evidence(blurred, planes, motion.linear.kernel, motion.encoded.kernel)
    known = judge(_weights(), seen)
    shares = known[1:] * planes[8:10].any(axis=(1, 2))
    return float(shares[0]), float(shares[1])


@cache
def _weights() -> Weights:
    return load_file(WEIGHTS)


def judge(weights: Weights, found: Evidence) -> Float[np.ndarray, "3"]:
    """Probability of the blurred photo, of the linear and of the encoded candidate.

    Args:
        weights: "mean" and "scale" of the evidence; "hidden" (nets, features, units) and
            "output" (nets, units, 3) with "hidden_bias" and "output_bias".
        found: what `evidence` returns.
    """
    known = np.clip((found - weights["mean"]) / weights["scale"], -FAR, FAR)
    hidden = np.tanh(known @ weights["hidden"] + weights["hidden_bias"])
    scores = np.einsum("nu,nuc->nc", hidden, weights["output"]) + weights["output_bias"]
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return (shares / shares.sum(1, keepdims=True)).mean(0)


def evidence(
    blurred: Float32[np.ndarray, "3 h w"],
    planes: Planes,
    linear_kernel: Kernel,
    encoded_kernel: NewKernel,
) -> Evidence:
    """Measure what the candidates look like beside the blurred photo, and what kernels explain.

    Args:
        blurred: sRGB-encoded, in [0, 1].
        planes: its candidates, see `candidates`.
        linear_kernel: what they were deconvolved with in linear light.
        encoded_kernel: and in encoded values.
    """
    before, linear, encoded = (
        np.tensordot(LUMA, image, 1) for image in (blurred, planes[:3], planes[3:6])
    )
    looks = [_look(grey) for grey in (before, linear, encoded)]
    differences = [
        float(np.log(np.abs(one - other).mean() + TINY))
        for one, other in ((linear, before), (encoded, before), (linear, encoded))
    ]
    return np.concatenate(
        [
            looks[0],
            looks[1] - looks[0],
            looks[2] - looks[0],
            differences,
            *(_residuals(residual, before) for residual in planes[8:10]),
            [commonest_share(before, 1.0), before.mean()],
            _of_kernel(np.tensordot(LUMA, to_linear(blurred), 1), linear_kernel),
            _of_kernel(before, encoded_kernel),
        ]
    )


def _of_kernel(grey: Float32[np.ndarray, "h w"], kernel: Kernel) -> Evidence:
    """Ripples before and after, how far and how broad the path is; NaN for one that is unknown."""
    if not kernel.any():
        return np.full(4, np.nan)
    ripples = Ripples(grey)
    before = ripples.left_by(DELTA)
    shape = np.log([spread(kernel) + 1, breadth(kernel) + 1])
    return np.array([before, ripples.left_by(kernel) - before, *shape])


def _look(grey: Float32[np.ndarray, "h w"]) -> Evidence:
    """Strength and sparsity of edges, fine detail, and shares of black and of white."""
    along, down = np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1]
    edges = np.sqrt(along * along + down * down)
    mean, root = float(edges.mean()) + 1e-5, float(np.sqrt((edges * edges).mean())) + 1e-5
    fine = float(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.5)).mean()) + 1e-5
    shares = (edges < 0.02).mean(), (grey < 1.5 / 255).mean(), (grey > 253.5 / 255).mean()
    lopsided = [_skewness(grey - cv2.GaussianBlur(grey, (0, 0), width)) for width in (1.0, 4.0)]
    return np.array([*np.log([mean, root, fine]), mean / root, *shares, *lopsided])


def _skewness(detail: Float32[np.ndarray, "h w"]) -> float:
    """Whether detail is brighter or darker than its surroundings, between -1 and 1."""
    spread = float(np.sqrt((detail * detail).mean())) + 1e-5
    return float(np.tanh((detail**3).mean() / spread**3 / 4))


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
