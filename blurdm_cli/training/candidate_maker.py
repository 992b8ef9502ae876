"""Training crops with candidates, made with the estimator's own errors.

    sharp photo, page or frames ── blurred, in light or in encoded values ── noise, JPEG, H.264
      ── the motion is looked for ── deconvolved ── the sharp crop is moved to where they stand

It takes some seconds to look for a motion. What was found then serves for several other scenes that
are blurred along the same path: the estimator's errors are of the path more than of the scene.
"""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BytesIO

import av
import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.deconvolution import noise_of
from blurdm_cli.motion.estimation import Found, Motion, find_motion
from blurdm_cli.motion.kernel import trimmed
from blurdm_cli.motion.light import LUMA
from blurdm_cli.physics.camera import lift_highlights, srgb_to_linear
from blurdm_cli.physics.exposure import MovingObjects, average, expose, masks, random_outline
from blurdm_cli.physics.trajectory import Trajectory, random_trajectory
from blurdm_cli.training.candidate_store import Prepared
from blurdm_cli.training.pages import random_page
from blurdm_cli.training.pairs import REACH, random_crop
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.synthesis import MARGIN, Synthesis, develop

FARTHEST = 3.0
"""Pixels that a sharp crop is moved, at most, to where a candidate stands: which instant of the
exposure it shows, the blurred one does not tell."""

BETTER = 0.5
"""dB that it must be nearer there."""

GROUP = 4
"""Consecutive crops; the first one's path and found motion serve for all, if it has both."""


@dataclass(frozen=True)
class Exposed:
    """How a scene was blurred by a path of its own; nothing else moved."""

    path: Trajectory
    page: bool
    encoded: bool
    frames: int | None
    """The number of encoded frames that it is the average of; None for very many."""


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
    longest: float = 60.0
    """All lengths between are equally likely on a logarithmic scale."""
    encoded_share: float = 0.45
    """Blur made in encoded values."""
    object_share: float = 0.25
    highlight_share: float = 0.2
    h264_share: float = 0.1
    wrong_share: float = 0.04
    """Crops with a wrong kernel that is taken for a good one."""
    develop: Synthesis = field(
        default_factory=lambda: Synthesis(
            noise_share=0.6, shot_noise=(-4.7, -3.2), read_noise=(-4.0, -2.8), jpeg_share=0.45
        )
    )
    """With less noise than networks alone are trained with: where it hides the motion, the crop
    teaches little."""


