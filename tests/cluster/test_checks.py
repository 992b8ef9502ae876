"""What is checked before a run on a cluster; no cluster is needed."""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from blurdm_cli import zoo
from blurdm_cli.errors import BlurdmError, DiskFull, MemoryFull, OutOfMemory
from tests.cli import TINY, Blurdm

ray = pytest.importorskip("ray", reason="Ray is not installed")

from blurdm_cli.cluster.nodes import Node, find_fault, marked  # noqa: E402
from blurdm_cli.cluster.pool import wants_cards  # noqa: E402
from blurdm_cli.cluster.shipping import Parcel, unpack  # noqa: E402


def fault(sight: object) -> str:
    found = find_fault(sight, "other (10.0.0.2)")  # type: ignore[arg-type]
    return f"{found}, {found.exit_code}" if found else ""


def test_a_node_has_to_see_the_folders_and_the_inputs_of_a_run(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blurdm_cli.cluster.nodes.PATIENCE", 0.0)
    monkeypatch.chdir(tmp_path)
    out = Path("out")
    with marked([out], [Path("missing.jpg"), Path("photo.jpg")]) as sight:
        monkeypatch.chdir("/")
        assert fault(sight) == ""
        assert "has blurdm" in fault(replace(sight, version="0.0.1"))
        mark = next(path for path in (tmp_path / "out" / ".blurdm").iterdir())
        own = mark.read_text()
        mark.write_text("the same path on another disk")
        assert "(10.0.0.2) does not see the folder" in fault(sight)
        mark.write_text(own)
        photo.write_bytes(b"")
        assert "does not see the input" in fault(sight)
        photo.unlink()
        assert "does not see the input" in fault(sight)
        monkeypatch.chdir(tmp_path)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BlurdmError, match="cannot be written"), marked([tmp_path / "file"], []):
        pass


def test_a_node_takes_the_model_that_the_run_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = zoo.find("blurdm-tiny").folder
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    monkeypatch.setattr(ray, "get", lambda contents: files)
    same = Parcel("blurdm-tiny", zoo.fingerprint("blurdm-tiny"), ray.ObjectRef.nil())
    assert unpack(same) == ("blurdm-tiny", None)
    other = shutil.copytree(tiny, tmp_path / "models" / "blurdm-tiny") / "config.json"
    other.write_text(other.read_text().replace('"tile": 256', '"tile": 128'))
    monkeypatch.setenv("BLURDM_MODELS", str(tmp_path / "models"))
    for parcel in (same, replace(same, name="not-here")):
        name, folder = unpack(parcel)
        assert folder
        assert zoo.fingerprint(name) == same.fingerprint
        shutil.rmtree(folder)
    graph = replace(same, name="elsewhere/graph.onnx", fingerprint=zoo.fingerprint("blurdm-fast"))
    name, folder = unpack(graph)
    assert folder
    assert Path(name).read_bytes() == files["graph.onnx"]
    shutil.rmtree(folder)


def test_cards_are_used_if_a_node_has_one_and_cores_otherwise() -> None:
    plain, better = Node("a", "a", 8, 0), Node("b", "b", 8, 2)
    assert wants_cards("auto", [plain, better])
    assert not wants_cards("auto", [plain])
    assert not wants_cards("cpu", [plain, better])
    with pytest.raises(BlurdmError, match="No machine"):
        wants_cards("cuda", [plain])
    with pytest.raises(BlurdmError, match="one machine"):
        wants_cards("cuda:0,cuda:1", [better])


def test_addresses_without_a_cluster_are_refused_at_once(blurdm: Blurdm, photo: Path) -> None:
    result = blurdm("deblur", photo, "--cluster", "ray://head:10001", *TINY)
    assert result.code == 2
    assert "HOST:PORT" in result.err
    for address in ("127.0.0.1:1", "nonsense"):
        result = blurdm("deblur", photo, "--cluster", address, *TINY)
        assert result.code == 7
        assert f"no Ray cluster at '{address}'" in result.err


@pytest.mark.parametrize(
    "error", [OutOfMemory("cpu", 256), MemoryFull("a photo"), DiskFull("full", hint="free some")]
)
def test_errors_come_through_whole(error: BlurdmError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.hint) == (str(error), error.hint)
