"""Build a model's networks from its spec."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.errors import ModelError, UsageError
from blurdm_cli.networks import fftformer, loformer, mimo_unet, nafnet, stripformer, unet
from blurdm_cli.networks.blocks import PriorFusion
from blurdm_cli.networks.fusion import OUTPUTS, backbone_input, fuse
from blurdm_cli.networks.prior import PriorNetwork
from blurdm_cli.spec import BackboneSpec, ModelSpec, Padding, PriorSpec


@dataclass(frozen=True)
class Family:
    """A kind of backbone: its class, and the facts needed before it is built."""

    network: type[nn.Module]
    sizes: Mapping[str, Mapping[str, Any]]
    """Arguments of the class, by name of the size."""
    usual: str
    """Default size."""
    original_names: Mapping[str, str] = field(default_factory=dict)
    """Patterns that map the authors' parameter names to ours, each replaced in turn."""
    original_range: tuple[float, float] = (0.0, 1.0)
    """Values of black and white in the input of the authors' network without a prior."""
    original_padding: Padding = "mirror"
    """What extends photos in the authors' network."""
    original_multiple_of: int | None = None
    """Sides that the authors' network does not extend are multiples of this; None if the class
    says it."""
    tile: tuple[int, int] = (512, 96)
    """Tile and halo in pixels, if no prior depends on the tile."""
    guided_tile: tuple[int, int] = (256, 32)
    """Tile and halo if each tile has its own prior: about as large as the training crop."""

    def size(self, name: str) -> dict[str, Any]:
        """The arguments of one size.

        Raises:
            UsageError: there is no such size.
        """
        if name not in self.sizes:
            known = ", ".join(self.sizes)
            raise UsageError(f"There is no size {name!r}", hint=f"Known: {known}")
        return dict(self.sizes[name])

    def spec(self, name: str, backbone: BackboneSpec, prior: PriorSpec) -> ModelSpec:
        """Spec of a new model of this family."""
        per_tile = prior.kind != "none" and prior.scope == "tile"
        tile, halo = self.guided_tile if per_tile else self.tile
        levels = len(backbone.sizes.get("widths", ()))
        return ModelSpec(
            name,
            backbone,
            prior,
            multiple_of=getattr(self.network, "multiple_of", 2**levels),
            tile=tile,
            halo=halo,
            input_range=getattr(self.network, "input_range", (-0.5, 0.5)),
        )


LOFORMER_TILE = (384, 32)
"""The authors' tile for photos. The tile's size matters to the cosine transforms."""

BACKBONES: dict[str, Family] = {
    "unet": Family(unet.UNet, unet.SIZES, "fast", tile=(1056, 32)),
    "mimo_unet": Family(
        mimo_unet.MimoUNet,
        mimo_unet.SIZES,
        "plus",
        mimo_unet.ORIGINAL_NAMES,
        original_multiple_of=4,
    ),
    "stripformer": Family(
        stripformer.Stripformer,
        stripformer.SIZES,
        "paper",
        stripformer.ORIGINAL_NAMES,
        (-0.5, 0.5),
        original_multiple_of=4,
    ),
    "fftformer": Family(fftformer.FFTformer, fftformer.SIZES, "paper", fftformer.ORIGINAL_NAMES),
    "loformer": Family(
        loformer.LoFormer,
        loformer.SIZES,
        "small",
        loformer.ORIGINAL_NAMES,
        original_multiple_of=8,
        tile=LOFORMER_TILE,
        guided_tile=LOFORMER_TILE,
    ),
    "nafnet": Family(
        nafnet.NAFNet,
        nafnet.SIZES,
        "width32",
        nafnet.ORIGINAL_NAMES,
        original_padding="zeros",
    ),
}


def family(kind: str) -> Family:
    """A kind of backbone by its name.

    Raises:
        UsageError: there is none of this name.
    """
    if kind not in BACKBONES:
        raise UsageError(f"There is no backbone {kind!r}", hint=f"Known: {', '.join(BACKBONES)}")
    return BACKBONES[kind]


