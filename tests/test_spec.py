import json
from typing import Any

import pytest

from blurdm_cli.errors import ModelError
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec, ScheduleSpec

SPEC = ModelSpec(
    "test",
    BackboneSpec("unet", {"widths": [8, 16]}),
    PriorSpec("blurdm", 16, "light", schedule=ScheduleSpec("paper", (1.0, 2.0), (0.0, 0.1))),
    multiple_of=8,
    input_range=(-0.5, 0.5),
    training={"stage1": {"steps": 3}},
    files={"model.safetensors": "00"},
)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The spec's JSON with one value replaced, or removed where it is None."""
    data: dict[str, Any] = json.loads(json.dumps(SPEC.to_json()))
    *parents, last = path.split(".")
    place = data
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


def test_json_there_and_back_changes_nothing() -> None:
    assert ModelSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


def test_what_is_not_said_has_its_default() -> None:
    data = changed("halo", None)
    assert ModelSpec.from_json(data).halo == 32


def test_a_model_without_a_prior_takes_no_noise() -> None:
    none = ModelSpec("test", SPEC.backbone, PriorSpec("none", 256), multiple_of=8)
    assert (none.prior_channels, SPEC.prior_channels) == (0, 16)


@pytest.mark.parametrize(
    ("path", "nearest"), [("multiple_off", "multiple_of"), ("prior.chanels", "channels")]
)
def test_an_unknown_key_is_refused_and_the_nearest_is_named(path: str, nearest: str) -> None:
    with pytest.raises(ModelError, match="unknown key") as caught:
        ModelSpec.from_json(changed(path, 3))
    assert nearest in str(caught.value.hint)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("multiple_of", None),
        ("backbone.kind", None),
        ("multiple_of", "8"),
        ("multiple_of", True),
        ("tile", 2.5),
        ("input_range", [0.0]),
        ("input_range", ["a", "b"]),
        ("prior.kind", "magic"),
        ("prior.encoder", 3),
        ("prior.schedule.alpha", 1.0),
        ("prior", "blurdm"),
        ("files", []),
        ("name", 3),
        ("format", 99),
        ("format", None),
        ("multiple_of", 0),
        ("tile", 0),
        ("halo", -1),
        ("smallest", 12),
        ("padding", "wrap"),
        ("prior.channels", 0),
    ],
)
def test_a_value_that_is_missing_or_of_the_wrong_type_is_refused(path: str, value: Any) -> None:
    with pytest.raises(ModelError) as caught:
        ModelSpec.from_json(changed(path, value))
    assert path.rsplit(".", maxsplit=1)[-1] in str(caught.value)


def test_a_graph_of_others_has_no_prior_and_rising_ranges() -> None:
    graph = {"input": "x", "output": "y", "input_range": [-1.0, 1.0]}
    data = SPEC.to_json() | {"graph": graph, "prior": {"kind": "none", "channels": 0}}
    read = ModelSpec.from_json(data)
    assert read.graph is not None
    assert (read.graph.input_range, read.graph.output_range) == ((-1.0, 1.0), (0.0, 1.0))
    assert ModelSpec.from_json(read.to_json()) == read
    ranges = ([1, 0], [0, float("inf")], [float("nan"), 1])
    for wrong in (
        {"prior": SPEC.to_json()["prior"]},
        *({"graph": graph | {"output_range": ends}} for ends in ranges),
    ):
        with pytest.raises(ModelError, match="graph"):
            ModelSpec.from_json(data | wrong)
