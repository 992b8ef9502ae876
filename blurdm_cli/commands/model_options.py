"""Options of blurdm train that define the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from blurdm_cli.commands.console import say
from blurdm_cli.errors import UsageError

if TYPE_CHECKING:
    from blurdm_cli.spec import ModelSpec, PriorSpec, ScheduleSpec


class Prior(StrEnum):
    """Kinds of prior."""

    blurdm = "blurdm"
    blur = "blur"
    noise = "noise"
    mlp = "mlp"
    none = "none"


class Encoder(StrEnum):
    """Sizes of the latent encoder."""

    light = "light"
    paper = "paper"
    spectral = "spectral"


@dataclass(frozen=True)
class AskedPrior:
    """Options for the prior; None if an option is not given."""

    kind: Prior | None
    channels: int | None
    encoder: Encoder | None
    schedule: str | None

    def of(self, prior: PriorSpec) -> PriorSpec:
        """Apply the options to a prior."""
        return replace(
            prior,
            kind=self.kind.value if self.kind else prior.kind,
            channels=self.channels or prior.channels,
            encoder=self.encoder.value if self.encoder else prior.encoder,
            schedule=_schedule(self.schedule) if self.schedule else prior.schedule,
        )


def new_spec(backbone: str, size: str | None, encoder: Encoder, asked: AskedPrior) -> ModelSpec:
    """Specify a new model; `encoder` is the default encoder of its prior."""
    from blurdm_cli.networks.build import family
    from blurdm_cli.spec import BackboneSpec

    kind = family(backbone)
    sizes = kind.size(size or kind.usual)
    return kind.spec("", BackboneSpec(backbone, sizes), asked.of(_usual_prior(encoder)))


def spec_from(
    start: ModelSpec, backbone: str | None, size: str | None, asked: AskedPrior
) -> ModelSpec:
    """Specify the model to start from, with another prior if the options ask for one.

    Raises:
        UsageError: its backbone is not the requested one.
    """
    from blurdm_cli.networks.build import family

    own = start.backbone
    sizes = family(own.kind).size(size) if size else {}
    if backbone not in (None, own.kind) or not sizes.items() <= own.sizes.items():
        raise UsageError(
            f"The model {start.name!r} has another backbone: {own.kind} {own.sizes}",
            hint="Leave out --backbone and --size, or train from scratch without --from",
        )
    gains = start.prior.kind == "none" and asked.kind not in (None, Prior.none)
    prior = asked.of(_usual_prior(Encoder.spectral) if gains else start.prior)
    if prior == start.prior or prior.kind == start.prior.kind == "none":
        return start
    new = "it has none" if prior.kind == "none" else "it trains a new one from scratch"
    say(f"the new model does not use the prior of {start.name}: {new}")
    spec = replace(start, prior=replace(prior, fusion="one_plus_scale"))
    if "none" in (prior.kind, start.prior.kind):
        fresh = family(own.kind).spec("", own, prior)
        return replace(spec, tile=fresh.tile, halo=fresh.halo)
    return spec


def _schedule(name: str) -> ScheduleSpec:
    from blurdm_cli.physics import diffusion
    from blurdm_cli.spec import ScheduleSpec

    if name not in diffusion.SCHEDULES:
        known = ", ".join(diffusion.SCHEDULES)
        raise UsageError(f"There is no schedule {name!r}", hint=f"Known: {known}")
    values = diffusion.schedule(name)
    return ScheduleSpec(name, values.alpha, values.beta_bar)


def _usual_prior(encoder: Encoder) -> PriorSpec:
    from blurdm_cli.spec import PriorSpec

    return PriorSpec(encoder=encoder.value, scope="region", schedule=_schedule("released"))
