"""Several devices of one machine; here the processor stands for each card."""

import json
import threading
from pathlib import Path

import pytest

from blurdm_cli.engine import devices
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.devices import list_devices
from blurdm_cli.errors import RuntimeMissing, UsageError
from blurdm_cli.pipeline.options import ModelOptions
from tests.cli import TINY, Blurdm
from tests.clips import make_clip
from tests.pipeline.album import results


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices that the model was opened on; all of them are the processor."""
    opened = []
    plain = ModelOptions.open

    def open_on_cpu(self: ModelOptions) -> Deblurrer:
        opened.append(self.device)
        object.__setattr__(self, "device", "cpu")
        return plain(self)

    monkeypatch.setattr(ModelOptions, "open", open_on_cpu)
    return opened


def test_several_cards_give_the_bytes_of_one_and_finish_its_run(
    blurdm: Blurdm, album: Path, tmp_path: Path, cards: list[str]
) -> None:
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    make_clip(album / "clip.mkv", codec="ffv1")
    one, several = tmp_path / "one", tmp_path / "several"
    assert blurdm("deblur", album, "-o", one, *TINY).code == 4
    words = ("deblur", album, "-o", several, "--device", "cuda:0,cuda:1", "--json", *TINY)
    result = blurdm(*words)
    assert result.code == 4, result.err
    assert cards == ["auto", "cuda:0", "cuda:1"]
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert sorted(row["status"] for row in rows) == ["done"] * 5 + ["failed"]
    assert {row["device"] for row in rows} == {"cuda:0,cuda:1"}
    photos = [name for name in results(one) if name.endswith(".jpg")]
    assert results(several) == results(one)
    assert all((several / name).read_bytes() == (one / name).read_bytes() for name in photos)
    assert "5 done before" in blurdm("deblur", album, "-o", several, *TINY).err
    (one / "b.jpg").unlink()
    assert "4 done before" in blurdm(*words[:3], one, *words[4:]).err
    assert results(one) == results(several)


def test_cards_work_at_the_same_time(
    blurdm: Blurdm, album: Path, tmp_path: Path, cards: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    met = threading.Barrier(4, timeout=20)  # two files on each card
    plain = Deblurrer.restore

    def restore(self: Deblurrer, *given: object, **named: object) -> object:
        met.wait()
        return plain(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Deblurrer, "restore", restore)
    words = ("deblur", album, "-o", tmp_path / "out", "--device", "cuda:0,cuda:1", *TINY)
    assert blurdm(*words).code == 0


def test_an_error_of_a_worker_that_is_a_bug_ends_the_run(
    blurdm: Blurdm, album: Path, tmp_path: Path, cards: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def restore(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Deblurrer, "restore", restore)
    with pytest.raises(ZeroDivisionError):
        blurdm("deblur", album, "-o", tmp_path / "out", "--device", "cuda:0,cuda:1", *TINY)


def test_existing_files_are_kept_and_in_place_works_as_on_one_device(
    blurdm: Blurdm, album: Path, cards: list[str]
) -> None:
    before = (album / "a.jpg").read_bytes()
    words = ("deblur", album, "--in-place", "--compare", "--device", "cuda:0,cuda:1", *TINY)
    assert blurdm(*words).code == 0
    assert (album / "a.jpg.orig").read_bytes() == before
    assert (album / "a.compare.jpg").exists()
    assert "4 done before" in blurdm(*words).err


def test_all_cuda_is_every_card_that_the_driver_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cuda_count", lambda: 3)
    assert list_devices("all-cuda") == ["cuda:0", "cuda:1", "cuda:2"]
    assert list_devices("cuda:1, cuda:0") == ["cuda:1", "cuda:0"]
    assert list_devices("auto") == ["auto"]
    for wrong in ("cuda:0,cuda:0", "cuda:0,auto", "cuda:0,", "cuda:0,all-cuda"):
        with pytest.raises(UsageError, match="cannot be"):
            list_devices(wrong)
    monkeypatch.setattr(devices, "cuda_count", lambda: 0)
    with pytest.raises(RuntimeMissing, match="no CUDA device"):
        list_devices("all-cuda")
