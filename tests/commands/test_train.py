import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli import zoo
from blurdm_cli.commands.model_options import AskedPrior, Encoder, Prior, spec_from
from blurdm_cli.errors import UsageError
from tests.cli import Blurdm

SMALL = ("--size", "tiny", "--prior-channels", "16", "--crop", "32", "--batch", "2")


@pytest.fixture(autouse=True)
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks here are tiny: threads on a busy machine cost, not help; nor do curves."""
    monkeypatch.setattr("blurdm_cli.machine.available_cores", lambda: 1)
    monkeypatch.setattr("blurdm_cli.training.run.find_spec", lambda name: None)


@pytest.fixture
def sharp_photos(tmp_path: Path) -> Path:
    folder = tmp_path / "sharp"
    folder.mkdir()
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 256, (150, 160, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs of 256 pixels, in GoPro's layout."""
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        sharp = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)
        for kind, image in (("sharp", sharp), ("blur", sharp.reduce(2).resize((256, 256)))):
            (tmp_path / "pairs" / kind).mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / "pairs" / kind / f"{number}.png")
    return tmp_path / "pairs"


def test_a_model_that_was_just_trained_is_scored_and_deblurs(
    blurdm: Blurdm, sharp_photos: Path, pairs: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ("--data", sharp_photos, "--val", pairs, "-o", run, *SMALL)

    trained = blurdm("train", "all", *words, "--steps", "9", "--name", "mine")
    scored = blurdm("eval", run / "model", "--data", pairs, "--precision", "fp32")
    deblurred = blurdm("deblur", sharp_photos / "0.png", "--model", run / "model")

    assert (trained.code, scored.code, deblurred.code) == (0, 0, 0)
    assert scored.out.splitlines()[-2].startswith("mean")
    assert "mine" in blurdm("models", "show", run / "model").out
    for stage in ("stage1", "stage2", "stage3"):
        rows = list(csv.DictReader((run / stage / "losses.csv").read_text().splitlines()))
        assert float(rows[-1]["psnr_restored"]) > 0
        assert list((run / stage / "pictures").glob("*.png"))


def test_a_run_that_reaches_its_time_limit_says_so_and_is_resumed(
    blurdm: Blurdm, sharp_photos: Path, tmp_path: Path
) -> None:
    words = ("train", "stage1", "--data", sharp_photos, "-o", tmp_path / "run", *SMALL)

    stopped = blurdm(*words, "--steps", "4", "--time-limit", "0.001")
    again = blurdm(*words, "--steps", "4")
    resumed = blurdm(*words, "--steps", "4", "--resume")

    assert stopped.code == 0
    assert "--resume" in stopped.err
    assert again.code == 2
    assert resumed.code == 0
    assert "done" in resumed.err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--size", "huge"), 2),
        (("--schedule", "none"), 2),
        (("--crop", "33"), 2),
        (("--from", "no-such-model"), 6),
        (("--device", "cuda:99"), 7),
        (("--val", "no-such-folder"), 3),
        (("--steps", "4", "--duration", "4"), 2),
        (("--frames-share", "0.2"), 2),
        (("--prior", "mlp", "--step-weight", "1"), 2),
        (("--prior", "none", "--step-weight", "1"), 2),
    ],
)
def test_what_cannot_be_trained_is_one_line_with_a_code(
    blurdm: Blurdm, sharp_photos: Path, tmp_path: Path, options: tuple[str, str], code: int
) -> None:
    words = ("train", "all", "--data", sharp_photos, "-o", tmp_path / "run", *SMALL, *options)
    result = blurdm(*words)
    assert result.code == code
    assert result.err.count("error") == 1
    assert not (tmp_path / "run").exists()


def test_a_model_to_start_from_has_its_own_backbone_and_may_have_another_prior(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start = zoo.find("blurdm-tiny").spec
    nothing = AskedPrior(None, None, None, None)
    assert spec_from(start, None, None, nothing) == start
    same = AskedPrior(Prior.blurdm, 64, Encoder.light, "released")
    assert spec_from(start, "unet", "tiny", same) == start
    assert capsys.readouterr().err == ""

    other = spec_from(start, None, None, AskedPrior(None, 32, Encoder.spectral, "paper")).prior
    assert other.schedule is not None
    assert (other.channels, other.encoder, other.schedule.name) == (32, "spectral", "paper")
    assert "from scratch" in capsys.readouterr().err
    plain = spec_from(start, None, None, AskedPrior(Prior.none, None, None, None))
    assert plain.prior_channels == 0
    again = spec_from(plain, None, None, AskedPrior(Prior.blurdm, None, None, None)).prior
    assert (again.channels, again.schedule) == (256, start.prior.schedule)

    for backbone, size in (("nafnet", None), (None, "fast"), ("unet", "fast")):
        with pytest.raises(UsageError, match="another backbone"):
            spec_from(start, backbone, size, nothing)


@pytest.mark.parametrize(
    ("stage", "options", "what"),
    [
        ("stage2", ("--prior", "none"), "no stage2"),
        ("stage1", ("--step-weight", "1"), "for stage2"),
        ("stage2", ("--step-weight", "1"), "needs sharp photos"),
        ("all", ("--from", "blurdm-tiny", "--size", "fast"), "another backbone"),
        ("all", ("--crop", "320"), "smaller than a crop of 320"),
    ],
)
def test_what_would_end_a_run_or_be_lost_is_said_before_it_begins(
    blurdm: Blurdm, pairs: Path, tmp_path: Path, stage: str, options: tuple[str, ...], what: str
) -> None:
    result = blurdm("train", stage, "--data", pairs, "-o", tmp_path / "run", *options)
    assert result.code in (2, 3)
    assert what in result.err
    assert "fix" in result.err
    assert not (tmp_path / "run").exists()


def test_a_run_is_resumed_with_what_it_began_with_alone(
    blurdm: Blurdm, sharp_photos: Path, pairs: Path, tmp_path: Path
) -> None:
    words = ("train", "stage1", "--data", sharp_photos, "-o", tmp_path / "run", *SMALL)
    (sharp_photos / "torn.png").write_bytes(b"torn")

    begun = blurdm(*words, "--steps", "1")
    resumed = blurdm(*words, "--steps", "1", "--resume", "--val", pairs)

    assert begun.code == 0
    assert begun.err.count("warning: left out") == 1
    assert resumed.code == 2
    assert "model.training.evaluated" in resumed.err


def test_crops_are_not_prepared_by_several_processes_of_a_run(
    blurdm: Blurdm, sharp_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blurdm_cli.training.ranks.count", lambda: 2)
    result = blurdm("train", "candidates", "--data", sharp_photos, "-o", tmp_path / "crops")
    assert result.code == 2
    assert "without torchrun" in result.err
    assert not (tmp_path / "crops").exists()


def test_the_command_is_a_module_too() -> None:
    words = [sys.executable, "-m", "blurdm_cli", "--version"]
    assert subprocess.check_output(words, text=True).startswith("blurdm ")


def test_data_that_is_not_there_is_code_3(blurdm: Blurdm, tmp_path: Path) -> None:
    result = blurdm("train", "all", "--data", tmp_path / "nothing", "-o", tmp_path / "run")
    assert result.code == 3
