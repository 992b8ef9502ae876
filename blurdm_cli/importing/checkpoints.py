"""Import of checkpoints from the backbones' authors.

    FILE… ── read ── unwrap ── rename by the backbone's table ── fit to a size ── ModelSpec, weights

The tables are `ORIGINAL_NAMES` in each network's module.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from blurdm_cli.errors import ModelError, UsageError
from blurdm_cli.importing.checkpoint_files import read, unwrap
from blurdm_cli.importing.imported import Imported, card, origin
from blurdm_cli.networks import prior as blurdm
from blurdm_cli.networks.build import BACKBONES, Family, family
from blurdm_cli.physics.diffusion import SCHEDULES, ExposureSchedule, schedule
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorScope, PriorSpec, ScheduleSpec

WRAPPERS = ("params_ema", "params", "model_state", "state_dict", "model")
"""Keys that a state dict may be stored under, in order of preference."""

PRIOR_WRAPPERS = ("model_dm_state", *WRAPPERS)

FUSION = ".to_scale_shift.weight"
"""Suffix of a prior fusion's weights, in our names."""

ORIGINAL_WINDOW = 384
"""Window, in pixels, that NAFNet's authors restore photos with: 1.5 training crops."""


@dataclass(frozen=True)
class Fit:
    """How the tensors of a checkpoint fit a network."""

    what: str
    """Backbone and size."""
    weights: dict[str, Tensor]
    missing: list[str]
    """Parameters that the checkpoint lacks, in our names."""
    unexpected: list[str]
    """Tensors that the network lacks, in the checkpoint's names."""
    misshaped: list[str]
    """Tensors of a different shape, in the checkpoint's names, each with both shapes."""

    @property
    def faults(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.misshaped)

    def say(self) -> str:
        """Describe the faults: the count and the first tensor of each kind."""
        kinds = (self.missing, self.unexpected, self.misshaped)
        named = zip(("missing", "unexpected", "misshaped"), kinds, strict=True)
        return "; ".join(f"{len(kind)} {name}, first {kind[0]}" for name, kind in named if kind)


def import_model(
    files: Sequence[Path],
    backbone: str | None = None,
    *,
    name: str,
    prior_file: Path | None = None,
    size: str | None = None,
    scope: PriorScope | None = None,
    licence: str = "unknown",
) -> Imported:
    """Turn checkpoints of the authors' code into a model.

    Args:
        files: the backbone's checkpoint, in one file or several.
        backbone: a key of `networks.build.BACKBONES`; None picks the one that fits.
        name: name of the new model.
        prior_file: BlurDM's checkpoint, if the backbone was trained with it.
        size: one of the backbone's sizes; None picks the one that fits.
        scope: the area that one prior is estimated from; None follows the authors: the
            photo, or, for LoFormer, the tile.
        licence: licence of the weights.

    Raises:
        UsageError: there is no such backbone or size.
        ModelError: a file cannot be read, or does not fit.
    """
    if backbone is not None and not family(backbone).original_names:
        raise UsageError(
            f"There are no weights of {backbone!r} to import",
            hint=f"Known: {', '.join(k for k, v in BACKBONES.items() if v.original_names)}",
        )
    state: dict[str, Tensor] = {}
    for path in files:
        state |= unwrap(read(path), WRAPPERS, path)
    backbone = backbone or _nearest(state)[0]
    kind = family(backbone)
    fit, sizes = _fit_backbone(state, backbone, size, files[0])
    weights = {f"backbone.{key}": value for key, value in fit.weights.items()}
    channels = _prior_channels(fit.weights)
    if bool(channels) != (prior_file is not None):
        raise ModelError(
            f"{files[0]} was trained {'with' if channels else 'without'} a prior",
            hint="--prior FILE names BlurDM's checkpoint" if channels else "Leave out --prior",
        )
    prior = PriorSpec("none", 0)
    if prior_file is not None:
        prior, found = _import_prior(prior_file, channels)
        prior = replace(prior, scope=scope or ("tile" if backbone == "loformer" else "image"))
        weights |= {f"prior.{key}": value for key, value in found.items()}
    spec = kind.spec(name, BackboneSpec(backbone, sizes), prior)
    sources = [*files, prior_file] if prior_file else list(files)
    spec = replace(
        spec,
        input_range=spec.input_range if channels else kind.original_range,
        multiple_of=kind.original_multiple_of or spec.multiple_of,
        padding=kind.original_padding,
        licence=licence,
        training=origin(*sources),
    )
    arrays = {key: value.float().contiguous().numpy() for key, value in weights.items()}
    return Imported(spec, arrays, card(spec, _describe(spec)))


def _describe(spec: ModelSpec) -> str:
    """One line on an imported network."""
    guided = "no prior"
    if spec.prior.kind != "none":
        guided = (
            f"BlurDM's prior, one a {'photo' if spec.prior.scope == 'image' else spec.prior.scope}"
        )
    return f"Backbone `{spec.backbone.kind}` {spec.backbone.sizes}, {guided}."


