import importlib.metadata as metadata
import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.cli import Blurdm


def test_all_is_well_here(blurdm: Blurdm) -> None:
    result = blurdm("doctor", "--json")
    found = {row["what"]: row for row in json.loads(result.out)}
    assert result.code == 0
    assert not any(row["fix"] for row in found.values())
    assert "hashes match" in found["model blurdm-fast"]["found"]
    for runtime in ("onnx", "openvino", "torch", "auto"):
        assert "opened and ran" in found[f"runtime {runtime}"]["found"]


@pytest.fixture
def unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runtimes are not opened: that takes longer than all other checks."""
    monkeypatch.setattr("blurdm_cli.commands.doctor._run", lambda runtime: runtime)


@pytest.mark.usefixtures("unopened")
def test_what_is_missing_is_code_7_and_what_is_optional_is_not(
    blurdm: Blurdm, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = metadata.version

    def without(*names: str) -> Callable[[str], str]:
        def look(name: str) -> str:
            if name in names:
                raise metadata.PackageNotFoundError(name)
            return version(name)

        return look

    monkeypatch.setattr(metadata, "version", without("torch"))
    result = blurdm("doctor")
    assert result.code == 0
    assert "pip install torch" in result.out
    monkeypatch.setattr(metadata, "version", without("pillow"))
    assert blurdm("doctor").code == 7


@pytest.mark.usefixtures("unopened")
@pytest.mark.parametrize(
    ("one", "other"),
    [("onnxruntime-gpu", "onnxruntime"), ("opencv-python-headless", "opencv-python")],
)
def test_two_distributions_of_one_package_are_found(
    one: str, other: str, blurdm: Blurdm, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [SimpleNamespace(name=name, version="1") for name in (one, other)]
    monkeypatch.setattr(metadata, "distributions", lambda: both)
    result = blurdm("doctor")
    assert result.code == 7
    assert f"pip uninstall {other}; pip install --force-reinstall {one}" in result.out


def test_models_that_are_not_there_are_code_6(
    blurdm: Blurdm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blurdm_cli.zoo.search_path", list)
    assert blurdm("doctor").code == 6
