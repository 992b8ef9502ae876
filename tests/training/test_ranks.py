import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from blurdm_cli.errors import UsageError
from blurdm_cli.training import ranks, stages, trainer
from tests.training import shared_run
from tests.training.small import prepared_crops

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shared:
    """What two processes did, and one process with the same recipes."""

    folder: Path
    code: int
    said: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder = tmp_path_factory.mktemp("shared")
    noise = np.random.default_rng(0).integers(0, 256, (100, 110, 3), dtype=np.uint8)
    (folder / "sharp").mkdir()
    (folder / "crops").mkdir()
    candidates = prepared_crops(folder / "crops")
    Image.fromarray(noise).save(folder / "sharp" / "0.png")
    options = ("--nproc-per-node", "2", "--master-addr", "127.0.0.1")
    script = (shared_run.__file__, folder, folder / "sharp")
    with subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, *map(str, script)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            process.terminate()  # which it passes on
            raise
    threads, watched = torch.get_num_threads(), trainer.WATCHED
    trainer.WATCHED = 3
    shared_run.train(shared_run.mixture(), folder / "one", *stages.RECIPES)
    shared_run.train(candidates, folder / "one_fused", "stage1")
    shared_run.train(shared_run.mixture(), folder / "parts", "stage1", resume=True)
    trainer.WATCHED = watched
    torch.set_num_threads(threads)
    return Shared(folder, process.returncode, said)


def same(one: Path, other: Path) -> None:
    found, wanted = load_file(one / stages.RESULT), load_file(other / stages.RESULT)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=0, msg=name)


def rows(stage: Path) -> list[tuple[str, ...]]:
    with (stage / "losses.csv").open() as file:
        found = [(row["step"], row["loss"], row["psnr_restored"]) for row in csv.DictReader(file)]
    return [tuple(value and f"{float(value):.3g}" for value in row) for row in found]


@pytest.mark.parametrize("stage", stages.RECIPES)
def test_two_processes_learn_what_one_does_from_the_same_batches(
    shared: Shared, stage: str
) -> None:
    same(shared.folder / "two" / stage, shared.folder / "one" / stage)
    assert rows(shared.folder / "two" / stage) == rows(shared.folder / "one" / stage)


def test_two_processes_learn_from_candidates_what_one_does(shared: Shared) -> None:
    same(shared.folder / "two_fused" / "stage1", shared.folder / "one_fused" / "stage1")


def test_one_interrupted_process_stops_all_and_one_process_resumes_the_run(shared: Shared) -> None:
    ended = [(shared.folder / f"ended.{rank}").read_text() for rank in (0, 1)]
    assert ended == ["KeyboardInterrupt"] * 2
    same(shared.folder / "parts" / "stage1", shared.folder / "one" / "stage1")
    assert rows(shared.folder / "parts" / "stage1")[0][0] == str(shared_run.INTERRUPTED)


def test_one_failing_process_ends_all_with_its_message_alone(shared: Shared) -> None:
    lines = shared.said.splitlines()
    assert shared.code != 0
    assert [line for line in lines if line.startswith("error")] == [
        "error: A step of 2 crops of 32 pixels does not fit in the memory of the card of rank 1"
    ]
    assert sum(line.startswith("data:") for line in lines) == 1
    assert not [line for line in lines if "gloo" in line]


def as_rank(monkeypatch: pytest.MonkeyPatch, rank: int, count: int) -> None:
    monkeypatch.setattr(ranks, "rank", lambda: rank)
    monkeypatch.setattr(ranks, "count", lambda: count)


def test_each_crop_belongs_to_one_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for rank in range(3):
        as_rank(monkeypatch, rank, 3)
        numbers = ranks.shares(6, steps=4)
        assert numbers is not None
        assert [number // 6 for number in numbers] == [0, 0, 1, 1, 2, 2, 3, 3]
        found += numbers
    assert sorted(found) == list(range(24))


def test_a_batch_that_cannot_be_shared_is_refused_with_one_that_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_rank(monkeypatch, 0, 8)
    with pytest.raises(UsageError, match="12 crops cannot be divided among 8") as caught:
        ranks.share_of(12)
    assert "--batch 16" in str(caught.value.hint)
    assert ranks.share_of(24) == 3


@pytest.mark.parametrize(
    ("name", "cards", "found"),
    [("auto", 0, "cpu"), ("cpu", 4, "cpu"), ("auto", 4, "cuda:3"), ("cuda", 4, "cuda:3")],
)
def test_each_process_has_its_own_card(
    monkeypatch: pytest.MonkeyPatch, name: str, cards: int, found: str
) -> None:
    as_rank(monkeypatch, 3, 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr("torch.cuda.is_available", lambda: cards > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: cards)
    assert ranks.device_of(name) == found
    with pytest.raises(UsageError, match="one device for 4 processes"):
        ranks.device_of("cuda:1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    if found != "cpu":
        with pytest.raises(UsageError, match="8 processes for 4 cards"):
            ranks.device_of(name)
