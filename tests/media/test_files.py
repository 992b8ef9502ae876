import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from blurdm_cli.errors import InputError, OutputError, UsageError
from blurdm_cli.media.files import (
    PHOTO_SUFFIXES,
    Job,
    atomic_output,
    find_photos,
    format_of,
    gather_photos,
    plan_outputs,
    settle,
)

needs_rights = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo")
    return paths


def plan(inputs, output=None, **options):
    return [job.output for job in plan_outputs(inputs, output, **options)]


def test_a_finished_file_is_whole_and_alone(tmp_path):
    target = tmp_path / "new folder" / "写真 🌸.jpg"
    with atomic_output(target) as part:
        assert part.parent == target.parent
        assert part.name == ".写真 🌸.jpg.part"
        assert not target.exists()
        part.write_bytes(b"all of it")
    assert target.read_bytes() == b"all of it"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_in_mid_write_leaves_no_trace(tmp_path, error):
    def write(target):
        with atomic_output(target) as part:
            part.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        write(tmp_path / "new.jpg")
    assert list(tmp_path.iterdir()) == []
    (old,) = touch(tmp_path / "old.jpg")
    with pytest.raises(error):
        write(old)
    assert old.read_bytes() == b"photo"
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a signal of POSIX")
def test_a_kill_in_mid_write_leaves_no_final_file_and_a_second_run_ends_well(tmp_path):
    target = tmp_path / "photo.jpg"
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from blurdm_cli.media.files import atomic_output\n"
        "with atomic_output(Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script, target], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    assert find_photos(tmp_path) == []
    with atomic_output(target) as part:
        part.write_bytes(b"whole")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_result_has_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_output(tmp_path / "a.png") as part:
            part.write_bytes(b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "space"), (errno.EACCES, "may write"), (errno.EIO, "may")]
)
def test_a_full_disk_and_its_like_are_output_errors_with_a_hint(tmp_path, number, words):
    with pytest.raises(OutputError, match="cannot be written") as caught:  # noqa: SIM117
        with atomic_output(tmp_path / "a.png"):
            raise OSError(number, os.strerror(number))
    assert words in caught.value.hint
    assert os.strerror(number) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_hold_a_file_are_output_errors(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (file,) = touch(tmp_path / "file")
    for target in (tmp_path / "folder.jpg", file / "a.jpg", tmp_path / ("n" * 300 + ".jpg")):
        with pytest.raises(OutputError) as caught, atomic_output(target):
            pass
        assert caught.value.hint
    assert sorted(tmp_path.iterdir()) == [file, tmp_path / "folder.jpg"]


@needs_rights
def test_a_folder_that_may_not_be_written_to_is_an_output_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission") as caught, atomic_output(tmp_path / "a"):
        pass
    assert "--output" in caught.value.hint


def test_the_longest_names_that_a_disk_takes_can_be_written(tmp_path):
    target = tmp_path / ("ü" * 125 + ".jpg")
    with atomic_output(target) as part:
        part.write_bytes(b"x")
    assert list(tmp_path.iterdir()) == [target]


def test_photos_are_found_by_suffix_and_sorted_and_hidden_ones_are_not(tmp_path):
    seen = touch(
        tmp_path / "a.JPG",
        tmp_path / "b c.png",
        tmp_path / "sub" / "é.tiff",
        tmp_path / "sub" / "🌸.webp",
    )
    touch(
        tmp_path / ".a.jpg.part",
        tmp_path / "._a.JPG",
        tmp_path / ".hidden" / "a.jpg",
        tmp_path / "Thumbs.db",
        tmp_path / "desktop.ini",
        tmp_path / "notes.txt",
    )
    assert find_photos(tmp_path) == sorted(seen)
    assert find_photos(tmp_path, recursive=False) == [tmp_path / "a.JPG", tmp_path / "b c.png"]


def test_the_output_folder_is_not_searched_however_it_is_named(tmp_path):
    (photo,) = touch(tmp_path / "a.jpg")
    touch(tmp_path / "out" / "a.jpg")
    (tmp_path / "link").symlink_to("out", target_is_directory=True)
    for skip in (tmp_path / "out", tmp_path / "link", tmp_path / "x" / ".." / "out"):
        assert find_photos(tmp_path, skip=skip) == [photo]


def test_a_folder_that_is_not_there_is_an_input_error(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="There is no") as caught:
        find_photos(tmp_path / "fotos")
    assert "photos" in caught.value.hint


def test_gathering_takes_files_and_folders_and_each_photo_once(tmp_path):
    a, b = touch(tmp_path / "a.jpg", tmp_path / "in" / "b.jpg")
    found = gather_photos([a, tmp_path / "in", b, a])
    assert found == [(a, None), (b, tmp_path / "in")]


def test_the_default_is_beside_the_photo(tmp_path):
    names = ["a.jpg", "IMG 1.JPG", "写真.png", "🌸.webp", "x.y.tif"]
    wanted = [
        "a.deblurred.jpg",
        "IMG 1.deblurred.JPG",
        "写真.deblurred.png",
        "🌸.deblurred.webp",
        "x.y.deblurred.tif",
    ]
    inputs = [(tmp_path / name, None) for name in names]
    assert plan(inputs) == [tmp_path / name for name in wanted]


def test_a_jpg_and_a_png_of_one_name_do_not_collide(tmp_path):
    inputs = [(tmp_path / "a.jpg", tmp_path), (tmp_path / "a.png", tmp_path)]
    for output in (None, tmp_path / "out"):
        assert len(set(plan(inputs, output))) == 2
    assert plan(inputs, tmp_path / "out", suffix=".png") == [
        tmp_path / "out" / "a.png",
        tmp_path / "out" / "a-2.png",
    ]


def test_formats_that_cannot_be_written_become_png(tmp_path):
    inputs = [(tmp_path / name, None) for name in ("a.bmp", "b.GIF", "c.heic", "d")]
    names = [path.name for path in plan(inputs)]
    assert names == ["a.deblurred.png", "b.deblurred.png", "c.deblurred.png", "d.deblurred"]


def test_one_photo_goes_to_the_file_that_is_named(tmp_path):
    photo = (tmp_path / "a.jpg", None)
    assert plan([photo], tmp_path / "b.png") == [tmp_path / "b.png"]
    assert plan([photo], tmp_path / "b.png", suffix=".tif") == [tmp_path / "b.png"]
    with pytest.raises(UsageError, match="bmp") as caught:
        plan([photo], tmp_path / "b.bmp")
    assert "png" in caught.value.hint


def test_what_looks_like_a_folder_is_one(tmp_path):
    photo = (tmp_path / "a.jpg", None)
    (tmp_path / "there.jpg").mkdir()
    assert plan([photo], tmp_path / "there.jpg") == [tmp_path / "there.jpg" / "a.jpg"]
    assert plan([photo], tmp_path / "new") == [tmp_path / "new" / "a.jpg"]
    assert plan([photo], f"{tmp_path}/v1.5{os.sep}") == [tmp_path / "v1.5" / "a.jpg"]
    several = [photo, (tmp_path / "b.jpg", None)]
    assert plan(several, tmp_path / "v1.5") == [tmp_path / "v1.5" / f"{n}.jpg" for n in "ab"]


def test_several_photos_into_one_file_are_refused(tmp_path):
    several = [(tmp_path / "a.jpg", None), (tmp_path / "b.jpg", None)]
    with pytest.raises(UsageError, match="2 photos") as caught:
        plan(several, tmp_path / "out.jpg")
    assert "folder" in caught.value.hint
    touch(tmp_path / "file")
    with pytest.raises(UsageError, match="is a file"):
        plan(several, tmp_path / "file")


def test_a_folder_is_mirrored(tmp_path):
    root = tmp_path / "in"
    photos = touch(root / "a.jpg", root / "sub" / "a.jpg", root / "sub" / "deep" / "é.bmp")
    out = tmp_path / "out"
    assert plan([(photo, root) for photo in photos], out) == [
        out / "a.jpg",
        out / "sub" / "a.jpg",
        out / "sub" / "deep" / "é.png",
    ]


def test_equal_names_from_different_places_are_numbered_in_order(tmp_path):
    inputs = [(tmp_path / place / "a.jpg", tmp_path / place) for place in ("x", "y", "z")]
    out = tmp_path / "out"
    assert plan(inputs, out) == [out / "a.jpg", out / "a-2.jpg", out / "a-3.jpg"]
    taken = [(tmp_path / "x" / "a.jpg", None), (tmp_path / "y" / "A.JPG", None)]
    assert plan(taken, out) == [out / "a.jpg", out / "A-2.JPG"]


def test_results_of_earlier_runs_are_no_inputs(tmp_path):
    names = ("a.jpg", "a.deblurred.jpg", "a.deblurred-2.jpg", "alone.deblurred.png")
    photos = touch(*(tmp_path / name for name in names))
    jobs = plan_outputs([(photo, tmp_path) for photo in photos])
    assert jobs == [Job(tmp_path / "a.jpg", tmp_path / "a.deblurred.jpg")]
    by_glob = plan_outputs([(photo, None) for photo in photos])
    assert [job.input.name for job in by_glob] == ["a.jpg", "alone.deblurred.png"]
    mirrored = plan([(photo, tmp_path) for photo in photos], tmp_path / "out")
    assert len(mirrored) == 4


def test_a_result_never_takes_an_inputs_place(tmp_path):
    a, b = touch(tmp_path / "a.jpg", tmp_path / "b.jpg")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.jpg").symlink_to(a)
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    ways = [
        ([(a, None)], a),
        ([(a, None)], tmp_path / "sub" / ".." / "a.jpg"),
        ([(a, None)], tmp_path / "link.jpg"),
        ([(tmp_path / "link.jpg", None)], a),
        ([(a, None), (b, None)], tmp_path / "folder"),
        ([(a, tmp_path), (b, tmp_path)], tmp_path),
        ([(tmp_path / "sub" / "b.jpg", None), (b, None)], tmp_path),
    ]
    for inputs, output in ways:
        with pytest.raises(UsageError, match="is an input") as caught:
            plan_outputs(inputs, output)
        assert caught.value.hint


def test_names_that_differ_in_case_are_one_where_the_disk_says_so(tmp_path):
    (photo,) = touch(tmp_path / "a.jpg")
    if (tmp_path / "A.JPG").exists():
        with pytest.raises(UsageError):
            plan([(photo, None)], tmp_path / "A.JPG")
    else:
        assert plan([(photo, None)], tmp_path / "A.JPG") == [tmp_path / "A.JPG"]


def test_what_is_there_already_is_settled_by_the_policy(tmp_path):
    (there,) = touch(tmp_path / "a.b.jpg")
    for policy in ("skip", "overwrite", "rename", "error"):
        assert settle(tmp_path / "new.jpg", policy) == tmp_path / "new.jpg"
    assert settle(there, "skip") is None
    assert settle(there, "overwrite") == there
    assert settle(there, "rename") == tmp_path / "a.b-2.jpg"
    touch(tmp_path / "a.b-2.jpg")
    assert settle(there, "rename") == tmp_path / "a.b-3.jpg"
    with pytest.raises(OutputError, match="exists already") as caught:
        settle(there, "error")
    assert "--on-exists" in caught.value.hint


def test_suffixes_and_words_for_formats_mean_the_same():
    assert {format_of(word) for word in (".jpg", "JPEG", "jpe", ".JFIF")} == {"jpeg"}
    assert {format_of(suffix) for suffix in PHOTO_SUFFIXES - {".bmp", ".gif"}} == {
        *("jpeg", "png", "webp", "tiff", "avif")
    }
    with pytest.raises(UsageError):
        format_of("")
