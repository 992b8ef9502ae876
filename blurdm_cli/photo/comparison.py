"""Before-and-after comparison: the areas that changed most, and both photos in one image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from blurdm_cli.errors import UsageError
from blurdm_cli.photo.photo import Photo
from blurdm_cli.photo.pixels import over_white, to_8_bit

RGB8 = UInt8[np.ndarray, "_ _ 3"]

PANEL = 1000
"""The longest side of a photo in the image, in pixels."""

NARROWEST = 160
"""The minimum width of a column in pixels, so that its label fits."""

GAP, INK, PAPER = 12, (235, 235, 235), (24, 24, 24)
DIFFERENCE = 4
"""Factor by which differences are amplified."""


@dataclass(frozen=True)
class Crop:
    """A square region of both photos, in pixels."""

    top: int
    left: int
    side: int

    def of(self, pixels: RGB8) -> RGB8:
        return pixels[self.top : self.top + self.side, self.left : self.left + self.side]


def side_by_side(before: Photo, after: Photo) -> Photo:
    """Join both photos at full size: side by side, or one above the other if they are wide."""
    height, width = before.pixels.shape[:2]
    axis = 0 if width > 2 * height else 1
    alpha = None
    if before.alpha is not None and after.alpha is not None:
        alpha = np.concatenate([before.alpha, after.alpha], axis)
    return replace(after, pixels=np.concatenate([before.pixels, after.pixels], axis), alpha=alpha)


def viewed(photo: Photo) -> RGB8:
    """A photo as a screen shows it: 8 bits, three channels, composited over white."""
    planes = to_8_bit(photo.pixels)
    if photo.alpha is not None:
        planes = over_white(np.dstack([planes, to_8_bit(photo.alpha[..., None])]))
    return planes if planes.shape[2] == 3 else np.repeat(planes, 3, axis=2)


def check_same_size(before: RGB8, after: RGB8) -> None:
    """Raise a UsageError if the photos cannot be compared pixel by pixel."""
    if before.shape != after.shape:
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (before, after)]
        raise UsageError(
            f"The photos differ in size: {sizes[0]} and {sizes[1]} pixels",
            hint="Compare a photo with its own result",
        )


def most_changed(before: RGB8, after: RGB8, count: int, side: int | None = None) -> list[Crop]:
    """Find the squares that changed most, in descending order; they do not overlap.

    Fewer squares are returned if nothing else changed.

    Args:
        before: a photo.
        after: the restored photo.
        count: number of squares.
        side: of a square in pixels, if the photo is as large; None: a fifth of the photo's
            shorter side, but at least 96.
    """
    height, width = before.shape[:2]
    side = min(side or max(min(height, width) // 5, 96), height, width)
    change = cv2.absdiff(before, after).sum(axis=2, dtype=np.float32)
    sums = cv2.boxFilter(change, -1, (side, side), anchor=(0, 0), normalize=True)
    sums = np.ascontiguousarray(sums[: height - side + 1, : width - side + 1])
    crops: list[Crop] = []
    while len(crops) < count:
        _, most, _, (left, top) = cv2.minMaxLoc(sums)
        if most <= 0:
            break
        crops.append(Crop(top, left, side))
        sums[max(0, top - side + 1) : top + side, max(0, left - side + 1) : left + side] = 0
    return crops


def picture(
    before: RGB8, after: RGB8, crops: Sequence[Crop], labels: Sequence[str], difference: bool
) -> RGB8:
    """Draw both photos with labels, and the crops below them as large as possible.

    Args:
        before: a photo.
        after: the restored photo.
        crops: regions that are framed and numbered in the photos.
        labels: the labels of the photos.
        difference: whether a third column shows the difference, amplified `DIFFERENCE` times.
    """
    columns = [before, after]
    names = list(labels)
    if difference:
        columns.append(cv2.convertScaleAbs(cv2.absdiff(before, after), alpha=DIFFERENCE))
        names.append(f"Difference x {DIFFERENCE}")
    strips = [_column(column, crops, name) for column, name in zip(columns, names, strict=True)]
    height, width = strips[0].shape[:2]
    sheet = np.empty((height + 2 * GAP, len(strips) * (width + GAP) + GAP, 3), np.uint8)
    sheet[:] = PAPER
    for place, strip in enumerate(strips):
        left = GAP + place * (width + GAP)
        sheet[GAP : GAP + height, left : left + width] = strip
    return sheet


def _column(pixels: RGB8, crops: Sequence[Crop], name: str) -> RGB8:
    """Draw a label, the photo with its crops framed, and the crops below, all of one width."""
    panel = framed(fitted(pixels, PANEL), crops, pixels.shape[1])
    height, width = panel.shape[0], max(panel.shape[1], NARROWEST)
    line = max(16, width // 40)
    top = line + GAP
    rows = top + height + len(crops) * (width + GAP)
    sheet = Image.new("RGB", (width, rows), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((0, 0), name, INK, ImageFont.load_default(line))
    sheet.paste(Image.fromarray(panel), (0, top))
    top += height + GAP
    for number, crop in enumerate(crops, start=1):
        part = cv2.resize(crop.of(pixels), (width, width), interpolation=cv2.INTER_CUBIC)
        sheet.paste(Image.fromarray(part), (0, top))
        if len(crops) > 1:
            _write_number(draw, number, (4, top + 2), line)
        top += width + GAP
    return np.asarray(sheet)


def _write_number(
    draw: ImageDraw.ImageDraw, number: int, place: tuple[int, int], size: int
) -> None:
    font = ImageFont.load_default(size)
    draw.text(place, str(number), INK, font, stroke_width=2, stroke_fill=PAPER)


def fitted(pixels: RGB8, longest: int) -> RGB8:
    """The image, scaled down to fit."""
    scale = longest / max(pixels.shape)
    if scale >= 1:
        return pixels
    size = [max(1, round(scale * side)) for side in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def framed(panel: RGB8, crops: Sequence[Crop], width: int) -> RGB8:
    """Draw frames of crops, numbered if there are several, on a photo scaled from this width."""
    image = Image.fromarray(panel)
    draw, scale = ImageDraw.Draw(image), panel.shape[1] / width
    line = max(1, panel.shape[1] // 400)
    for number, crop in enumerate(crops, start=1):
        corner = (round(crop.left * scale), round(crop.top * scale))
        end = tuple(round(at + crop.side * scale) - 1 for at in corner)
        draw.rectangle((*corner, *end), outline=INK, width=line)
        if len(crops) > 1:
            place = (corner[0] + 2 * line, corner[1] + line)
            _write_number(draw, number, place, max(10, panel.shape[1] // 40))
    return np.asarray(image)
