"""The model and the expert of a request.

A request names them, and never gives a path on the server. It may name those of the zoo, and the
server's own, which may have been given by path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blurdm_cli import zoo
from blurdm_cli.engine.option_checks import check_expert
from blurdm_cli.errors import ModelError
from blurdm_cli.pipeline.options import ModelOptions
from blurdm_cli.serve.failures import NotFound
from blurdm_cli.serve.settings import Options
from blurdm_cli.spec import ModelSpec


def rows(own: ModelOptions) -> list[dict[str, Any]]:
    """The models that a request may name, for JSON.

    Args:
        own: the server's own models.
    """
    rows = []
    for name, place in sorted(_known(own).items()):
        try:
            spec = _spec(place)
        except ModelError:
            continue
        row = {"name": name, "default": place == own.model, "expert": place == own.expert}
        facts = {
            "backbone": spec and spec.backbone.kind,
            "prior": spec and spec.prior.kind,
            "motion": spec and spec.candidates,
            "licence": spec and spec.licence,
        }
        rows.append(row | facts)
    return rows


def chosen(options: Options, own: ModelOptions) -> dict[str, str | None]:
    """Find the model and the expert of a request.

    The server's expert is the default beside the server's model, if the motion is estimated.

    Args:
        options: the options of the request.
        own: the server's own models.

    Raises:
        NotFound: there is no such model.
        UsageError: the model cannot have an expert.
    """
    known = _known(own)

    def find(name: str) -> str:
        if name not in known:
            raise NotFound(f"There is no model {name!r}", hint=f"Known: {', '.join(sorted(known))}")
        return known[name]

    model = own.model if options.model is None else find(options.model)
    if options.expert is None:
        usual = model == own.model and options.motion != "off"
        return {"model": model, "expert": own.expert if usual else None}
    expert = find(options.expert) if options.expert else None
    if expert and (spec := _spec(model)):
        check_expert(options.motion, spec)
    return {"model": model, "expert": expert}


def _known(own: ModelOptions) -> dict[str, str]:
    """Names, each with what opens the model."""
    known = {folder.name: folder.name for folder in zoo.every()}
    given = [model for model in (own.model, own.expert) if model and model not in known]
    return known | {Path(model).stem: model for model in given}


def _spec(model: str) -> ModelSpec | None:
    """The specification of a model; None for a graph file, which has to be opened for it.

    Raises:
        ModelError: it cannot be read.
    """
    return None if model.lower().endswith(".onnx") else zoo.find(model).spec
