import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli import zoo
from tests.cli import TINY, Blurdm

JOURNAL = {".blurdm/run.ndjson", ".blurdm/lock"}
TRUNCATED, EMPTY, TEXT = "truncated.jpg", "empty.png", "text.jpg"


@pytest.fixture
def bad_files(photo: Path) -> Path:
    """A folder of files that are no photos."""
    folder = photo.parent / "bad"
    folder.mkdir()
    (folder / TRUNCATED).write_bytes(photo.read_bytes()[:-500])
    (folder / EMPTY).touch()
    (folder / TEXT).write_text("not a photo")
    return folder


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_photo_is_deblurred_beside_itself_and_stays_as_it_was(
    blurdm: Blurdm, photo: Path
) -> None:
    before = photo.read_bytes()

    result = blurdm("deblur", photo, *TINY)

    assert result.code == 0
    assert result.out == ""
    assert "90 x 70" in result.err
    assert files_in(photo.parent) == {"photo.jpg", "photo.deblurred.jpg"}
    assert photo.read_bytes() == before
    assert pixels(photo.with_name("photo.deblurred.jpg")).shape == (70, 90, 3)


def test_alone_in_a_folder_and_again_gives_the_same_bytes(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "album" / "sub"
    folder.mkdir(parents=True)
    shutil.copy(photo, folder / "ünï 🌊.jpg")

    blurdm("deblur", photo, "-o", tmp_path / "one.jpg", *TINY)
    blurdm("deblur", photo, "-o", tmp_path / "two.jpg", *TINY)
    blurdm("deblur", folder.parent, "-o", tmp_path / "out", *TINY)

    one = (tmp_path / "one.jpg").read_bytes()
    assert (tmp_path / "two.jpg").read_bytes() == one
    assert (tmp_path / "out" / "sub" / "ünï 🌊.jpg").read_bytes() == one


def test_strength_0_gives_the_same_pixels_and_1_does_not(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    png = tmp_path / "photo.png"
    Image.open(photo).save(png)
    for strength in (0, 1):
        blurdm("deblur", png, "-o", tmp_path / f"{strength}.png", "--strength", strength, *TINY)

    assert (pixels(tmp_path / "0.png") == pixels(png)).all()
    assert (pixels(tmp_path / "1.png") != pixels(png)).any()


@pytest.mark.parametrize("name", [TRUNCATED, EMPTY, TEXT, "missing.jpg"])
def test_a_file_that_is_no_photo_is_one_line_and_code_3(
    blurdm: Blurdm, bad_files: Path, name: str
) -> None:
    before = files_in(bad_files.parent)

    result = blurdm("deblur", bad_files / name, "-o", bad_files / "out.jpg", *TINY)

    assert result.code == 3
    assert result.err.count("error:") == 1
    assert name in result.err
    assert "Traceback" not in result.err
    assert files_in(bad_files.parent) == before


def test_a_folder_without_a_photo_is_code_3(blurdm: Blurdm, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no photo")
    assert blurdm("deblur", tmp_path, *TINY).code == 3


def test_one_bad_file_does_not_stop_the_others(
    blurdm: Blurdm, bad_files: Path, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert blurdm("deblur", bad_files, "-o", out, *TINY).code == 5

    shutil.copy(photo, bad_files / "good.jpg")
    shutil.copy(photo, bad_files / "zebra.jpg")
    result = blurdm("deblur", bad_files, "-o", out, *TINY)

    assert result.code == 4
    assert result.err.count("error:") == 3
    assert files_in(out) - JOURNAL == {"good.jpg", "zebra.jpg"}


@pytest.mark.parametrize(
    "options",
    [
        ("--strength", "2"),
        ("--strength", "nan"),
        ("--tile", "10"),
        ("--tile", "big"),
        ("--precision", "fp8"),
        ("--quality", "0"),
        ("--quality", "best"),
        ("--seed", "-1"),
        ("--on-exists", "maybe"),
        ("--colour", "red"),
    ],
)
def test_an_option_that_makes_no_sense_is_code_2(
    blurdm: Blurdm, photo: Path, options: tuple[str, str]
) -> None:
    result = blurdm("deblur", photo, *TINY[:2], *options)
    assert result.code == 2
    assert files_in(photo.parent) == {"photo.jpg"}


def test_the_output_may_not_be_the_input(blurdm: Blurdm, photo: Path) -> None:
    before = photo.read_bytes()
    result = blurdm("deblur", photo, "-o", photo.parent / "x" / ".." / "photo.jpg", *TINY)
    assert result.code == 2
    assert "fix" in result.err
    assert photo.read_bytes() == before


def test_an_output_that_cannot_be_written_is_code_5(blurdm: Blurdm, photo: Path) -> None:
    (photo.parent / "file").touch()
    result = blurdm("deblur", photo, "-o", photo.parent / "file" / "out.jpg", *TINY)
    assert result.code == 5
    assert "fix" in result.err
    assert files_in(photo.parent) == {"photo.jpg", "file"}


def test_an_unknown_model_is_code_6_and_the_nearest_is_named(blurdm: Blurdm, photo: Path) -> None:
    result = blurdm("deblur", photo, "--model", "blurdm-tyni")
    assert result.code == 6
    assert "blurdm-tiny" in result.err


def test_damaged_weights_are_code_6(blurdm: Blurdm, photo: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(zoo.find("blurdm-tiny").folder, model)
    weights = next(model.glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    result = blurdm("deblur", photo, "--model", model)

    assert result.code == 6
    assert "damaged" in result.err
    assert not photo.with_name("photo.deblurred.jpg").exists()


def test_a_device_that_is_not_there_is_code_7_and_nothing_else_is_taken(
    blurdm: Blurdm, photo: Path
) -> None:
    result = blurdm("deblur", photo, "--device", "cuda:99", *TINY[:2])
    assert result.code == 7
    assert not photo.with_name("photo.deblurred.jpg").exists()


def test_an_output_that_exists_is_kept_replaced_or_avoided_as_asked(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jpg"

    def deblur(policy: str) -> int:
        out.write_bytes(b"older")
        return blurdm("deblur", photo, "-o", out, "--on-exists", policy, *TINY).code

    assert (deblur("skip"), out.read_bytes()) == (0, b"older")
    assert deblur("error") in (2, 5)
    assert out.read_bytes() == b"older"
    assert (deblur("rename"), out.read_bytes()) == (0, b"older")
    renamed = files_in(tmp_path) - {"photo.jpg", "out.jpg"}
    assert len(renamed) == 1
    assert deblur("overwrite") == 0
    assert out.read_bytes() == (tmp_path / renamed.pop()).read_bytes()


def test_compare_shows_before_and_after_side_by_side(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    png = tmp_path / "photo.png"
    Image.open(photo).save(png)
    blurdm("deblur", png, "--compare", *TINY)

    both = pixels(tmp_path / "photo.deblurred.compare.png")
    assert (both[:, :90] == pixels(png)).all()
    assert (both[:, -90:] == pixels(tmp_path / "photo.deblurred.png")).all()


def test_json_tells_what_became_of_each_photo(blurdm: Blurdm, photo: Path, bad_files: Path) -> None:
    shutil.copy(photo, bad_files / "good.jpg")
    result = blurdm("deblur", bad_files, "-o", photo.parent / "out", "--json", "--quiet", *TINY)

    rows = [json.loads(line) for line in result.out.splitlines()]
    told = {Path(row["input"]).name: row for row in rows}
    assert {name: row["status"] for name, row in told.items()} == {
        "good.jpg": "done",
        TRUNCATED: "failed",
        EMPTY: "failed",
        TEXT: "failed",
    }
    assert told["good.jpg"]["output"] == str(photo.parent / "out" / "good.jpg")
    assert told[EMPTY]["exit_code"] == 3


def test_tiles_leave_no_trace_but_their_prior(blurdm: Blurdm, tmp_path: Path) -> None:
    """Seen through tiles, a photo of 200 pixels differs little from the photo in one piece."""
    noise = np.random.default_rng(0).integers(0, 256, (25, 25, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((200, 200), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    for tile in (128, 256):
        blurdm("deblur", tmp_path / "a.png", "-o", tmp_path / f"{tile}.png", "--tile", tile, *TINY)

    tiled, whole = pixels(tmp_path / "128.png"), pixels(tmp_path / "256.png")
    assert 10 * np.log10(255**2 / ((tiled - whole) ** 2).mean().clip(1e-9)) > 45


def test_a_named_output_that_exists_is_an_error_and_a_folder_skips(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(b"mine")
    refused = blurdm("deblur", photo, "-o", out, *TINY)
    assert refused.code == 5
    assert "--overwrite" in refused.err
    assert out.read_bytes() == b"mine"
    assert blurdm("deblur", photo, "-o", out, "--on-exists", "skip", *TINY).code == 0
    assert out.read_bytes() == b"mine"
    assert blurdm("deblur", photo, "-o", out, "--overwrite", *TINY).code == 0
    assert pixels(out).shape == (70, 90, 3)
    assert blurdm("deblur", photo, "-o", out, "--overwrite", "--on-exists", "skip").code == 2


@pytest.mark.parametrize("words", [("photo.jpg",), ("photo.jpg", "-o", "out.jpg")])
def test_a_file_in_the_place_of_a_command_gets_a_hint(
    blurdm: Blurdm, photo: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(photo.parent)
    result = blurdm(*words)
    assert result.code == 2
    assert f"blurdm deblur {' '.join(words)}" in result.err


def test_an_output_without_its_option_gets_a_hint(blurdm: Blurdm, photo: Path) -> None:
    result = blurdm("deblur", photo, photo.with_name("out.jpg"), *TINY)
    assert result.code == 2
    assert f"--output {photo.with_name('out.jpg')}" in result.err
    assert not photo.with_name("photo.deblurred.jpg").exists()


def test_missing_inputs_are_found_before_the_model_is_opened(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    result = blurdm("deblur", tmp_path / "none.jpg", "--model", "no-such-model")
    assert result.code == 3


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_begins_with_examples(blurdm: Blurdm, word: str) -> None:
    shown = blurdm("deblur", word).out
    assert shown.count("blurdm deblur ") >= 5  # the usage line, and four examples
    assert shown.index("blurdm deblur photo.jpg") < shown.index("INPUT...  ")


def test_the_version_is_told_in_short_too(blurdm: Blurdm) -> None:
    assert blurdm("-v").out == blurdm("--version").out
