"""Options and checks that the commands of `blurdm export` share."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from blurdm_cli.commands.console import print_data
from blurdm_cli.errors import InputError, RuntimeMissing, UsageError

if TYPE_CHECKING:
    import numpy as np

    from blurdm_cli.export.verify import Agreement
    from blurdm_cli.zoo import Model


class GraphPrecision(StrEnum):
    """Numeric precision of a graph."""

    fp32 = "fp32"
    fp16 = "fp16"


def print_agreements(agreements: Iterable[Agreement]) -> None:
    for agreement in agreements:
        print_data(
            f"{agreement.what:<32}largest difference {agreement.largest:.2g}"
            f"  mean {agreement.mean:.2g}  {agreement.psnr:.1f} dB"
        )


def check_networks(found: Model) -> None:
    """Refuse a model that consists of a graph."""
    from blurdm_cli import zoo

    if found.spec.graph:
        raise UsageError(
            f"The model {found.spec.name!r} is a graph already", hint=str(found.folder / zoo.GRAPH)
        )


def check_installed(*more: str) -> None:
    from importlib.util import find_spec

    for package in ("torch", "onnx", "onnxscript", "onnxslim", "onnxconverter_common", *more):
        if find_spec(package) is None:
            raise RuntimeMissing(f"{package} is not installed", hint=f"pip install {package}")


def parse_size(size: str | None) -> tuple[int, int] | None:
    if size is None:
        return None
    height, _, width = size.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise UsageError(f"--size cannot be {size!r}", hint="Use height x width, such as 256x256")
    return int(height), int(width)


def photo_to_verify_with(photo: Path | None) -> np.ndarray:
    """The photo to verify with, in 8 bits."""
    from blurdm_cli import zoo

    path = photo or zoo.example_photo()
    if path is None:
        raise InputError("There is no example photo here", hint="Choose one with --photo FILE")
    return read_8_bit(path)


def read_8_bit(path: Path) -> np.ndarray:
    from blurdm_cli.training.layouts import read_rgb

    return read_rgb(path).permute(1, 2, 0).numpy()
