"""Facts about an open model: they describe a run, and determine its results."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.foreign import describe


@dataclass(frozen=True)
class Opened:
    """Facts about an open model."""

    model: str
    runtime: str
    device: str
    precision: str
    tile: int
    """Largest tile, as the side of a square in pixels."""
    halo: int
    graph: str
    """Description of a graph that blurdm did not export; empty for others."""

    @classmethod
    def of(cls, deblurrer: Deblurrer) -> Opened:
        used, spec, tiles = deblurrer.runtime, deblurrer.spec, deblurrer.tiles
        graph = describe(spec, tiles.size) if spec.graph else ""
        where = (used.name, used.device, used.precision)
        return cls(spec.name, *where, tiles.side, tiles.halo, graph)

    def facts(self) -> dict[str, Any]:
        """Those that are reported: model, runtime, device, precision and tile."""
        facts = asdict(self)
        return {name: facts[name] for name in ("model", "runtime", "device", "precision", "tile")}

    def decides(self) -> dict[str, Any]:
        """Those that determine the output."""
        facts = asdict(self)
        return {name: facts[name] for name in ("runtime", "precision", "tile", "halo")}
