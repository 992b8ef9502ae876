"""Scenes with a known motion: leaves of paper on each other, and pages."""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from blurdm_cli.motion.kernel import normalised
from blurdm_cli.motion.light import to_encoded, to_linear
from blurdm_cli.physics.trajectory import random_trajectory


def leaves(side: int = 320, seed: int = 0) -> np.ndarray:
    """Dead leaves: discs of all sizes over each other, as natural scenes' edges are."""
    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), 0.5, np.float32)
    for _ in range(700):
        radius = int(min(2 / max(rng.random(), 0.02), side // 5))
        centre = tuple(int(v) for v in rng.integers(0, side, 2))
        colour = [float(v) for v in rng.uniform(0.02, 0.95, 3)]
        cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA)
    return image


def page(side: int = 320, seed: int = 0) -> np.ndarray:
    """Dark words on white paper."""
    rng = np.random.default_rng(seed)
    sheet = Image.new("RGB", (side, side), (240, 240, 235))
    draw = ImageDraw.Draw(sheet)
    letters = list("abcdefghijklmnopqrstuvwxyzABCDEFGH    ")
    for top in range(4, side, 26):
        draw.text(
            (4, top), "".join(rng.choice(letters, 60)), (20, 20, 30), ImageFont.load_default(18)
        )
    return np.asarray(sheet).astype(np.float32) / 255


def path_kernel(length: float, seed: int = 0) -> np.ndarray:
    """The kernel of a random hand, of about this length in pixels."""
    rng = np.random.default_rng(seed)
    path = random_trajectory(rng, length, 1000.0).centred()
    reach = int(length) // 2 + 4
    return normalised(path.density(reach))


def blurred(scene: np.ndarray, kernel: np.ndarray, *, linear: bool = True) -> np.ndarray:
    """A scene, blurred with a kernel and clipped, without what moves in from outside."""
    light = to_linear(scene) if linear else scene
    turned = np.ascontiguousarray(kernel[::-1, ::-1])
    moved = cv2.filter2D(light, -1, turned, borderType=cv2.BORDER_REFLECT)
    return to_encoded(moved) if linear else np.clip(moved, 0, 1)


def inner(image: np.ndarray, edge: int = 24) -> np.ndarray:
    """An image without its border."""
    return image[edge:-edge, edge:-edge]


def psnr(found: np.ndarray, sharp: np.ndarray, edge: int = 24) -> float:
    """Peak signal-to-noise ratio in dB, without the border."""
    return float(-10 * np.log10(np.mean((inner(found, edge) - inner(sharp, edge)) ** 2)))


def night(
    side: int = 320,
    seed: int = 0,
    width: float = 0.7,
    lights: int = 16,
    powers: tuple[float, float] = (2, 5.5),
    ground: float = 0.04,
) -> np.ndarray:
    """A dark scene with small lights of many brightnesses, in linear light; some exceed white.

    Args:
        side: of the scene, pixels.
        seed: of the places and brightnesses.
        width: standard deviation of the lights, pixels.
        lights: how many there are.
        powers: least and largest logarithm of a light's sum.
        ground: light of what is white in the scene.
    """
    rng = np.random.default_rng(seed)
    scene = np.float32(ground) * to_linear(leaves(side, seed))
    drawn = np.zeros((side, side), np.float32)
    for row, column in rng.integers(20, side - 20, (lights, 2)):
        drawn[row, column] = np.exp(rng.uniform(*powers))
    return scene + cv2.GaussianBlur(drawn, (0, 0), width)[..., None]


def exposed(light: np.ndarray, kernel: np.ndarray, noise: float = 0.002) -> np.ndarray:
    """8-bit photo of a scene in linear light, blurred with a kernel before it is clipped."""
    moved = cv2.filter2D(light, -1, kernel[::-1, ::-1].copy(), borderType=cv2.BORDER_REFLECT)
    encoded = to_encoded(np.float32(moved))
    encoded += noise * np.random.default_rng(0).standard_normal(encoded.shape)
    return np.rint(np.clip(encoded, 0, 1) * 255).astype(np.uint8)
