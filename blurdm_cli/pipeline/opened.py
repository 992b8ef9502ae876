"""Facts about an open model: they describe a run, and determine its results."""

from __future__ import annotations

from dataclasses import dataclass
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
    expert: Opened | None = None

    @classmethod
    def of(cls, deblurrer: Deblurrer) -> Opened:
        used, spec, tiles = deblurrer.runtime, deblurrer.spec, deblurrer.tiles
        graph = describe(spec, tiles.size) if spec.graph else ""
        where = (used.name, used.device, used.precision)
        expert = cls.of(deblurrer.expert) if deblurrer.expert else None
        return cls(spec.name, *where, tiles.side, tiles.halo, graph, expert)

    def facts(self) -> dict[str, Any]:
        """The reported options: those of the model, and the name of the expert."""
        names = ("model", "runtime", "device", "precision", "tile")
        expert = self.expert.model if self.expert else None
        return {name: getattr(self, name) for name in names} | {"expert": expert}

    def decides(self) -> dict[str, Any]:
        """Those that determine the output."""
        names = ("runtime", "precision", "tile", "halo")
        expert = self.expert.decides() if self.expert else None
        return {name: getattr(self, name) for name in names} | {"expert": expert}
