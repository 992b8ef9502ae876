"""The command as a process, and what it wrote."""

import io
import sys
from pathlib import Path

from PIL import Image

MAIN = (sys.executable, "-c", "from blurdm_cli.commands.app import main; main()", "deblur")
ROOT = Path(__file__).parents[2]


def results(folder: Path) -> list[str]:
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [path.as_posix() for path in files if path.parts[0] != ".blurdm"]


def opened(path: Path) -> Image.Image:
    """A photo whose file is closed."""
    image = Image.open(io.BytesIO(path.read_bytes()))
    image.load()
    return image
