"""Synthetic pages of text: columns, rules and words of random letters, in many sizes."""

import string
import sys
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

FONT_FOLDERS = {
    "linux": ("/usr/share/fonts", "/usr/local/share/fonts"),
    "darwin": ("/System/Library/Fonts", "/Library/Fonts"),
    "win32": ("C:/Windows/Fonts",),
}
LETTERS = string.ascii_lowercase * 3 + string.ascii_uppercase + string.digits + ".,-"
SIZES = (11, 14, 18, 24, 32, 48, 72)


def random_page(rng: np.random.Generator, height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """Draw a page: mostly dark ink on light paper."""
    tint = rng.uniform(0.8, 1, 3) if rng.random() < 0.3 else np.ones(3)
    paper = (rng.uniform(170, 252) * tint).astype(int)
    dark = rng.random() < 0.85
    page = Image.new("RGB", (width, height), tuple(int(v) for v in paper))
    draw = ImageDraw.Draw(page)
    column = int(rng.choice([width, width // 2, width // 3]))
    for left in range(0, width, column):
        size, top = int(rng.choice(SIZES[:5])), int(rng.uniform(0, 20))
        while top < height:
            if rng.random() < 0.2:
                size = int(rng.choice(SIZES))
            ink = tuple(int(v) for v in rng.uniform(0, 90 if dark else 255, 3))
            font = _font(str(rng.choice(_fonts())), size)
            draw.text((left + 4, top), _line(rng, font, column - 10), fill=ink, font=font)
            top += int(size * rng.uniform(1.1, 2))
            if rng.random() < 0.06:
                line_width = int(rng.integers(1, 4))
                draw.line((left, top, left + column, top), fill=ink, width=line_width)
            if rng.random() < 0.05:
                top += 3 * size
    return np.array(page)


def _line(rng: np.random.Generator, font: ImageFont.FreeTypeFont, length: float) -> str:
    """Random words that fill a line of `length` pixels."""
    text, letters = "", list(LETTERS)
    while font.getlength(text) < length:
        text += "".join(rng.choice(letters, int(rng.integers(2, 10)))) + " "
    return text[:-2]


@cache
def _fonts() -> tuple[str, ...]:
    """Font files on this machine; an empty name is the font that comes with Pillow."""
    folders = FONT_FOLDERS.get(sys.platform, ())
    found = sorted(str(file) for folder in folders for file in Path(folder).rglob("*.ttf"))
    usable = [name for name in found if _writes_latin(name)]
    return ("", *usable[:200])


def _writes_latin(name: str) -> bool:
    try:
        font = ImageFont.truetype(name, 20)
        return bytes(font.getmask("A")) != bytes(font.getmask("W"))
    except OSError:
        return False


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    if name:
        return ImageFont.truetype(name, size)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
