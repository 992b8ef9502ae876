"""The model card that a training run writes about its own model."""

from collections.abc import Mapping
from typing import Any

from blurdm_cli.spec import ModelSpec

STAGE_COLUMNS = (
    "steps_done",
    "seconds",
    "batch",
    "crop",
    "learning_rate",
    "psnr_blurred",
    "psnr_restored",
)


def model_card(spec: ModelSpec) -> str:
    """Describe the networks, the data and the three stages of a trained model, in Markdown."""
    rows = [
        f"| {name} | " + " | ".join(str(row.get(column, "")) for column in STAGE_COLUMNS) + " |"
        for name, row in _stages(spec.training)
    ]
    evaluated = spec.training.get("evaluated", "the run's own validation crops")
    heads = " | ".join(column.replace("_", " ") for column in STAGE_COLUMNS)
    return "\n".join(
        [
            f"# {spec.name}",
            "",
            f"Backbone `{spec.backbone.kind}` {spec.backbone.sizes}, prior `{spec.prior.kind}`"
            f" with the {spec.prior.encoder} encoder. Licence: {spec.licence}.",
            "",
            f"Trained on: {'; '.join(spec.training.get('data', ['not recorded']))}.",
            "",
            f"| stage | {heads} |",
            "|---" * (len(STAGE_COLUMNS) + 1) + "|",
            *rows,
            "",
            f"PSNR in dB, on {evaluated}; stage 1 is told the answer's latent.",
            "",
        ]
    )


def _stages(training: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """All stages in training order, starting with those of the model that it began from."""
    before = _stages(training["from"]) if "from" in training else []
    return before + [(name, row) for name, row in training.items() if name.startswith("stage")]
