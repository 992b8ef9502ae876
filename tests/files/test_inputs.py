import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurdm_cli.errors import InputError
from blurdm_cli.files.formats import VIDEO_SUFFIXES
from blurdm_cli.files.inputs import Search, find_files, gather
from blurdm_cli.photo.photo import read_photo
from blurdm_cli.video.reader import open_clip

from .conftest import touch


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
    assert find_files(tmp_path) == sorted(seen)
    assert find_files(tmp_path, Search(recursive=False)) == [
        tmp_path / "a.JPG",
        tmp_path / "b c.png",
    ]


def test_the_output_folder_is_not_searched_however_it_is_named(tmp_path):
    (photo,) = touch(tmp_path / "a.jpg")
    touch(tmp_path / "out" / "a.jpg")
    (tmp_path / "link").symlink_to("out", target_is_directory=True)
    for skip in (tmp_path / "out", tmp_path / "link", tmp_path / "x" / ".." / "out"):
        assert find_files(tmp_path, Search(skip=skip)) == [photo]


def test_a_folder_below_that_may_not_be_read_is_told_of_and_the_rest_found(tmp_path, monkeypatch):
    (photo, _) = touch(tmp_path / "a.jpg", tmp_path / "private" / "b.jpg")
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("private"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    told = []
    assert find_files(tmp_path, Search(left_out=told.append)) == [photo]
    assert [error.filename for error in told] == [str(tmp_path / "private")]


def test_a_stream_with_the_suffix_of_a_program_is_found_and_a_program_is_not(tmp_path):
    stream, program = touch(tmp_path / "a.ts", tmp_path / "b.ts")
    stream.write_bytes((b"G" + bytes(187)) * 3)
    program.write_text("export const a = 1;")
    assert find_files(tmp_path, Search(suffixes=VIDEO_SUFFIXES)) == [stream]


def test_a_folder_that_is_not_there_is_an_input_error(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="There is no") as caught:
        find_files(tmp_path / "fotos")
    assert "photos" in caught.value.hint


def test_gathering_takes_files_and_folders_and_each_photo_once(tmp_path):
    a, b = touch(tmp_path / "a.jpg", tmp_path / "in" / "b.jpg")
    found = gather([a, tmp_path / "in", b, a])
    assert found == [(a, None), (b, tmp_path / "in")]


def test_one_photo_under_two_names_is_taken_once(tmp_path, monkeypatch):
    (photo,) = touch(tmp_path / "p" / "a.jpg")
    monkeypatch.chdir(tmp_path)
    for words in (["p/a.jpg", photo], ["p/a.jpg", tmp_path / "p"], ["p", f"{tmp_path}/p/*"]):
        ((path, _),) = gather(words)
        assert path == Path("p/a.jpg")
    (tmp_path / "p" / "link.jpg").symlink_to("a.jpg")
    assert len(gather(["p/a.jpg", "p/link.jpg"])) == 2


def test_patterns_take_and_leave_files_by_name_or_by_path(tmp_path):
    touch(*(tmp_path / name for name in ("a.jpg", "b.png", "x/a.JPG", "x/c.jpg", "y/d.jpg")))

    def names(**patterns):
        found = find_files(tmp_path, Search(**patterns))
        return [path.relative_to(tmp_path).as_posix() for path in found]

    assert names(include=("*.jpg",)) == ["a.jpg", "x/a.JPG", "x/c.jpg", "y/d.jpg"]
    assert names(include=("x/*", "b.*")) == ["b.png", "x/a.JPG", "x/c.jpg"]
    assert names(include=("*.jpg",), exclude=("x/*",)) == ["a.jpg", "y/d.jpg"]
    assert names(exclude=("a.*",)) == ["b.png", "x/c.jpg", "y/d.jpg"]


def test_a_pattern_that_the_shell_left_finds_files_and_their_folder(tmp_path):
    a, b, _ = touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "x" / "a.jpg", tmp_path / "c.txt")
    assert gather([f"{tmp_path}/in/*.jpg"]) == [(a, tmp_path / "in")]
    assert gather([f"{tmp_path}/**/*"]) == [(a, tmp_path), (b, tmp_path)]
    with pytest.raises(InputError, match="Nothing matches"):
        gather([f"{tmp_path}/*.webp"])


