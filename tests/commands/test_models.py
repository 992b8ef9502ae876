import json
from pathlib import Path

import pytest
import torch

from blurdm_cli import zoo
from blurdm_cli.networks.mimo_unet import SIZES, MimoUNet
from tests.cli import Blurdm

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
    assert all(folder.name in listed for folder in zoo.every())
    shown = blurdm("models", "show", "blurdm-tiny").out
    assert "Apache-2.0" in shown
    assert "stage3" in shown


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a model whose config.json nobody can read."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"format": 99}')
    monkeypatch.setenv("BLURDM_MODELS", str(tmp_path))
    return "broken"


def test_a_broken_model_does_not_hide_the_others(
    blurdm: Blurdm, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blurdm_cli.commands.doctor._run", lambda runtime: runtime)
    listed = blurdm("models", "list", "--json")
    assert listed.code == 0
    assert zoo.DEFAULT in listed.out
    assert broken in listed.err
    looked = blurdm("doctor", "--json")
    found = {row["what"]: row for row in json.loads(looked.out)}
    assert looked.code == 6
    assert found[f"model {broken}"]["fix"]
    assert not found[f"model {zoo.DEFAULT}"]["fix"]


def test_an_unknown_model_is_code_6(blurdm: Blurdm) -> None:
    assert blurdm("models", "show", "nothing-like-it").code == 6


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Weights that no table has to rename but for the first layer's."""
    state = MimoUNet(0, **SIZES["tiny"]).state_dict()
    state["feat_extract.0.main.0.weight"] = state.pop("stem.weight")
    torch.save({"model": state}, tmp_path / "tiny.pkl")
    return tmp_path / "tiny.pkl"


def test_an_imported_checkpoint_is_a_model_like_any_other(
    blurdm: Blurdm, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models" / "mine"
    imported = blurdm("models", "import", checkpoint, "-o", folder, "--licence", "MIT")
    assert imported.code == 0
    assert "tiny.pkl" in blurdm("models", "show", folder).out
    told = json.loads(blurdm("models", "show", folder, "--json").out)
    assert (told[0]["name"], told[0]["licence"], told[0]["prior"]) == ("mine", "MIT", "none")


def test_nothing_that_is_there_is_replaced_by_an_import(
    blurdm: Blurdm, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    words = ("models", "import", checkpoint, "--backbone", "mimo_unet", "-o", folder)
    assert blurdm(*words).code == 2
    assert folder.is_dir()


def test_a_checkpoint_that_does_not_fit_is_code_6_and_leaves_nothing(
    blurdm: Blurdm, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    result = blurdm("models", "import", checkpoint, "--backbone", "nafnet", "-o", folder)
    assert result.code == 6
    assert "missing" in result.err
    assert "mimo_unet (tiny)" in result.err
    assert not folder.exists()
