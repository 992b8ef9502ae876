"""The image is built nowhere that has no container engine; what can be checked is checked."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1]
TEXT = (PROJECT / "Dockerfile").read_text()


def test_the_linter_has_nothing_to_say() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = beside if beside.is_file() else shutil.which("hadolint")
    assert hadolint, "pip install -e '.[test]' brings it on Linux"
    done = subprocess.run([hadolint, PROJECT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_dependencies_are_installed_before_the_sources_are_copied(tmp_path: Path) -> None:
    for extra, name in (("openvino", "cpu"), ("cuda", "cuda")):
        stage = TEXT[TEXT.index(f"AS build-{name}") :]
        assert stage.index("-c constraints.txt -r") < stage.index("COPY blurdm_cli")
        code = stage[stage.index('python -c "') + 11 : stage.index('" > ')].replace("\\\n", "")
        done = subprocess.run(
            ["sh", "-c", f'{sys.executable} -c "{code}"'],
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
        extras = wanted["optional-dependencies"]
        assert set(done.stdout.splitlines()) == {
            *wanted["dependencies"],
            *(each for name in (extra, "serve", "watch") for each in extras[name]),
        }


def test_all_that_is_copied_exists_and_travels() -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    copies = [line.split()[1:-1] for line in TEXT.splitlines() if line.startswith("COPY ")]
    for name in (name for names in copies for name in names):
        if not name.startswith(("--from", "/opt")):
            assert (PROJECT / name).exists()
            assert f"!{name}" in ignored


def test_the_container_does_not_run_as_root() -> None:
    assert TEXT.index("USER 1000") < TEXT.index("ENTRYPOINT")
