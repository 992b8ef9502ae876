"""Remove motion blur from photos with BlurDM, a diffusion model of how blur forms.

from blurdm_cli import Deblurrer, deblur_file

deblur_file("in.jpg", "out.jpg")  # photos and videos
deblurrer = Deblurrer.open()
restored = deblurrer(pixels)  # height x width x 3: uint8, uint16, or float32 in [0, 1]
restored = deblurrer("in.jpg")  # or a Pillow image
"""

import os
import sys
from typing import TYPE_CHECKING, Any

from blurdm_cli.version import __version__

if TYPE_CHECKING:
    from blurdm_cli.errors import BlurdmError
    from blurdm_cli.pipeline.api import Deblurrer, deblur_file

# Nothing is sent anywhere: on import, ONNX Runtime reports to Microsoft unless told not to, and
# OpenVINO to Google Analytics unless this package of its own is missing.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

__all__ = ["BlurdmError", "Deblurrer", "__version__", "deblur_file"]

_WHERE = {
    "BlurdmError": "blurdm_cli.errors",
    "Deblurrer": "blurdm_cli.pipeline.api",
    "deblur_file": "blurdm_cli.pipeline.api",
}


def __getattr__(name: str) -> Any:
    """Import the engine on first use, so that the command line's help stays fast."""
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
