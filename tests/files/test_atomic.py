import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from blurdm_cli.errors import OutputError, UsageError
from blurdm_cli.files.atomic import atomic_output, identity_of, unless_changed
from blurdm_cli.files.formats import FORMATS, format_of
from blurdm_cli.files.reading import no_input

from .conftest import touch

needs_rights = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)


def test_a_finished_file_is_whole_and_alone(tmp_path):
    target = tmp_path / "new folder" / "写真 🌸.jpg"
    with atomic_output(target) as part:
        assert part.parent == target.parent
        assert part.name == ".写真 🌸.jpg.part"
        assert not target.exists()
        part.write_bytes(b"all of it")
    assert target.read_bytes() == b"all of it"
    assert list(target.parent.iterdir()) == [target]


def test_two_runs_do_not_write_the_same_file_at_once(tmp_path):
    target = tmp_path / "a.jpg"
    with atomic_output(target) as part:
        part.write_bytes(b"the first run's")
        with pytest.raises(OutputError, match=r"Another run.*a\.jpg"), atomic_output(target):
            pytest.fail("a second run may write")
        assert part.read_bytes() == b"the first run's"
    with atomic_output(target) as part:
        part.write_bytes(b"the second run's")
    assert target.read_bytes() == b"the second run's"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("before", [None, b"before"])
def test_a_file_that_somebody_puts_there_meanwhile_is_kept(tmp_path, before):
    target = tmp_path / "a.jpg"
    if before:
        target.write_bytes(before)
    with atomic_output(target, unless_changed(target, identity_of(target))) as part:
        part.write_bytes(b"result")
    assert target.read_bytes() == b"result"
    seal = unless_changed(target, identity_of(target))
    target.write_bytes(b"somebody's")
    with pytest.raises(OutputError, match="somebody"), atomic_output(target, seal) as part:
        part.write_bytes(b"another result")
    assert target.read_bytes() == b"somebody's"
    assert list(tmp_path.iterdir()) == [target]


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
        "from blurdm_cli.files.atomic import atomic_output\n"
        "with atomic_output(Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script, target], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
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


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o400, 0o666], ids=oct)
def test_a_file_that_takes_anothers_place_has_its_permissions(tmp_path, mode):
    (old,) = touch(tmp_path / "old.jpg")
    old.chmod(mode)
    with atomic_output(old) as part:
        assert not part.stat().st_mode & 0o077 & ~mode  # not even for a moment
        part.write_bytes(b"new")
    assert old.read_bytes() == b"new"
    assert old.stat().st_mode & 0o777 == mode


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


def test_suffixes_and_words_for_formats_mean_the_same():
    assert {format_of(word) for word in (".jpg", "JPEG", "jpe", ".JFIF")} == {"jpeg"}
    assert {format_of(suffix) for suffix in FORMATS} == {*("jpeg", "png", "webp", "tiff", "avif")}
    with pytest.raises(UsageError):
        format_of("")


def test_a_link_to_nothing_is_told_from_a_file_that_is_not_there(tmp_path):
    link = tmp_path / "a.jpg"
    link.symlink_to("b.jpg")
    assert "link" in str(no_input(link, FileNotFoundError()))
    error = no_input(tmp_path / "b.jpg", FileNotFoundError())
    assert "There is no" in str(error)
    assert "a.jpg" in error.hint
