"""A contact sheet of an evaluation: a row per pair, with a crop of each photo pixel by pixel.

photo with the crop framed  |  blurred  |  restored  |  sharp
name and scores             |
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from blurdm_cli.photo.comparison import (
    GAP,
    INK,
    PAPER,
    RGB8,
    Crop,
    fitted,
    framed,
    most_changed,
)
from blurdm_cli.training.shown import Shown

CROP = 400
"""Side of a crop in pixels."""

PANEL = 320
"""Longest side of a whole photo in pixels."""

LINE = 24
"""Height of a line of text in pixels."""


def contact_sheet(pairs: Sequence[Shown]) -> RGB8:
    """Draw pairs, one below the other."""
    return np.concatenate([_row(pair) for pair in pairs])


def _row(pair: Shown) -> RGB8:
    scores, photos = pair.scores, (pair.blurred, pair.restored, pair.sharp)
    height, width = pair.blurred.shape[:2]
    side = min(CROP, height, width)
    centre = Crop((height - side) // 2, (width - side) // 2, side)
    crop = next(iter(most_changed(pair.blurred, pair.restored, 1, CROP)), centre)
    panel = framed(fitted(pair.blurred, PANEL), [crop], width)
    about = [
        scores.name,
        f"gain {scores.gain:+.2f} dB",
        f"SSIM {scores.ssim_blurred:.3f} to {scores.ssim_restored:.3f}",
        f"{scores.seconds:.1f} s",
    ]
    captions = (
        f"Blurred, {scores.psnr_blurred:.2f} dB",
        f"Restored, {scores.psnr_restored:.2f} dB",
        "Sharp",
    )
    rows = max(LINE + crop.side, panel.shape[0] + GAP + len(about) * LINE) + 2 * GAP
    sheet = Image.new("RGB", (PANEL + 3 * CROP + 5 * GAP, rows), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LINE - 6)
    sheet.paste(Image.fromarray(panel), (GAP, GAP))
    for number, line in enumerate(about):
        text = _shortened(line, font, PANEL)
        draw.text((GAP, 2 * GAP + panel.shape[0] + number * LINE), text, INK, font)
    for column, (caption, photo) in enumerate(zip(captions, photos, strict=True)):
        left = PANEL + 2 * GAP + column * (CROP + GAP)
        draw.text((left, GAP), caption, INK, font)
        sheet.paste(Image.fromarray(crop.of(photo)), (left, GAP + LINE))
    return np.asarray(sheet)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The end of a text that fits in this many pixels, after dots if it is not all."""
    while font.getlength(text) > width:
        text = f"...{text.removeprefix('...')[1:]}"
    return text
