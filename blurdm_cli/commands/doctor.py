"""blurdm doctor: check what is installed and works, and how to fix the rest."""

from __future__ import annotations

import importlib.metadata as metadata
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from blurdm_cli.commands.console import print_data, print_json
from blurdm_cli.errors import BlurdmError

PACKAGES = ("av", "numpy", "pillow", "tifffile", "safetensors")

OPTIONAL = {"torch": "torch", "openvino": "openvino", "onnx": "export", "s3fs": "s3", "gcsfs": "gs"}
"""Optional packages, and the extra that installs each."""

OPENCV = (
    "opencv-python-headless",
    *("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
)
"""Distributions of one package, the preferred one first."""

ONNXRUNTIME = ("onnxruntime-gpu", "onnxruntime", "onnxruntime-directml", "onnxruntime-openvino")


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    what: str
    found: str
    fix: str | None = None
    """How to fix it, if it does not work."""
    exit_code: int = 0


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON array, one object per finding.")
    ] = False,
) -> None:
    """Check packages, devices and models, and say how to fix what fails."""
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
    from blurdm_cli.version import __version__

    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("blurdm", f"{__version__} on {system}")
    for package in PACKAGES:
        yield _try(package, partial(metadata.version, package))
    yield _one_of("OpenCV", OPENCV)
    yield _one_of("ONNX Runtime", ONNXRUNTIME)
    for package, extra in OPTIONAL.items():
        yield _optional(package, extra)
    yield _try("codecs", _codecs)
    yield _try("video encoders", _video_encoders)
    yield _try("cuda", _cuda)
    yield from _models()
    for runtime in ("onnx", "openvino", "torch"):
        if _is_installed(runtime):
            yield _try(f"runtime {runtime}", partial(_run, runtime))
    yield _try("runtime auto", partial(_run, "auto"))


def _try(what: str, look: Callable[[], str]) -> Finding:
    """Run one check, and turn its errors into findings."""
    try:
        return Finding(what, look())
    except metadata.PackageNotFoundError:
        return Finding(what, "is not installed", f"pip install {what}", exit_code=7)
    except BlurdmError as error:
        return Finding(what, str(error), error.hint or "reinstall blurdm", error.exit_code)
    except ImportError as error:
        return Finding(what, f"cannot be imported: {error}", "reinstall it", exit_code=7)


def _optional(package: str, extra: str) -> Finding:
    try:
        return Finding(package, metadata.version(package))
    except metadata.PackageNotFoundError:
        return Finding(package, f"is not installed; `{extra}` needs it: pip install {package}")


def _one_of(what: str, names: tuple[str, ...]) -> Finding:
    """Check that only one distribution is installed: several overwrite each other's files."""
    there = {(d.name or "").lower(): d.version for d in metadata.distributions()}
    found = [name for name in names if name in there]
    if not found:
        return Finding(what, "is not installed", f"pip install {names[0]}", exit_code=7)
    if len(found) == 1:
        return Finding(what, f"{found[0]} {there[found[0]]}")
    kept, *others = found
    fix = f"pip uninstall {' '.join(others)}; pip install --force-reinstall {kept}"
    return Finding(what, f"{' and '.join(found)} overwrite each other", fix, exit_code=7)


def _video_encoders() -> str:
    """Video encoders of this FFmpeg. GPU encoders are listed even without a GPU."""
    from blurdm_cli.video.codecs import FAMILIES, hardware_encoders, is_built_in

    families = [name for name, family in FAMILIES.items() if is_built_in(family.encoder)]
    cards = ", ".join(hardware_encoders()) or "none"
    return f"{', '.join(families)}; on GPUs: {cards}"


def _codecs() -> str:
    from PIL import features

    known = {"JPEG": "jpg", "PNG": "zlib", "WebP": "webp", "AVIF": "avif", "TIFF": "libtiff"}
    here = [name for name, feature in known.items() if features.check(feature)]
    missing = [name for name in known if name not in here]
    return ", ".join(here) + (f"; not {', '.join(missing)}" if missing else "")


def _cuda() -> str:
    from blurdm_cli.engine.devices import has_gpu_driver

    if not has_gpu_driver():
        return "no driver found; photos are deblurred on the CPU"
    import onnxruntime

    words = [f"a driver; ONNX Runtime has {', '.join(onnxruntime.get_available_providers())}"]
    if _is_installed("torch"):
        import torch

        if torch.cuda.is_available():
            memory = torch.cuda.mem_get_info()[1] / 2**30
            words.append(f"PyTorch sees {torch.cuda.get_device_name()} with {memory:.0f} GB")
        else:
            words.append(f"PyTorch {torch.__version__} sees no device")
    return "; ".join(words)


def _models() -> Iterator[Finding]:
    """Check every model; the default one is required."""
    from blurdm_cli.zoo import DEFAULT, every, find

    def look(folder: Path) -> str:
        model = find(str(folder))
        if model.has_graph:
            model.graph()  # checks the weights too
        else:
            model.weights()
        parts = "weights and graph" if model.has_graph else "weights"
        return f"version {model.spec.version}, {parts}, hashes match; {model.folder}"

    folders = every()
    for folder in folders:
        yield _try(f"model {folder.name}", partial(look, folder))
    if DEFAULT not in [folder.name for folder in folders]:
        yield Finding("models", f"{DEFAULT}, the default, is missing", "reinstall blurdm", 6)


def _run(runtime: str) -> str:
    """Open the default model, and run it on a small tile."""
    import numpy as np

    from blurdm_cli.engine.opening import open_runtime
    from blurdm_cli.zoo import DEFAULT

    begin = time.perf_counter()
    opened, spec = open_runtime(DEFAULT, runtime)
    side = 4 * spec.multiple_of
    tile = np.full((1, spec.planes, side, side), 0.5, np.float32)
    opened.restore(tile, np.zeros((1, spec.prior_channels), np.float32))
    milliseconds = 1000 * (time.perf_counter() - begin)
    name = f"{opened.name} on " if runtime == "auto" else ""
    ready = f"opened and ran in {milliseconds:.0f} ms"
    return f"{name}{opened.device}, {opened.precision}; {ready}"


def _is_installed(runtime: str) -> bool:
    from importlib.util import find_spec

    from blurdm_cli.engine.opening import PACKAGES as NEEDED

    return find_spec(NEEDED[runtime]) is not None
