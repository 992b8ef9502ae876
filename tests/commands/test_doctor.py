import importlib.metadata as metadata
import json

import pytest

from tests.commands.conftest import Blurdm


def test_all_is_well_here(blurdm: Blurdm) -> None:
    result = blurdm("doctor", "--json")
    found = {row["what"]: row for row in json.loads(result.out)}
    assert result.code == 0
    assert not any(row["fix"] for row in found.values())
    assert "hashes right" in found["default model"]["found"]


def test_a_missing_package_is_code_7_with_the_command_that_mends_it(
    blurdm: Blurdm, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = metadata.version

    def without_torch(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_torch)
    result = blurdm("doctor")
    assert result.code == 7
    assert "pip install 'blurdm-cli[torch]'" in result.out


def test_models_that_are_not_there_are_code_6(
    blurdm: Blurdm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blurdm_cli.zoo.search_path", list)
    assert blurdm("doctor").code == 6
