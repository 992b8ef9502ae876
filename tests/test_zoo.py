import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blurdm_cli import zoo
from blurdm_cli.errors import ModelError
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec

SPEC = ModelSpec("mine", BackboneSpec("unet"), PriorSpec("none", 0), multiple_of=8)
WEIGHTS = {
    "a.weight": np.arange(12, dtype=np.float16).reshape(3, 4),
    "b.bias": np.ones(5, dtype=np.float32),
}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for models that is searched before all others."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("BLURDM_MODELS", str(folder))
    return folder


def test_what_is_written_is_found_and_read(models: Path) -> None:
    zoo.write(models / "mine", SPEC, WEIGHTS, card="# Mine")
    for found in (zoo.find("mine"), zoo.find(str(models / "mine"))):
        assert found.spec.without_hashes() == SPEC
        assert found.card() == "# Mine"
        assert found.parameters == 17
        read = found.weights()
        assert read.keys() == WEIGHTS.keys()
        for name, array in WEIGHTS.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype


@pytest.mark.parametrize(("value", "kind"), [(np.nan, np.float32), (np.inf, np.float16)])
def test_weights_that_are_not_finite_are_refused_and_replace_nothing(
    models: Path, value: float, kind: type
) -> None:
    zoo.write(models / "mine", SPEC, WEIGHTS, card="old")
    with pytest.raises(ModelError, match=r"a\.weight.*not all finite"):
        zoo.write(models / "mine", SPEC, {"a.weight": np.array([1, value], dtype=kind)}, card="new")
    assert zoo.find("mine").card() == "old"


def test_large_weights_are_cut_into_shards(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "SHARD_BYTES", 1000)
    weights = {f"layer{n}": np.full(100, n, dtype=np.float32) for n in range(9)}
    model = zoo.write(models / "mine", SPEC, weights, card="")

    sizes = [(model.folder / name).stat().st_size for name in model.spec.files]
    assert len(sizes) == 5
    assert model.size_bytes == sum(sizes)
    assert {name: array[0] for name, array in model.weights().items()} == {
        f"layer{n}": n for n in range(9)
    }


def test_the_same_weights_give_the_same_bytes(models: Path) -> None:
    one = zoo.write(models / "one", SPEC, WEIGHTS, card="")
    two = zoo.write(models / "two", SPEC, dict(reversed(WEIGHTS.items())), card="")
    assert one.spec.files == two.spec.files


def test_weights_carry_their_spec_without_hashes(models: Path) -> None:
    from safetensors import safe_open

    model = zoo.write(models / "mine", SPEC, WEIGHTS, card="")
    with safe_open(model.folder / "model.safetensors", "numpy") as file:
        assert ModelSpec.from_json(json.loads(file.metadata()["config"])) == SPEC


def test_a_model_is_replaced_as_a_whole(models: Path) -> None:
    zoo.write(models / "mine", SPEC, WEIGHTS, card="old")
    (models / "mine" / "stray.txt").touch()
    zoo.write(models / "mine", replace(SPEC, version="2"), WEIGHTS, card="new")
    assert zoo.find("mine").spec.version == "2"
    assert {path.name for path in models.rglob("*")} == {
        "mine",
        "README.md",
        "config.json",
        "model.safetensors",
    }


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_damaged_or_missing_weights_are_an_error(models: Path, damage: bytes | None) -> None:
    model = zoo.write(models / "mine", SPEC, WEIGHTS, card="")
    path = model.folder / "model.safetensors"
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(ModelError) as caught:
        zoo.find("mine").weights()
    assert caught.value.hint


@pytest.mark.parametrize("config", ["{", "[]", "{}", "[" * 100_000])
def test_a_config_that_cannot_be_read_is_an_error(models: Path, config: str) -> None:
    (models / "mine").mkdir()
    (models / "mine" / "config.json").write_text(config)
    with pytest.raises(ModelError, match=r"config\.json"):
        zoo.find("mine")


def test_an_unknown_name_is_an_error_that_names_the_nearest(models: Path) -> None:
    zoo.write(models / "mine", SPEC, WEIGHTS, card="")
    with pytest.raises(ModelError) as caught:
        zoo.find("mime")
    assert "'mine'" in str(caught.value.hint)


def test_the_user_s_own_folder_comes_first(models: Path) -> None:
    zoo.write(models / "blurdm-tiny", replace(SPEC, licence="mine"), WEIGHTS, card="")
    assert zoo.find("blurdm-tiny").spec.licence == "mine"
    names = [folder.name for folder in zoo.every()]
    assert names == sorted(set(names))


def test_an_error_in_a_config_says_in_which_folder(models: Path) -> None:
    (models / "mine").mkdir()
    (models / "mine" / "config.json").write_text('{"format": 99}')
    with pytest.raises(ModelError, match="mine"):
        zoo.find("mine")


def test_the_working_directory_may_be_the_zoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.write(tmp_path / "mine", SPEC, WEIGHTS, card="")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLURDM_MODELS", ".")
    assert "mine" in [folder.name for folder in zoo.every()]


def test_the_models_that_ship_are_whole_and_are_data() -> None:
    shipped = Path(zoo.__file__).parents[1] / "models"
    kinds = {path.suffix for path in shipped.rglob("*") if path.is_file()}
    assert kinds == {".md", ".json", ".onnx", ".safetensors"}
    for folder in (path for path in shipped.iterdir() if path.is_dir()):
        model = zoo.find(str(folder))
        assert model.spec.name == folder.name
        assert model.weights()
        assert model.card().startswith(f"# {folder.name}")
    assert (shipped / zoo.DEFAULT).is_dir()