class DeblurNetwork(nn.Module):
    """The networks that run at inference: the prior network, if any, and the backbone."""

    def __init__(self, spec: ModelSpec) -> None:
        """Build untrained networks.

        Raises:
            ModelError: the spec names an unknown backbone, sizes that it does not take, or a
                prior without a schedule or with an invalid one.
        """
        super().__init__()
        self.by_region = spec.prior.scope == "region"
        self.candidates = spec.candidates
        self.low, high = spec.input_range
        self.span = high - self.low
        try:
            self.prior = (
                None
                if spec.prior.kind == "none"
                else PriorNetwork(spec.prior, candidates=spec.candidates)
            )
        except ValueError as error:
            raise ModelError(f"The prior {spec.prior.kind!r} cannot be built: {error}") from error
        try:
            backbone = BACKBONES[spec.backbone.kind].network
            sizes = dict(spec.backbone.sizes)
            if spec.candidates:
                sizes |= {"inputs": spec.planes, "outputs": 3 + OUTPUTS}
            self.backbone = backbone(spec.prior_channels, **sizes)
        except KeyError:
            raise ModelError(
                f"There is no backbone {spec.backbone.kind!r}",
                hint=f"Known: {', '.join(BACKBONES)}",
            ) from None
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"The backbone {spec.backbone.kind!r} cannot be built: {error}"
            ) from error
        for module in self.backbone.modules():
            if isinstance(module, PriorFusion):
                module.unscaled = float(spec.prior.fusion == "one_plus_scale")

    def forward(
        self, blurred: Float[Tensor, "n planes h w"], noise: Float[Tensor, "n c"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Restore sRGB images in [0, 1], followed by their candidates if the model takes them.

        The result is not clipped.
        """
        return self.restore(blurred, self.find_prior(blurred, noise))

    def find_prior(
        self, blurred: Float[Tensor, "n planes h w"], noise: Float[Tensor, "n c"] | None = None
    ) -> Float[Tensor, "n *regions c"] | None:
        """Estimate the latent prior of each image; None for a model without one.

        A model with a prior per region returns one for each region. In training, where crops are
        no larger than a region, it returns one for each crop.

        Raises:
            ValueError: the model has a prior, and there is no noise to start from.
        """
        if self.prior is None:
            return None
        if noise is None:
            raise ValueError("a model with a prior needs noise to start from")
        seen = self.seen(blurred)
        if self.by_region and not self.training:
            return self.prior.by_region(seen, noise)
        return self.prior(seen, noise)

    def find_photo_prior(
        self, blurred: Float[Tensor, "n planes h w"], noise: Float[Tensor, "n c"]
    ) -> Float[Tensor, "n c"]:
        """Estimate the prior of whole photos of any size, one band of rows at a time.

        Only the spectral encoder's spectrum is computed of the whole photo at once; its memory
        grows with the photo's height.

        Raises:
            ValueError: the model has no prior.
        """
        if self.prior is None:
            raise ValueError("a model without a prior cannot estimate one")
        return self.prior.of_photo(self.to_range(blurred[:, :3]), noise)

    def restore(
        self, blurred: Float[Tensor, "n planes h w"], prior: Float[Tensor, "n *regions c"] | None
    ) -> Float[Tensor, "n 3 h w"]:
        """Restore images with a given prior."""
        return self._picture(self.backbone(self.seen(blurred), prior), blurred)

    def restore_scales(
        self, blurred: Float[Tensor, "n planes h w"], prior: Float[Tensor, "n c"] | None
    ) -> list[Float[Tensor, "n 3 _ _"]]:
        """Restore images at full size, and at smaller sizes if the backbone does; for training."""
        forward_scales: Any = getattr(self.backbone, "forward_scales", None)
        if forward_scales is None:
            return [self.restore(blurred, prior)]
        full, *smaller = forward_scales(self.seen(blurred), prior)
        return [
            self._picture(full, blurred),
            *((image - self.low) / self.span for image in smaller),
        ]

    def seen(self, blurred: Float[Tensor, "n planes h w"]) -> Float[Tensor, "n planes h w"]:
        """The networks' input: images in their range, candidates as differences."""
        if self.candidates:
            return backbone_input(blurred, self.low, self.span)
        return self.to_range(blurred)

    def _picture(
        self, given: Float[Tensor, "n outputs h w"], blurred: Float[Tensor, "n planes h w"]
    ) -> Float[Tensor, "n 3 h w"]:
        """Compute the restored image from a backbone's output."""
        own = (given[:, :3] - self.low) / self.span
        return fuse(own, given[:, 3:], blurred) if self.candidates else own

    def to_range(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Map images from [0, 1] to the input range of the networks."""
        return images * self.span + self.low


def build(spec: ModelSpec, weights: Mapping[str, np.ndarray] | None = None) -> DeblurNetwork:
    """Build a model's networks, and load its weights if they are given.

    Raises:
        ModelError: the spec cannot be built, or the weights are not this model's.
    """
    network = DeblurNetwork(spec)
    if weights is None:
        return network
    state = {name: torch.from_numpy(array).float() for name, array in weights.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise ModelError(f"The weights do not fit the model {spec.name!r}: {first}") from error
    return network
