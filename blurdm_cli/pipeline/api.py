"""The Python API: deblur files, arrays and Pillow images.

from blurdm_cli import Deblurrer, deblur_file

deblur_file("in.jpg", "out.jpg", quality=95)
restored = Deblurrer.open()("in.jpg")
"""

from dataclasses import fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from blurdm_cli.engine import deblur as engine
from blurdm_cli.engine.pixels import Pixels
from blurdm_cli.engine.progress import Progress, silent
from blurdm_cli.errors import InputError, UsageError
from blurdm_cli.files.naming import Naming
from blurdm_cli.files.objects import is_object, without_scheme
from blurdm_cli.photo.photo import Photo, read_photo
from blurdm_cli.pipeline.batch import deblur_files
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.reporter import Silent
from blurdm_cli.zoo import DEFAULT

OPAQUE, WITH_ALPHA = ("RGB", "L", "P"), ("RGBA", "LA", "PA")
"""Supported modes of Pillow images."""


class Deblurrer(engine.Deblurrer):
    """Deblurs photos of any size with one model on one device.

    Takes arrays, Pillow images and paths. Threads may share a Deblurrer; processes need one each.
    """

    @overload
    def __call__(self, photo: Image.Image, progress: Progress = ...) -> Image.Image: ...

    @overload
    def __call__(self, photo: Pixels | str | PathLike[str], progress: Progress = ...) -> Pixels: ...

    def __call__(
        self,
        photo: Pixels | Image.Image | str | PathLike[str],
        progress: Progress = silent,
    ) -> Pixels | Image.Image:
        """Deblur one photo.

        Args:
            photo: an array of height x width x 3, sRGB-encoded, as uint8, uint16, or float32 in
                [0, 1]; a Pillow image, whose alpha channel is kept; or the path of a photo, read
                as the command line reads it. It is not modified.
            progress: called with the number of finished tiles and the total.

        Returns:
            For an array, an array of the same type. For an image, an RGB or RGBA image. For a
            path, the photo's pixels as a uint8 or uint16 array.

        Raises:
            ValueError: the array has another type or shape, or values outside [0, 1].
            RuntimeError: the process was forked after the model was opened.
            InputError: the path cannot be read as a photo.
            ComputeError: the runtime failed, or memory ran out.
        """
        if isinstance(photo, Image.Image):
            return self._image(photo, progress)
        if isinstance(photo, np.ndarray):
            return self.restore(photo, progress).pixels
        return self.restore(read_photo(Path(fspath(photo))).rgb(), progress).pixels

    def _image(self, image: Image.Image, progress: Progress) -> Image.Image:
        if image.mode not in OPAQUE + WITH_ALPHA:
            raise ValueError(f"Pillow images of mode {image.mode} are unsupported; convert to RGB")
        alpha = np.array(image.getchannel("A")) if image.mode in WITH_ALPHA else None
        photo = Photo(np.array(image.convert("RGB")), alpha)
        pixels = photo.with_rgb(self.restore(photo.rgb(), progress).pixels).pixels
        restored = Image.fromarray(pixels if alpha is None else np.dstack([pixels, alpha]))
        restored.info = dict(image.info)
        return restored


def deblur_file(
    source: str | PathLike[str], target: str | PathLike[str] | None = None, **options: Any
) -> Path:
    """Deblur one photo or video file, as `blurdm deblur` does.

    Args:
        source: path or file:// URL of a photo or video.
        target: path or file:// URL of the result; its suffix sets the format. None: next to the
            source, as NAME.deblurred.EXT.
        **options: fields of `RunOptions`, `ModelOptions`, `PhotoOptions` and `VideoOptions`, such
            as `quality=95`, `model="blurdm-tiny"`, `codec="hevc"`; `on_exists` defaults to
            "error".

    Returns:
        The path of the result.

    Raises:
        BlurdmError: the error that the command line would report, with its hint.
        TypeError: there is no such option.
    """
    kinds = (RunOptions, ModelOptions, PhotoOptions, VideoOptions)
    wanted: list[dict[str, Any]] = []
    for kind in kinds:
        names = {f.name for f in fields(kind)} - {"inputs", "output"}
        wanted.append({name: options.pop(name) for name in names & options.keys()})
    if options:
        raise TypeError(f"deblur_file() has no option {', '.join(sorted(options))}")
    run, model, photos, videos = wanted
    path = Path(_path_of(source))
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file", hint="Call deblur_file for each file")
    model.setdefault("model", DEFAULT)
    given = {
        "inputs": [str(path)],
        "output": None if target is None else _path_of(target),
        "on_exists": "error",
        "naming": Naming(model=Path(model["model"]).stem),
    }
    [outcome] = deblur_files(
        RunOptions(**(given | run)),
        ModelOptions(**model),
        PhotoOptions(**photos),
        VideoOptions(**videos),
        Silent(),
    )
    if outcome.error:
        raise outcome.error
    if outcome.output is None:
        raise UsageError(f"{path} was not written: {outcome.message}")
    return Path(outcome.output)


def _path_of(word: str | PathLike[str]) -> str:
    """The path that a word names.

    Raises:
        UsageError: it is the URL of an object.
    """
    if is_object(fspath(word)):
        raise UsageError(
            f"deblur_file takes paths, not {fspath(word)}",
            hint="Fetch the object first, or run blurdm deblur, which reads and writes URLs",
        )
    return without_scheme(fspath(word))
