import json

import pytest

from blurdm_cli import zoo
from tests.commands.conftest import Blurdm

KEYS = {"name", "default", "backbone", "prior", "parameters", "bytes", "licence"}


@pytest.mark.parametrize("words", [("list",), ("show", "blurdm-tiny")])
def test_json_is_an_array_of_one_object_a_model(blurdm: Blurdm, words: tuple[str, ...]) -> None:
    result = blurdm("models", *words, "--json")

    told = json.loads(result.out)
    assert result.code == 0
    assert all(set(row) == KEYS for row in told)
    (tiny,) = (row for row in told if row["name"] == "blurdm-tiny")
    assert tiny["prior"] == "blurdm"
    assert tiny["bytes"] <= 2 * 2**20
    assert tiny["parameters"] * 2 < tiny["bytes"]


def test_the_default_model_is_there_and_is_the_only_default(blurdm: Blurdm) -> None:
    told = json.loads(blurdm("models", "list", "--json").out)
    assert [row["name"] for row in told if row["default"]] == [zoo.DEFAULT]


def test_list_names_every_model_and_show_its_card(blurdm: Blurdm) -> None:
    listed = blurdm("models", "list").out
    assert all(model.spec.name in listed for model in zoo.every())
    shown = blurdm("models", "show", "blurdm-tiny").out
    assert "Apache-2.0" in shown
    assert "stage3" in shown


def test_an_unknown_model_is_code_6(blurdm: Blurdm) -> None:
    assert blurdm("models", "show", "nothing-like-it").code == 6