class CandidateMaker:
    """Makes crops: which ones follows from their numbers."""

    def __init__(
        self,
        photos: PhotoCrops,
        frames: UInt8[Tensor, "n 3 h w"] | None,
        objects: list[UInt8[np.ndarray, "_ _ 4"]],
        recipe: CandidateRecipe,
        seed: int = 0,
    ) -> None:
        """Set up.

        Args:
            photos: where scenes come from.
            frames: consecutive sharp frames of a high-speed camera.
            objects: cut-outs of things, RGB and opacity.
            recipe: what the crops are like.
            seed: of all of them.
        """
        self.photos, self.frames, self.objects = photos, frames, objects
        self.recipe, self.seed = recipe, seed

    def make_group(self, number: int) -> list[Prepared]:
        """Make `GROUP` crops."""
        first = number * GROUP
        crop, exposed, motion = self._make(first)
        if exposed is None or motion.best.kernel.size == 1:
            return [crop, *(self._make(first + n)[0] for n in range(1, GROUP))]
        again = (self._make(first + n, exposed, motion)[0] for n in range(1, GROUP))
        return [crop, *again]

    def _make(
        self, number: int, exposed: Exposed | None = None, motion: Motion | None = None
    ) -> tuple[Prepared, Exposed | None, Motion]:
        """Make a crop: a new one, or one that was exposed as another was, with its found motion."""
        rng = np.random.default_rng([self.seed, number])
        if exposed is None and self.frames is not None and rng.random() < self.recipe.frames_share:
            light = self._frames_light(rng, self.frames)
        else:
            light, exposed = self._exposed(rng, exposed)
        developed = develop(light[:, None], self.recipe.develop, rng)
        blurred, sharp = (_photo(image[0]) for image in (developed.blurred, developed.sharp))
        if rng.random() < self.recipe.h264_share:
            blurred = through_h264(blurred, int(rng.integers(18, 33)))
        photo = blurred.astype(np.float32) / 255
        if motion is None:
            motion = find_motion(photo)
        else:
            motion = replace(motion, noise=noise_of(photo @ LUMA))
        path = exposed.path if exposed else None
        return self._prepare(rng, photo, motion, sharp, path), exposed, motion

    def _frames_light(
        self, rng: np.random.Generator, frames: UInt8[Tensor, "n 3 h w"]
    ) -> Float[Tensor, "2 3 side side"]:
        """The middle frame and the average of some, in linear light."""
        count = int(rng.integers(1, min(14, len(frames)) + 1))
        first = int(rng.integers(len(frames) - count + 1))
        crop = random_crop(frames[first : first + count], rng, self.recipe.side) / 255
        middle = srgb_to_linear(crop[count // 2])
        if rng.random() < 0.4:
            return torch.stack([middle, average(srgb_to_linear(crop))])
        return torch.stack([middle, srgb_to_linear(average(crop))])

    def _exposed(
        self, rng: np.random.Generator, like: Exposed | None
    ) -> tuple[Float[Tensor, "2 3 side side"], Exposed | None]:
        """A sharp and a blurred scene in linear light, and how, if nothing moved by itself."""
        recipe = self.recipe
        side, extent = recipe.side, recipe.side + 2 * MARGIN
        how = like or self._exposure(rng)
        if how.page:
            drawn = random_page(rng, extent, extent)
            scene = torch.from_numpy(drawn).permute(2, 0, 1).float() / 255
        else:
            scene = self.photos.scene(rng, extent)
        light = self._light(rng, scene, encoded=how.encoded)
        things = None
        if not like and not how.page and rng.random() < recipe.object_share:
            if rng.random() < 0.3:  # a tripod
                how = replace(how, path=how.path.scaled(0.0))
            things = self._thing(rng, extent, encoded=how.encoded)
        light = expose(light[None], [how.path], (side, side), things=things, frames=[how.frames])
        light = light[:, 0]
        if how.encoded:
            light = srgb_to_linear(light.clamp(0, 1))
        return light, None if things else how

    def _exposure(self, rng: np.random.Generator) -> Exposed:
        recipe = self.recipe
        page, encoded = rng.random() < recipe.page_share, rng.random() < recipe.encoded_share
        frames = int(rng.integers(7, 16)) if encoded and rng.random() < 0.5 else None
        path = self._path(rng, near=rng.random() < recipe.near_share)
        return Exposed(path, page, encoded, frames)

    def _path(self, rng: np.random.Generator, *, near: bool) -> Trajectory:
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
        return MovingObjects(light[None], mask[None], [self._path(rng, near=rng.random() < 0.2)])

    def _prepare(
        self,
        rng: np.random.Generator,
        photo: Float32[np.ndarray, "h w 3"],
        motion: Motion,
        sharp: UInt8[np.ndarray, "h w 3"],
        path: Trajectory | None,
    ) -> Prepared:
        """Make the candidates."""
        blurred = np.rint(photo * 255).astype(np.uint8)
        wrong = rng.random() < self.recipe.wrong_share
        if wrong:
            motion = self._mistaken(rng, motion)
        planes = make_candidates(photo, motion)
        if not wrong:
            sharp = moved_to_candidate(sharp, blurred, planes)
        density = np.zeros((2 * REACH + 1,) * 2) if path is None else path.density(REACH)
        images = np.concatenate([planes[:6], planes[8:]])
        return Prepared(
            np.ascontiguousarray(blurred.transpose(2, 0, 1)),
            np.rint(images * 255).astype(np.uint8),
            np.ascontiguousarray(sharp.transpose(2, 0, 1)),
            planes[6:8, 0, 0].copy(),
            density.astype(np.float16),
            np.array(gain_of(sharp, blurred, planes), np.float32),
        )

    def _mistaken(self, rng: np.random.Generator, motion: Motion) -> Motion:
        """A motion that was not, in linear light, in encoded values, or in both."""
        kernel = trimmed(self._path(rng, near=False).density(REACH))
        found = Found(kernel, float(rng.uniform(0.7, 1)), "mistaken")
        which = rng.integers(3)
        return Motion(
            motion.linear if which == 1 else found, motion.encoded if which == 0 else found
        )


def moved_to_candidate(
    sharp: UInt8[np.ndarray, "h w 3"],
    blurred: UInt8[np.ndarray, "h w 3"],
    planes: Float32[np.ndarray, "10 h w"],
) -> UInt8[np.ndarray, "h w 3"]:
    """The sharp crop, moved by a few pixels where a candidate is clearly nearer to it there."""
    height, width = sharp.shape[:2]
    inner, window = np.s_[8:-8, 8:-8], cv2.createHanningWindow((width, height), cv2.CV_32F)
    best, nearest = sharp, _error(blurred, sharp, inner)
    grey = sharp.astype(np.float32) @ LUMA
    for first in (0, 3):
        candidate = planes[first : first + 3].transpose(1, 2, 0) * 255
        seen = np.ascontiguousarray(candidate @ LUMA)
        (right, down), _ = cv2.phaseCorrelate(grey, seen, window)
        if max(abs(right), abs(down)) > FARTHEST:
            continue
        matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
        moved = cv2.warpAffine(
            sharp,
            matrix,
            (width, height),
            flags=cv2.INTER_LANCZOS4,
            borderMode=cv2.BORDER_REPLICATE,
        )
        error, factor = _error(candidate, moved, inner), 10 ** (-BETTER / 10)
        if error < factor * _error(candidate, sharp, inner) and error < factor * nearest:
            best, nearest = moved, error
    return best


def gain_of(
    sharp: UInt8[np.ndarray, "h w 3"],
    blurred: UInt8[np.ndarray, "h w 3"],
    planes: Float32[np.ndarray, "10 h w"],
) -> float:
    """By how many dB the better candidate is nearer to the sharp crop than the blurred one is."""
    inner = np.s_[8:-8, 8:-8]
    before = _error(blurred, sharp, inner)
    after = min(_error(planes[n : n + 3].transpose(1, 2, 0) * 255, sharp, inner) for n in (0, 3))
    return float(10 * np.log10((before + 0.1) / (after + 0.1)))


def through_h264(photo: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """What H.264 leaves of a photo that is the third frame of a still clip.

    Args:
        photo: of even height and width.
        quality: x264's constant rate factor, 0 (lossless) to 51.
    """
    height, width = photo.shape[:2]
    file = BytesIO()
    with av.open(file, "w", "mp4") as output:
        stream = output.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(quality), "preset": "veryfast", "threads": "1"}
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(photo), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as source:
        frames = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    return frames[-1]


def _error(found: np.ndarray, sharp: np.ndarray, inner: tuple[slice, slice]) -> float:
    difference = found[inner].astype(np.float32) - sharp[inner]
    return float(np.mean(difference * difference))


def _photo(image: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """8-bit pixels of an sRGB-encoded image."""
    values = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(values.permute(1, 2, 0).numpy())


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
