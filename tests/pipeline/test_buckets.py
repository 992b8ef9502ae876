"""Objects in a bucket as input and output, against a real server on this machine."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from blurdm_cli.commands.report import ConsoleReporter
from blurdm_cli.errors import OutputError
from blurdm_cli.files.objects import Store
from blurdm_cli.pipeline.outcome import Outcome
from tests.buckets import Server, refusing, rows
from tests.cli import TINY, Blurdm
from tests.clips import make_clip, shown
from tests.pipeline.album import results


def plain(blurdm: Blurdm, source: Path, output: Path, *options: str) -> dict[str, bytes]:
    """The results of a run over files."""
    assert blurdm("deblur", source, "-o", output, *options, *TINY).code == 0
    return {name: (output / name).read_bytes() for name in results(output)}


def test_a_bucket_as_input_and_output_gives_the_bytes_of_files(
    blurdm: Blurdm, server: Server, uploaded: Path, tmp_path: Path
) -> None:
    whole = plain(blurdm, uploaded, tmp_path / "whole")
    words = ("deblur", "s3://photos/in", "-o", "s3://photos/out/", "--json", *TINY)
    first, second = blurdm(*words), blurdm(*words)

    assert first.code == 0, first.err
    assert server.contents("s3://photos/out/") == whole
    names = [f"s3://photos/in/{letter}.png" for letter in "abc"]
    assert rows(first.out) == [(name, "done") for name in names]
    assert json.loads(first.out.splitlines()[0])["output"] == "s3://photos/out/a.png"
    assert rows(second.out) == [(name, "skipped") for name in names]
    assert server.files.info("photos/out/a.png")["ContentType"] == "image/png"
    other = blurdm(*words, "--strength", "0.5")
    assert rows(other.out) == [(name, "done") for name in names]


def test_files_go_to_a_bucket_and_objects_to_a_folder_once(
    blurdm: Blurdm, server: Server, uploaded: Path, tmp_path: Path
) -> None:
    whole = plain(blurdm, uploaded, tmp_path / "whole")
    there = ("deblur", uploaded, "-o", "s3://photos/out", "--json", *TINY)
    back = ("deblur", "s3://photos/in/", "-o", tmp_path / "back", "--json", *TINY)
    for words in (there, back):
        for status in ("done", "skipped"):
            assert [each for _, each in rows(blurdm(*words).out)] == [status] * 3
    assert server.contents("s3://photos/out/") == whole
    assert {name: (tmp_path / "back" / name).read_bytes() for name in whole} == whole

    server.put("s3://photos/in/a.png", (uploaded / "c.png").read_bytes() + b" ")
    (uploaded / "b.png").write_bytes((uploaded / "c.png").read_bytes())
    for words, letter in ((there, "b"), (back, "a")):
        changed = [name for name, status in rows(blurdm(*words).out) if status == "done"]
        assert [Path(name).stem for name in changed] == [letter]


def test_policies_are_those_of_files(blurdm: Blurdm, server: Server, uploaded: Path) -> None:
    one = ("deblur", "s3://photos/in/a.png", *TINY)
    server.put("s3://photos/out/a.png", b"a user's")
    kept = blurdm("deblur", "s3://photos/in", "-o", "s3://photos/out", "--json", *TINY)
    assert rows(kept.out)[0] == ("s3://photos/in/a.png", "skipped")
    assert "s3://photos/out/a.png exists already; --overwrite" in kept.err
    error = blurdm(*one, "-o", "s3://photos/out/a.png")
    assert (error.code, "exists already" in error.err) == (5, True)
    assert server.contents("s3://photos/out/a.png") == {"": b"a user's"}

    renamed = blurdm(*one, "-o", "s3://photos/out/", "--on-exists", "rename", "--compare")
    assert renamed.code == 0, renamed.err
    made = server.contents("s3://photos/out/")
    assert {"a-2.png", "a-2.compare.png"} < set(made)
    assert made["a.png"] == b"a user's"
    assert blurdm(*one, "-o", "s3://photos/out/a.png", "--overwrite").code == 0
    assert server.contents("s3://photos/out/a.png") == {"": made["a-2.png"]}

    before = server.contents("s3://photos/")
    planned = blurdm(*one, "--dry-run")
    assert "s3://photos/in/a.png -> s3://photos/in/a.deblurred.png" in planned.err
    assert server.contents("s3://photos/") == before
    assert blurdm(*one).code == 0
    assert blurdm("deblur", "s3://photos/in", "--dry-run", "--json", *TINY).code == 0
    assert set(server.contents("s3://photos/")) - set(before) == {"in/a.deblurred.png"}


def test_names_choose_objects_as_they_choose_files(
    blurdm: Blurdm, server: Server, uploaded: Path, tmp_path: Path
) -> None:
    photo = (uploaded / "a.png").read_bytes()
    for name in ("x/1.jpg", "x/deep/2.PNG", "x/.hidden.png", "x/é [1].png", "x/../up.png"):
        server.put(f"s3://photos/{name}", photo)
    for name in ("x/none.txt", "x/deep/y.ts", "x/out/3.png"):
        server.put(f"s3://photos/{name}", b"const a = 1;")
    listed = tmp_path / "list.txt"
    listed.write_text(f"s3://photos/x/1.jpg\nfile://{uploaded}/a.png\n{uploaded}/b.png\n")
    names = {"x/1.jpg", "x/deep/2.PNG", "x/é [1].png"}
    ways: list[tuple[list[str], set[str]]] = [
        (["s3://photos/x"], names),
        (["s3://photos/x/", "--no-recursive"], names - {"x/deep/2.PNG"}),
        (["s3://photos/x", "--exclude", "deep/*"], names - {"x/deep/2.PNG"}),
        (["s3://photos/x/*.png", "s3://photos/x/1.jpg"], names - {"x/deep/2.PNG"}),
        (["s3://photos/**/[0-9].*", "--exclude", "3*"], {"x/1.jpg", "x/deep/2.PNG"}),
        (["s3://photos/x/é [1].png"], {"x/é [1].png"}),
        ([f"@{listed}"], {"x/1.jpg", f"{uploaded}/a.png", f"{uploaded}/b.png"}),
    ]
    for words, wanted in ways:
        out = ("-o", "s3://photos/x/out/", "--dry-run", "--json")
        found = [name for name, _ in rows(blurdm("deblur", *words, *out, *TINY).out)]
        assert {name.removeprefix("s3://photos/") for name in found} == wanted
        assert len(found) == len(wanted)


def test_a_video_without_a_suffix_is_known_by_its_bytes_and_keeps_its_sound(
    blurdm: Blurdm, server: Server, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mkv", audio=("aac",))
    assert blurdm("deblur", clip, "-o", tmp_path / "plain.mkv", *TINY).code == 0
    server.put("s3://photos/film", clip.read_bytes())
    done = blurdm("deblur", "s3://photos/film", "-o", "s3://photos/sharp.mkv", *TINY)
    assert done.code == 0, done.err
    (tmp_path / "sharp.mkv").write_bytes(server.contents("s3://photos/sharp.mkv")[""])
    frames, wanted = (shown(tmp_path / f"{name}.mkv") for name in ("sharp", "plain"))
    assert [each.to_ndarray().tobytes() for each in frames] == [
        each.to_ndarray().tobytes() for each in wanted
    ]


def test_a_video_whose_upload_fails_is_only_joined_again(
    blurdm: Blurdm, server: Server, tmp_path: Path
) -> None:
    server.put("s3://photos/clip.mkv", make_clip(tmp_path / "clip.mkv").read_bytes())
    words = ("deblur", "s3://photos/clip.mkv", "-o", "s3://photos/out/", "--all-frames", *TINY)
    with refusing("put_object", ConnectionError("the line is dead")):
        failed = blurdm(*words)
    assert failed.code == 5
    assert "s3://photos/out/clip.mkv cannot be written: the line is dead" in failed.err
    again = blurdm(*words)
    assert again.code == 0, again.err
    assert "12 from an earlier run" in again.err


def test_a_lost_network_costs_the_files_in_flight_and_the_next_run_does_the_rest(
    blurdm: Blurdm, server: Server, uploaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(
        "s3://photos/in/d.png", shutil.copy(uploaded / "a.png", uploaded / "d.png").read_bytes()
    )
    whole = plain(blurdm, uploaded, tmp_path / "whole")
    words = ("deblur", "s3://photos/in", "-o", "s3://photos/out/", "--json", *TINY)

    def finished(reporter: ConsoleReporter, outcome: Outcome, facts: Mapping[str, Any]) -> None:
        if outcome.input.endswith("a.png"):
            server.stop()
        report(reporter, outcome, facts)

    report = ConsoleReporter.finished
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleReporter, "finished", finished)
        cut = blurdm(*words)
    server.start()

    assert cut.code == 4
    assert [status for _, status in rows(cut.out)] == ["done", *["failed"] * 3]
    assert "s3://photos/out/b.png cannot be written: Could not connect" in cut.err
    assert "s3://photos/in/d.png cannot be read: Could not connect" in cut.err
    assert "Check the network" in cut.err
    assert server.contents("s3://photos/out/") == {"a.png": whole["a.png"]}
    rest = blurdm(*words)
    assert [status for _, status in rows(rest.out)] == ["skipped", *["done"] * 3]
    assert server.contents("s3://photos/out/") == whole


def test_an_object_of_somebody_else_is_never_replaced(
    blurdm: Blurdm, server: Server, uploaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("deblur", uploaded / "a.png", "-o", "s3://photos/out/", *TINY)
    send = Store.send

    def beaten(store: Store, path: Path, url: str, *rest: Any) -> None:
        server.put(url, b"a user's")
        send(store, path, url, *rest)

    for options in ((), ("--overwrite",)):
        with monkeypatch.context() as patch:
            patch.setattr(Store, "send", beaten)
            result = blurdm(*words, *options)
        assert result.code == 5
        assert "s3://photos/out/a.png was changed by somebody else" in result.err
        assert server.contents("s3://photos/out/") == {"a.png": b"a user's"}
        server.put("s3://photos/out/a.png", b"older")


def test_a_large_object_is_whole_or_absent_and_its_parts_are_removed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blurdm_cli.files.objects.PART", 5 * 2**20)
    large = tmp_path / "large.tif"
    large.write_bytes(bytes(range(256)) * (11 * 2**12))
    store, url = Store("s3"), "s3://photos/large.tif"

    def unfinished() -> int:
        listed = server.files.call_s3("list_multipart_uploads", Bucket="photos")
        return len(listed.get("Uploads", ()))

    with (
        refusing("complete_multipart_upload", ConnectionError("dead")),
        pytest.raises(OutputError, match=r"large\.tif cannot be written: dead"),
    ):
        store.send(large, url, {}, None)
    assert (server.contents(url), unfinished()) == ({}, 0)
    server.files.call_s3("create_multipart_upload", Bucket="photos", Key="large.tif")
    server.files.call_s3("create_multipart_upload", Bucket="photos", Key="large.tif.other")
    store.send(large, url, {"settings": "s"}, None)
    assert server.contents(url) == {"": large.read_bytes()}
    assert store.facts(url) == {"settings": "s"}
    assert unfinished() == 1


def test_what_cannot_be_reached_is_one_line_with_a_hint(
    blurdm: Blurdm, server: Server, uploaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = uploaded / "a.png"
    for words, code, message in (
        (["s3://nowhere/in"], 3, "There is no bucket nowhere"),
        ([photo, "-o", "s3://nowhere/out/"], 5, "There is no bucket nowhere"),
        (["s3://photos/in/z.png"], 3, "There is no s3://photos/in/z.png"),
        (["s3://photos/empty/"], 3, "There is no photo or video in s3://photos/empty/"),
        (["s3://photos/in/z*"], 3, "Nothing matches s3://photos/in/z*"),
        (["s3://photos/in", "--in-place"], 2, "--in-place needs files"),
        (["s3://photos/in/a.png", "-o", "s3://photos/in/a.png"], 2, "would be replaced"),
        ([photo, "-o", "s3://photos/%04d.png"], 2, "image sequence"),
        (["ftp://host/a.png"], 2, "ftp:// is not supported"),
        (["s3://"], 2, "names no bucket"),
        ([photo, "-o", "file://host/a.png"], 2, "another computer"),
    ):
        result = blurdm("deblur", *words, *TINY)
        assert (result.code, message in result.err) == (code, True), result.err
        assert "fix: " in result.err
        assert str(tmp_path / "cache") not in result.err
    assert "takes files" in blurdm("score", "s3://photos/in").err
    watched = blurdm("watch", uploaded, "-o", "s3://photos/out")
    assert (watched.code, "writes to a folder" in watched.err) == (2, True)

    with refusing("put_object", PermissionError("Access Denied")):
        denied = blurdm("deblur", photo, "-o", "s3://photos/out/", *TINY)
    assert denied.code == 5
    assert "Access Denied" in denied.err
    assert "must be allowed" in denied.err
    server.files.clear_instance_cache()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    nobody = blurdm("deblur", "s3://photos/in", *TINY)
    server.files.clear_instance_cache()
    assert nobody.code == 3
    assert "AWS_ACCESS_KEY_ID" in nobody.err
    monkeypatch.setitem(sys.modules, "fsspec", None)
    absent = blurdm("deblur", "s3://photos/in", *TINY)
    assert absent.code == 7
    assert "pip install s3fs" in absent.err


def test_a_file_url_is_a_path(blurdm: Blurdm, uploaded: Path, tmp_path: Path) -> None:
    (uploaded / "a.png").rename(uploaded / "a photo.png")
    words = (f"{uploaded.as_uri()}/a%20photo.png", "-o", f"{tmp_path.as_uri()}/sharp.png")
    assert blurdm("deblur", *words, *TINY).code == 0
    assert (tmp_path / "sharp.png").exists()
    assert blurdm("score", f"{uploaded.as_uri()}/a%20photo.png").code == 0
