"""The model card that a training run writes: what the run knows of its own model."""

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
    """Markdown: the networks, the data and the three stages of a trained model."""
    stages = {name: row for name, row in spec.training.items() if isinstance(row, dict)}
    rows = [
        f"| {name} | " + " | ".join(str(row.get(column, "")) for column in STAGE_COLUMNS) + " |"
        for name, row in stages.items()
    ]
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
            "PSNR in dB, on the run's own validation crops; stage 1 is told the answer's latent.",
            "",
        ]
    )
