"""blurdm synth: make pairs of blurred and sharp photos from photos or high-speed frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands.console import hold_progress, say
from blurdm_cli.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from blurdm_cli.training.layouts import Pair


def synth(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="SHARP...", help="Sharp photos, or folders of them.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder to create, with input/, target/ and synth.json."
        ),
    ],
    count: Annotated[int, typer.Option(min=1, help="Pairs per photo.")] = 1,
    largest: Annotated[
        int, typer.Option(min=96, help="Longest side in pixels. Larger photos are scaled down.")
    ] = 1280,
    max_length: Annotated[float, typer.Option(min=1, max=60, help="Longest blur in pixels.")] = 40,
    sharp_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of nearly sharp pairs.")
    ] = 0.15,
    object_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pairs with a moving object.")
    ] = 0.3,
    noise_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pairs with noise.")
    ] = 0.8,
    jpeg_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pairs with JPEG artefacts.")
    ] = 0.3,
    average: Annotated[
        int,
        typer.Option(
            min=0,
            help="Average N consecutive high-speed frames (odd), as the GoPro dataset was made,"
            " instead of blurring each photo.",
        ),
    ] = 0,
    linear: Annotated[
        bool, typer.Option(help="Average in linear light; --no-linear averages sRGB values.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
) -> None:
    """Make pairs of blurred and sharp photos for training or evaluation.

    The same photos, options and version give the same pairs. All settings are written to
    synth.json.
    """
    from blurdm_cli.files.inputs import gather
    from blurdm_cli.training.synthesis import Synthesis
    from blurdm_cli.version import __version__

    if average and average % 2 == 0:
        raise UsageError(
            f"--average {average} frames have no middle frame", hint="Use an odd number"
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(f"{output} exists and is not empty", hint="Choose a new folder")
    photos = sorted(path for path, _ in gather(inputs))
    if not photos:
        raise InputError(f"There is no photo in {', '.join(map(str, inputs))}")
    recipe = Synthesis(
        max_length,
        sharp_share,
        object_share,
        noise_share,
        jpeg_share=jpeg_share,
        shrink_share=0.0,
        frames_share=0.0,
    )
    if average:
        number = len(photos) // average
        pairs = _averaged(photos, average, linear)
        settings: dict[str, Any] = {"average": average, "linear": linear}
    else:
        number = len(photos) * count
        pairs = _blurred(photos, count, largest, recipe, seed)
        settings = {"seed": seed, "count": count, "largest": largest, "synthesis": asdict(recipe)}
    if not number:
        raise InputError(f"{len(photos)} frames are too few for --average {average}")
    with hold_progress(output.name) as advance:
        for done, (name, (blurred, sharp)) in enumerate(pairs, start=1):
            _write(output / "input" / name, blurred)
            _write(output / "target" / name, sharp)
            advance(done / number, name)
    settings |= {"version": __version__, "photos": [path.name for path in photos]}
    (output / "synth.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
    say(f"{number} pairs: {output}")


def _blurred(
    photos: list[Path], count: int, largest: int, recipe: Any, seed: int
) -> Iterator[tuple[str, Pair]]:
    """Blur each photo `count` times; a piece of the next photo may move in front of it."""
    import numpy as np

    from blurdm_cli.training.synthesis import synthesise

    following = _read_small(photos[0], largest)
    for place, path in enumerate(photos):
        photo, following = following, _read_small(photos[(place + 1) % len(photos)], largest)
        for number in range(count):
            rng = np.random.default_rng([seed, place, number])
            name = f"{place * count + number:05d}_{path.stem}.png"
            yield name, synthesise(photo, following, recipe, rng)


def _averaged(photos: list[Path], length: int, linear: bool) -> Iterator[tuple[str, Pair]]:
    """Average every `length` frames; the middle frame is the sharp one."""
    import torch

    from blurdm_cli.physics.camera import linear_to_srgb, srgb_to_linear
    from blurdm_cli.physics.exposure import average
    from blurdm_cli.training.layouts import read_rgb

    for place in range(len(photos) // length):
        paths = photos[place * length : (place + 1) * length]
        frames = [read_rgb(path) for path in paths]
        if len({frame.shape for frame in frames}) > 1:
            raise InputError(f"The frames from {paths[0]} on differ in size")
        light = torch.stack(frames) / 255
        blurred = linear_to_srgb(average(srgb_to_linear(light))) if linear else average(light)
        middle = length // 2
        pair = ((blurred * 255).round().byte(), frames[middle])
        yield f"{place:05d}_{paths[middle].stem}.png", pair


def _read_small(path: Path, largest: int) -> Tensor:
    from torch.nn.functional import interpolate

    from blurdm_cli.training.layouts import read_rgb

    photo = read_rgb(path)
    factor = largest / max(photo.shape[1:])
    if factor >= 1:
        return photo
    size = [max(1, round(side * factor)) for side in photo.shape[1:]]
    smaller = interpolate(photo[None].float(), size=size, mode="bicubic", antialias=True)[0]
    return smaller.clamp(0, 255).round().byte()


def _write(path: Path, photo: Tensor) -> None:
    import cv2

    from blurdm_cli.files.atomic import atomic_output

    pixels = photo.permute(1, 2, 0).numpy()[..., ::-1]
    with atomic_output(path) as part:
        part.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
