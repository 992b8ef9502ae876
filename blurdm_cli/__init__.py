"""Remove motion blur from photos with BlurDM, a diffusion model of how blur forms.

from blurdm_cli import Deblurrer

deblurrer = Deblurrer.open()
restored = deblurrer(pixels)  # height x width x 3; uint8, uint16, or float32 in [0, 1]
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blurdm_cli.engine.deblur import Deblurrer

__all__ = ["Deblurrer", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the engine only when it is asked for: the command line's help must be quick."""
    if name == "Deblurrer":
        from blurdm_cli.engine.deblur import Deblurrer

        return Deblurrer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
