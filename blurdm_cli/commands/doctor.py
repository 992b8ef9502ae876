"""blurdm doctor: what is installed, what works here, and how to mend the rest."""

from __future__ import annotations

import importlib.metadata as metadata
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated

import typer

from blurdm_cli.commands.console import print_data, print_json
from blurdm_cli.errors import BlurdmError

PACKAGES = ("numpy", "opencv-python-headless", "pillow", "tifffile", "safetensors", "torch")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    found: str
    fix: str | None = None
    """What to do about it, where it does not work."""
    exit_code: int = 0


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="An array on stdout, one object a finding.")
    ] = False,
) -> None:
    """Look whether everything works here: packages, devices, models."""
    findings = list(_examine())
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print_data(f"{'FAIL' if finding.fix else 'ok':<6}{finding.what:<24}{finding.found}")
            if finding.fix:
                print_data(f"{'':<6}fix: {finding.fix}")
    raise typer.Exit(next((f.exit_code for f in findings if f.exit_code), 0))


def _examine() -> Iterator[Finding]:
    from blurdm_cli import __version__

    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("blurdm", f"{__version__} on {system}")
    for package in PACKAGES:
        yield _try(package, partial(metadata.version, package))
    yield _one_opencv()
    yield _try("cpu", _processor)
    yield _try("cuda", _cuda)
    yield _try("default model", _default_model)


def _try(what: str, look: Callable[[], str]) -> Finding:
    """What a look gives, or what is wrong."""
    try:
        return Finding(what, look())
    except metadata.PackageNotFoundError:
        extra = "[torch]" if what == "torch" else ""
        fix = f"pip install 'blurdm-cli{extra}'"
        return Finding(what, "is not installed", fix, exit_code=7)
    except BlurdmError as error:
        return Finding(what, str(error), error.hint or "install blurdm again", error.exit_code)
    except ImportError as error:
        return Finding(what, f"cannot be imported: {error}", "install it again", exit_code=7)


def _one_opencv() -> Finding:
    """Two OpenCV distributions overwrite each other's files, and pip does not notice."""
    names = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
    others = [d.name for d in metadata.distributions() if (d.name or "").lower() in names]
    if not others:
        return Finding("OpenCV", "one distribution")
    return Finding(
        "OpenCV",
        f"{others[0]} is installed beside opencv-python-headless",
        f"pip uninstall {others[0]}; pip install --force-reinstall opencv-python-headless",
    )


def _processor() -> str:
    import torch

    from blurdm_cli.engine.torch_runtime import available_cores, has_fast_bf16

    precision = "bf16" if has_fast_bf16(torch.device("cpu")) else "fp32"
    return f"{available_cores()} cores; --precision auto is {precision}"


def _cuda() -> str:
    import torch

    if not torch.version.cuda:
        return "this PyTorch is built without CUDA; photos are deblurred on the cpu"
    if not torch.cuda.is_available():
        return "no CUDA device was found; photos are deblurred on the cpu"
    device, memory = torch.cuda.get_device_name(), torch.cuda.mem_get_info()[1] / 2**30
    return f"{device}, {memory:.0f} GB, CUDA {torch.version.cuda}"


def _default_model() -> str:
    from blurdm_cli.engine.runtime import open_runtime
    from blurdm_cli.zoo import DEFAULT, find

    model = find(DEFAULT)
    runtime, _ = open_runtime(DEFAULT)
    opened = f"{runtime.name} on {runtime.device} in {runtime.precision}"
    return f"{DEFAULT}, hashes right, opens in {opened}; {model.folder}"