def test_a_pattern_leaves_out_the_output_folder_but_not_what_is_named(tmp_path):
    photo, result = touch(tmp_path / "in" / "a.jpg", tmp_path / "out" / "in" / "a.jpg")
    (tmp_path / "link").symlink_to("out", target_is_directory=True)
    for skip in (tmp_path / "out", tmp_path / "link"):
        search = Search(skip=skip)
        for pattern in ("**/*.jpg", "*/**/a.jpg"):
            assert gather([tmp_path / pattern], search) == [(photo, tmp_path)]
        assert gather([result], search) == [(result, None)]
        assert gather([f"{tmp_path}/out/*/a.jpg"], search) == [(result, tmp_path / "out")]


def test_a_name_that_looks_like_a_pattern_is_a_name_where_there_is_such_a_file(tmp_path):
    (photo,) = touch(tmp_path / "a[1].jpg")
    assert gather([photo]) == [(photo, None)]


def test_a_list_names_one_input_a_line(tmp_path):
    a, b = touch(tmp_path / "ä b.jpg", tmp_path / "in" / "b.jpg")
    (tmp_path / "list.txt").write_text(f"{a}\r\n\n{tmp_path / 'in'}\n{a}\n", encoding="utf-8")
    assert gather([f"@{tmp_path / 'list.txt'}"]) == [(a, None), (b, tmp_path / "in")]


def test_a_list_may_be_one_that_find_wrote_with_print0(tmp_path):
    a, b = touch(tmp_path / "a\n.jpg", tmp_path / "b.jpg")
    (tmp_path / "list").write_text(f"{a}\0{b}\0", encoding="utf-8")
    assert gather([f"@{tmp_path / 'list'}"]) == [(a, None), (b, None)]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_list_that_is_none_is_an_input_error(tmp_path, content):
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"list\.txt") as caught:
        gather([f"@{tmp_path / 'list.txt'}"])
    assert caught.value.hint


@given(st.lists(st.sampled_from(["a.jpg", "b.png", "x/c.tif"]), max_size=6))
def test_nothing_is_taken_twice_and_nothing_is_left_out(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("in")
    found = gather(touch(*(folder / name for name in names)))
    assert [path.relative_to(folder).as_posix() for path, _ in found] == list(dict.fromkeys(names))


def test_a_pattern_in_a_folder_whose_name_has_brackets_is_meant_there(tmp_path, monkeypatch):
    inside = touch(tmp_path / "ph [2024]" / "a.jpg", tmp_path / "ph [2024]" / "b.jpg")
    touch(tmp_path / "ph 2" / "c.jpg")
    assert [path for path, _ in gather([tmp_path / "ph [2024]" / "*.jpg"])] == list(inside)
    monkeypatch.chdir(tmp_path)
    assert [path.as_posix() for path, _ in gather(["ph [0-9]/*.jpg"])] == ["ph 2/c.jpg"]


def test_accents_are_compared_however_they_are_written(tmp_path):
    decomposed = "cafe\u0301.jpg"
    (photo,) = touch(tmp_path / decomposed)
    for composed in ("caf\u00e9.jpg", "caf\u00e9*"):
        assert Search(include=(composed,)).takes(photo.relative_to(tmp_path))
    assert [path for path, _ in gather([tmp_path / "caf\u00e9*"])] == [photo]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes in folders")
def test_what_is_no_regular_file_is_left_out_and_never_opened(tmp_path):
    (photo,) = touch(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    (tmp_path / "c.png").symlink_to("/dev/zero")
    told: list[OSError] = []
    assert find_files(tmp_path, Search(left_out=told.append)) == [photo]
    assert {error.strerror for error in told} == {
        "a pipe, not a file",
        "a device, not a file",
    }
    for path in (tmp_path / "b.jpg", tmp_path / "c.png"):
        with pytest.raises(InputError, match="not a file") as caught:
            read_photo(path)
        assert caught.value.hint
    with pytest.raises(InputError, match="a pipe"):
        open_clip(tmp_path / "b.jpg")
