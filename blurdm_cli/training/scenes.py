"""Scenes of crops with candidates: photos, pages or frames, blurred along known paths."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from blurdm_cli.motion.focus import disc
from blurdm_cli.motion.kernel import Kernel
from blurdm_cli.physics.camera import lift_highlights, srgb_to_linear, tone_curve
from blurdm_cli.physics.exposure import MovingObjects, average, expose, masks, random_outline
from blurdm_cli.physics.trajectory import Trajectory, random_trajectory
from blurdm_cli.training.lamps import at_night
from blurdm_cli.training.pages import random_page
from blurdm_cli.training.pairs import random_square
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.synthesis import MARGIN, Synthesis


@dataclass(frozen=True)
class Exposed:
    """How a scene was blurred by a path of its own; nothing else moved."""

    path: Trajectory
    page: bool
    encoded: bool
    frames: int | None
    """The number of encoded frames that it is the average of; None for very many."""
    diameter: float | None = None
    """Diameter in pixels of the disc that a point becomes out of focus; the camera is at rest."""
    softness: float = 0.0
    """Standard deviation in pixels of the lens's own blur, which the sharp scene has, too."""

    def kernel(self, reach: int) -> Kernel:
        """The kernel in the middle of the scene, up to `reach` pixels away."""
        if self.diameter:
            return disc(self.diameter)
        return self.path.density(reach)[::-1, ::-1]  # the scene moves against the camera


@dataclass(frozen=True)
class CandidateRecipe:
    """What the crops are like. Shares are of all, in [0, 1]; lengths in pixels."""

    side: int = 384
    frames_share: float = 0.1
    """Averages of consecutive frames, where there are any."""
    page_share: float = 0.1
    near_share: float = 0.15
    """Crops that are sharp, or nearly."""
    shortest: float = 3.0
    longest: float = 100.0
    """All lengths between are equally likely on a logarithmic scale."""
    still_share: float = 0.1
    """Crops that nothing moved in and that stay as they are, however soft the lens."""
    softest: float = 1.5
    """Largest standard deviation of a lens's own blur in these."""
    focus_share: float = 0.07
    """Crops out of focus."""
    widest: float = 45.0
    """Largest disc of a point out of focus."""
    encoded_share: float = 0.45
    """Blur made in encoded values."""
    curve_share: float = 0.4
    """Share of the blur made in linear light that a camera then renders with tones of its own."""
    object_share: float = 0.25
    night_share: float = 0.1
    """Share of the blur made in linear light that is at night, with lamps."""
    highlight_share: float = 0.2
    h264_share: float = 0.1
    known_share: float = 0.5
    """Crops whose path is not estimated but known, roughened as estimated ones are. They show what
    estimates of larger photos are like, which are right more often than those of crops."""
    wrong_share: float = 0.04
    """Crops with a wrong kernel that is taken for a good one."""
    develop: Synthesis = field(
        default_factory=lambda: Synthesis(
            noise_share=0.6, shot_noise=(-4.7, -3.2), read_noise=(-4.0, -2.8), jpeg_share=0.45
        )
    )
    """With less noise than networks alone are trained with: where it hides the motion, the crop
    teaches little."""


