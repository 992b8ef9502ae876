"""`blurdm deblur` over several files, from the command line to the bytes."""

import json
import shutil
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.cli import TINY, Blurdm
from tests.pipeline.album import opened, results


def test_patterns_lists_and_filters_choose_what_is_deblurred(
    blurdm: Blurdm, album: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text(f"{album / 'a.jpg'}\n{album / 'sub'}\n")
    ways = {
        "pattern": ([f"{album}/?.jpg"], ["a.jpg", "b.jpg"]),
        "list": ([f"@{tmp_path / 'list.txt'}"], ["a-2.jpg", "a.jpg"]),
        "flat": ([album, "--no-recursive"], ["a.jpg", "b.jpg", "c d.jpg"]),
        "include": ([album, "--include", "sub/*", "--include", "c*"], ["c d.jpg", "sub/a.jpg"]),
        "exclude": ([album, "--exclude", "a.*"], ["b.jpg", "c d.jpg"]),
    }
    for name, (words, wanted) in ways.items():
        out = tmp_path / name
        assert blurdm("deblur", *words, "-o", out, *TINY).code == 0
        assert results(out) == wanted


def test_templates_and_formats_name_the_results(
    blurdm: Blurdm, album: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    template = "{index:02d} {stem} {model}{ext}"
    blurdm("deblur", album, "-o", out, "--name", template, "--format", "png", *TINY)
    names = ["01 a", "02 b", "03 c d"]
    wanted = [f"{name} blurdm-tiny.png" for name in names] + ["sub/04 a blurdm-tiny.png"]
    assert results(out) == wanted
    assert all(opened(out / name).format == "PNG" for name in wanted)
    assert blurdm("deblur", album, "-o", out, "--name", "{nonsense}", *TINY).code == 2


def test_a_second_run_does_nothing_and_other_settings_do_all_again(
    blurdm: Blurdm, album: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def done(*options: str) -> list[str]:
        words = ("deblur", album, "-o", out, "--json", *options, *TINY)
        return [json.loads(line)["status"] for line in blurdm(*words).out.splitlines()]

    assert done() == ["done"] * 4
    whole = {name: (out / name).read_bytes() for name in results(out)}
    assert done() == ["skipped"] * 4
    assert done("--no-resume") == ["done"] * 4
    assert {name: (out / name).read_bytes() for name in results(out)} == whole
    assert done("--strength", "0.5") == ["done"] * 4
    (out / "b.jpg").write_bytes(b"edited by hand")
    assert done("--strength", "0.5") == ["skipped"] * 4
    assert (out / "b.jpg").read_bytes() == b"edited by hand"
    (out / "b.jpg").unlink()
    assert done("--strength", "0.5") == ["skipped", "done", "skipped", "skipped"]


def test_beside_the_photos_results_are_no_inputs_of_the_next_run(
    blurdm: Blurdm, album: Path
) -> None:
    for _ in range(2):
        assert blurdm("deblur", album, *TINY).code == 0
    names = ["a", "b", "c d", "sub/a"]
    assert results(album) == sorted(
        f"{name}{end}.jpg" for name in names for end in ("", ".deblurred")
    )


def test_in_the_output_folder_results_are_no_inputs_of_a_pattern(
    blurdm: Blurdm, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(album)
    for _ in range(2):
        result = blurdm("deblur", "**/*.jpg", "-o", "sharp/", *TINY)
        assert result.code == 0, result.err
    assert results(album / "sharp") == ["a.jpg", "b.jpg", "c d.jpg", "sub/a.jpg"]


def test_in_place_keeps_the_original_beside_the_result(blurdm: Blurdm, album: Path) -> None:
    before = (album / "a.jpg").read_bytes()
    assert blurdm("deblur", album, "--in-place", *TINY).code == 0
    assert (album / "a.jpg.orig").read_bytes() == before
    assert (album / "a.jpg").read_bytes() != before
    after = (album / "a.jpg").read_bytes()
    assert "done before" in blurdm("deblur", album, "--in-place", *TINY).err
    assert (album / "a.jpg").read_bytes() == after
    (album / "e.bmp").write_bytes(b"")
    Image.new("RGB", (9, 9)).save(album / "e.bmp")
    result = blurdm("deblur", album / "e.bmp", "--in-place", *TINY)
    assert result.code == 5
    assert "--format" in result.err


def test_in_place_it_is_the_same_whether_a_file_or_its_folder_is_named(
    blurdm: Blurdm, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*words: object) -> str:
        return blurdm("deblur", *words, "--in-place", *TINY).err

    assert "a.jpg -> " in told(album / "a.jpg")
    monkeypatch.chdir(album)
    assert "1 done before" in told("a.jpg")
    assert "1 done before" in told(".")
    assert "1 done before" in told(album / "sub" / "a.jpg")
    later = told(album / "a.jpg", album / "sub")
    assert "2 done before" in later
    assert "not known" not in later


def test_results_of_earlier_runs_are_no_inputs_whatever_they_are_called(
    blurdm: Blurdm, album: Path
) -> None:
    def count(*words: object) -> str:
        return blurdm("deblur", *words, *TINY, "--dry-run").err.splitlines()[-1][:9]

    assert count(album, "-o", album.parent / "new") == "4 files: "
    blurdm("deblur", album, *TINY, "--compare")
    blurdm("deblur", album, *TINY, "--name", "{stem}_sharp{ext}")
    blurdm("deblur", album, "-o", album / "sharp", *TINY)
    assert count(album, "-o", album.parent / "new") == "4 files: "
    assert count(album, "--in-place") == "4 files: "
    assert count(album / "sharp", "-o", album.parent / "new") == "4 files: "


def test_sharp_photos_are_left_out_if_asked(blurdm: Blurdm, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name, way in (("photo", Image.Resampling.BICUBIC), ("sharp", Image.Resampling.NEAREST)):
        Image.fromarray(noise).resize((160, 160), way).save(folder / f"{name}.png")
    words = ("deblur", folder, "-o", tmp_path / "out", "--json", *TINY)
    rows = [json.loads(line) for line in blurdm(*words, "--only-blurry").out.splitlines()]
    assert {Path(row["input"]).stem: (row["status"], row["reason"]) for row in rows} == {
        "photo": ("done", ""),
        "sharp": ("skipped", "not-blurred"),
    }
    assert all(0 <= row["blur"] <= 1 for row in rows)
    rows = [
        json.loads(line)
        for line in blurdm(*words, "--only-blurry", "--blur-threshold=0.99").out.splitlines()
    ]
    assert [row["reason"] for row in rows if row["status"] != "done"] == [
        "done-before",
        "not-blurred",
    ]
    assert blurdm(*words, "--only-blurry", "--blur-threshold=2").code == 2


def test_the_threshold_needs_the_option_that_it_is_of(
    blurdm: Blurdm, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)

    def status(*words: object) -> str:
        out = blurdm("deblur", photo.name, *words, "--dry-run", "--json", *TINY).out
        return str(json.loads(out)["status"])

    assert status("--only-blurry", "--blur-threshold", 0) == "planned"
    assert status("--only-blurry", "--blur-threshold", 1.0) == "skipped"
    refused = blurdm("deblur", photo.name, "--blur-threshold", 0.5, *TINY)
    assert refused.code == 2
    assert "--only-blurry" in refused.err


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(
    blurdm: Blurdm, album: Path, tmp_path: Path
) -> None:
    result = blurdm("deblur", album, "-o", tmp_path / "out", "--dry-run", *TINY)
    assert result.code == 0
    assert result.err.count("planned: ") == 4
    assert not (tmp_path / "out").exists()


def test_two_runs_on_one_folder_the_second_says_so(
    blurdm: Blurdm, album: Path, tmp_path: Path
) -> None:
    from blurdm_cli.files.journal import open_journal

    with open_journal(tmp_path / "out", ""):
        result = blurdm("deblur", album, "-o", tmp_path / "out", *TINY)
    assert result.code == 5
    assert "Another run" in result.err
    assert results(tmp_path / "out") == []


def test_metadata_is_kept_taken_out_or_freed_of_the_place(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[271] = "Acme"
    exif.get_ifd(34853)[1] = "N"
    source = tmp_path / "placed.jpg"
    Image.open(photo).save(source, exif=exif)
    found = {}
    for keep in ("keep", "strip", "strip-gps"):
        blurdm("deblur", source, "-o", tmp_path / f"{keep}.jpg", "--metadata", keep, *TINY)
        kept = opened(tmp_path / f"{keep}.jpg").getexif()
        found[keep] = (kept.get(271), dict(kept.get_ifd(34853)).get(1))
    assert found == {"keep": ("Acme", "N"), "strip": (None, None), "strip-gps": ("Acme", None)}


def test_the_engine_takes_its_options(blurdm: Blurdm, photo: Path, tmp_path: Path) -> None:
    options = ("--batch", "2", "--halo", "16", "--tile", "64", "--tta", "--guard", "strict")
    assert blurdm("deblur", photo, "-o", tmp_path / "a.png", *options, *TINY).code == 0
    steps = ("--steps", "5")
    assert blurdm("deblur", photo, "-o", tmp_path / "b.png", *steps, *TINY).code == 0
    result = blurdm("deblur", photo, "-o", tmp_path / "c.png", "--steps", "6", *TINY)
    assert (result.code, "5 steps" in result.err) == (2, True)


@pytest.mark.parametrize("size", [(1, 1), (7, 500), (500, 7)])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (33, 25, 23)])
def test_flat_photos_of_any_shape_stay_nearly_flat(
    blurdm: Blurdm, tmp_path: Path, size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    path = tmp_path / "flat.png"
    Image.new("RGB", size, colour).save(path)
    assert blurdm("deblur", path, "-o", tmp_path / "out.png", *TINY).code == 0
    restored = np.asarray(Image.open(tmp_path / "out.png")).astype(int)
    assert restored.shape == (size[1], size[0], 3)
    assert np.abs(restored - colour).max() <= 12


def test_a_dark_16_bit_photo_stays_so(blurdm: Blurdm, tmp_path: Path) -> None:
    dark = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "dark.png"), dark)
    assert blurdm("deblur", tmp_path / "dark.png", *TINY).code == 0
    restored = cv2.imread(str(tmp_path / "dark.deblurred.png"), cv2.IMREAD_UNCHANGED)
    assert restored.dtype == np.uint16
    assert restored.max() < 2048


def test_a_folder_may_be_called_video_mp4_and_a_video_may_be_called_photo_jpg(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "video.mp4"
    folder.mkdir()
    assert blurdm("deblur", folder, *TINY).code == 3
    shutil.copy(photo, folder / "a.jpg")
    assert blurdm("deblur", folder, *TINY).code == 0
    (folder / "b.jpg").write_bytes(b"\0\0\0\x18ftypmp42 and no more of it")
    result = blurdm("deblur", folder, *TINY)
    assert (result.code, result.err.count("error:")) == (4, 1)


def test_the_network_is_not_asked(
    blurdm: Blurdm, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert blurdm("deblur", photo, *TINY).code == 0