def fit_to(
    state: Mapping[str, Tensor], names: Mapping[str, str], network: nn.Module, what: str
) -> Fit:
    """Rename tensors and match them to those of a network.

    Axes of length one do not matter: the authors keep some that we do not.
    """
    wanted = network.state_dict()
    originals = {rename(name, names): name for name in state}
    weights, misshaped = {}, []
    for name in wanted.keys() & originals.keys():
        given, shape = state[originals[name]], wanted[name].shape
        if [s for s in given.shape if s != 1] == [s for s in shape if s != 1]:
            weights[name] = given.reshape(shape)
        else:
            misshaped.append(f"{originals[name]}: {tuple(given.shape)}, not {tuple(shape)}")
    return Fit(
        what,
        weights,
        missing=[name for name in wanted if name not in originals],
        unexpected=[original for name, original in originals.items() if name not in wanted],
        misshaped=sorted(misshaped),
    )


def _fit_backbone(
    state: Mapping[str, Tensor], backbone: str, size: str | None, path: Path
) -> tuple[Fit, dict[str, Any]]:
    kind = family(backbone)
    names = [size] if size else list(kind.sizes)
    fits = {name: _fit_size(state, kind, backbone, name) for name in names}
    best = min(fits, key=lambda name: fits[name].faults)
    if fits[best].faults:
        raise ModelError(
            f"{path} does not fit {fits[best].what}: {fits[best].say()}",
            hint=_hint(state, fits[best]),
        )
    sizes = kind.size(best)
    if backbone == "nafnet":
        sizes["window"] = ORIGINAL_WINDOW
    return fits[best], sizes


def _fit_size(state: Mapping[str, Tensor], kind: Family, backbone: str, size: str) -> Fit:
    renamed = {rename(name, kind.original_names): value for name, value in state.items()}
    network = _unweighted(backbone, size, _prior_channels(renamed))
    return fit_to(state, kind.original_names, network, f"{backbone} ({size})")


@cache
def _unweighted(backbone: str, size: str, prior_channels: int) -> nn.Module:
    """A network whose tensors have shapes, but no values."""
    kind = family(backbone)
    with torch.device("meta"):
        return kind.network(prior_channels, **kind.size(size))


def _nearest(state: Mapping[str, Tensor]) -> tuple[str, Fit]:
    """The backbone that has the most tensors of a checkpoint, and how its best size fits."""
    fits = [
        (backbone, _fit_size(state, kind, backbone, size))
        for backbone, kind in BACKBONES.items()
        if kind.original_names
        for size in kind.sizes
    ]
    return max(fits, key=lambda found: (len(found[1].weights), -found[1].faults))


def _hint(state: Mapping[str, Tensor], tried: Fit) -> str:
    """Hint that names the backbone and size with the most tensors of a checkpoint."""
    best = _nearest(state)[1]
    if len(best.weights) < len(state) / 2:
        return "It does not match any backbone that blurdm knows"
    if best.what == tried.what:
        return f"{best.what} is still the nearest backbone"
    return f"The nearest backbone is {best.what}, which has {len(best.weights)} of its tensors"


def _import_prior(path: Path, channels: int) -> tuple[PriorSpec, dict[str, Tensor]]:
    state = unwrap(read(path), PRIOR_WRAPPERS, path)
    buffers = {name: state.pop(name, None) for name in ("alphas", "betas_bar", "time_stamps_list")}
    spec = PriorSpec(
        "blurdm",
        channels,
        "paper",
        schedule=_schedule_of(buffers["alphas"], buffers["betas_bar"], path),
        fusion="scale",
    )
    with torch.device("meta"):
        network = blurdm.PriorNetwork(spec)
    fit = fit_to(state, blurdm.ORIGINAL_NAMES, network, "BlurDM's prior network")
    if fit.faults:
        raise ModelError(
            f"{path} does not fit {fit.what}: {fit.say()}",
            hint="--prior takes the checkpoint of the diffusion, not of the backbone",
        )
    return spec, fit.weights


def _schedule_of(alphas: Tensor | None, betas_bar: Tensor | None, path: Path) -> ScheduleSpec:
    """The schedule in a checkpoint, by name if it is a known one; "released" if there is none.

    The noise scales may include that of the sharp state, which is 0, or begin after it.
    """
    if alphas is None or betas_bar is None:
        usual = schedule("released")
        return ScheduleSpec("released", usual.alpha, usual.beta_bar)
    alpha, beta_bar = tuple(alphas.flatten().tolist()), tuple(betas_bar.flatten().tolist())
    if len(beta_bar) < len(alpha):
        beta_bar = (0.0, *beta_bar)
    try:
        ExposureSchedule(alpha, beta_bar)
    except ValueError as error:
        raise ModelError(f"The schedule in {path} is invalid: {error}") from error
    for name in SCHEDULES:
        known = schedule(name, steps=len(alpha) - 1)
        if np.allclose(alpha, known.alpha) and np.allclose(beta_bar, known.beta_bar, atol=1e-6):
            return ScheduleSpec(name, known.alpha, known.beta_bar)
    return ScheduleSpec("of the checkpoint", alpha, beta_bar)


def _prior_channels(weights: Mapping[str, Tensor]) -> int:
    """Length of the prior that the fusions take; 0 if there are none."""
    return next((value.shape[1] for name, value in weights.items() if name.endswith(FUSION)), 0)


def rename(name: str, names: Mapping[str, str]) -> str:
    """Rename a tensor by one of the tables `ORIGINAL_NAMES`; each pattern is replaced in turn."""
    for pattern, replacement in names.items():
        name = re.sub(pattern, replacement, name)
    return name