class Scenes:
    """Draws scenes and blurs them, in linear light or in encoded values."""

    def __init__(
        self,
        photos: PhotoCrops,
        frames: UInt8[Tensor, "n 3 h w"] | None,
        objects: list[UInt8[np.ndarray, "_ _ 4"]],
        recipe: CandidateRecipe,
    ) -> None:
        """Set up.

        Args:
            photos: where scenes come from.
            frames: consecutive sharp frames of a high-speed camera.
            objects: cut-outs of things, RGB and opacity.
            recipe: what the crops are like.
        """
        self.photos, self.frames, self.objects, self.recipe = photos, frames, objects, recipe

    def draw(
        self, rng: np.random.Generator, like: Exposed | None = None
    ) -> tuple[Float[Tensor, "2 3 side side"], Exposed | None]:
        """A sharp and a blurred scene in linear light, and how it was blurred.

        Args:
            rng: decides everything.
            like: how to blur it; None for a path of its own.

        Returns:
            Both, and None instead of the latter if frames were averaged or something moved by
            itself.
        """
        if like is None and self.frames is not None and rng.random() < self.recipe.frames_share:
            return self._from_frames(rng, self.frames), None
        return self._expose(rng, like)

    def _from_frames(
        self, rng: np.random.Generator, frames: UInt8[Tensor, "n 3 h w"]
    ) -> Float[Tensor, "2 3 side side"]:
        """The middle frame and the average of some, in linear light."""
        count = int(rng.integers(1, min(14, len(frames)) + 1))
        first = int(rng.integers(len(frames) - count + 1))
        some = frames[first : first + count]
        crop = some[random_square(some, rng, self.recipe.side)] / 255
        middle = srgb_to_linear(crop[count // 2])
        if rng.random() < 0.4:
            return torch.stack([middle, average(srgb_to_linear(crop))])
        return torch.stack([middle, srgb_to_linear(average(crop))])

    def _expose(
        self, rng: np.random.Generator, like: Exposed | None
    ) -> tuple[Float[Tensor, "2 3 side side"], Exposed | None]:
        """A sharp and a blurred scene in linear light, and how, if nothing moved by itself."""
        recipe = self.recipe
        side, extent = recipe.side, recipe.side + 2 * MARGIN
        how = like or self.exposure(rng)
        if how.page:
            drawn = random_page(rng, extent, extent)
            scene = torch.from_numpy(drawn).permute(2, 0, 1).float() / 255
        else:
            scene = self.photos.scene(rng, extent)
        light = _softened(self._light(rng, scene, encoded=how.encoded), how.softness)
        things = None
        alone = like or how.page or how.diameter or how.softness
        if not alone and rng.random() < recipe.object_share:
            if rng.random() < 0.3:  # a tripod
                how = replace(how, path=how.path.scaled(0.0))
            things = self._thing(rng, extent, encoded=how.encoded)
        exposed = expose(light[None], [how.path], (side, side), things=things, frames=[how.frames])
        exposed = exposed[:, 0]
        if how.diameter:
            middle = slice(MARGIN, MARGIN + side)
            exposed[1] = _out_of_focus(light, how.diameter)[:, middle, middle]
        if how.encoded:
            exposed = srgb_to_linear(exposed.clamp(0, 1))
        elif rng.random() < recipe.curve_share:
            gamma = float(np.exp(rng.uniform(-0.25, 0.25)))
            exposed = tone_curve(exposed, float(rng.random()), gamma)
        return exposed, None if things else how

    def exposure(self, rng: np.random.Generator) -> Exposed:
        """Draw how a scene is blurred."""
        recipe = self.recipe
        page, encoded = rng.random() < recipe.page_share, rng.random() < recipe.encoded_share
        frames = int(rng.integers(7, 16)) if encoded and rng.random() < 0.5 else None
        path = self.path(rng, near=rng.random() < recipe.near_share)
        if rng.random() < recipe.focus_share:
            diameter = float(np.exp(rng.uniform(*np.log([recipe.shortest, recipe.widest]))))
            return Exposed(path.scaled(0.0), page, False, None, diameter)
        if rng.random() < recipe.still_share:
            softness = float(rng.uniform(0, recipe.softest))
            return Exposed(path.scaled(0.0), page, encoded, None, softness=softness)
        return Exposed(path, page, encoded, frames)

    def path(self, rng: np.random.Generator, *, near: bool) -> Trajectory:
        recipe = self.recipe
        shortest, longest = np.log([recipe.shortest, recipe.longest])
        length = rng.uniform(0, 2) if near else np.exp(rng.uniform(shortest, longest))
        return random_trajectory(rng, float(length), recipe.side / 2).centred()

    def _light(
        self, rng: np.random.Generator, scene: Float[Tensor, "3 h w"], *, encoded: bool
    ) -> Float[Tensor, "3 h w"]:
        if encoded:
            return scene
        light = srgb_to_linear(scene)
        if rng.random() < self.recipe.night_share:
            return at_night(light, rng)
        if rng.random() < self.recipe.highlight_share:
            light = lift_highlights(light, float(rng.uniform(0.5, 0.9)), float(rng.uniform(2, 12)))
        return light

    def _thing(self, rng: np.random.Generator, extent: int, *, encoded: bool) -> MovingObjects:
        """Something before the scene: a cut-out, or a piece of another photo."""
        if self.objects and rng.random() < 0.7:
            image, mask = _placed(self.objects[rng.integers(len(self.objects))], rng, extent)
        else:
            image = self.photos.scene(rng, extent)
            mask = masks([random_outline(rng)], image[None])[0]
        light = image if encoded else srgb_to_linear(image)
        return MovingObjects(light[None], mask[None], [self.path(rng, near=rng.random() < 0.2)])


def _out_of_focus(light: Float[Tensor, "3 h w"], diameter: float) -> Float[Tensor, "3 h w"]:
    """A scene in linear light, blurred by a disc."""
    soft = cv2.filter2D(_pixels(light), -1, disc(diameter), borderType=cv2.BORDER_REFLECT)
    return torch.from_numpy(soft).permute(2, 0, 1).clamp(min=0)


def _softened(light: Float[Tensor, "3 h w"], softness: float) -> Float[Tensor, "3 h w"]:
    """A scene as a soft lens shows it; softness is a standard deviation in pixels."""
    if not softness:
        return light
    return torch.from_numpy(cv2.GaussianBlur(_pixels(light), (0, 0), softness)).permute(2, 0, 1)


def _pixels(light: Float[Tensor, "3 h w"]) -> Float[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(light.permute(1, 2, 0).numpy())


def _placed(
    cut_out: UInt8[np.ndarray, "_ _ 4"], rng: np.random.Generator, extent: int
) -> tuple[Float[Tensor, "3 {extent} {extent}"], Float[Tensor, "1 {extent} {extent}"]]:
    """A cut-out of random size somewhere on an empty square, and its opacity."""
    factor = extent * rng.uniform(0.25, 0.7) / max(cut_out.shape[:2])
    size = [max(int(side * min(factor, 1.5)), 1) for side in cut_out.shape[1::-1]]
    thing = cv2.resize(cut_out, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        thing = np.ascontiguousarray(thing[:, ::-1])
    height, width = thing.shape[:2]
    top, left = (int(rng.integers(max(extent - side, 0) + 1)) for side in (height, width))
    square = np.zeros((extent, extent, 4), np.uint8)
    part = thing[: extent - top, : extent - left]
    square[top : top + part.shape[0], left : left + part.shape[1]] = part
    planes = torch.from_numpy(square).permute(2, 0, 1).float() / 255
    return planes[:3], planes[3:]
