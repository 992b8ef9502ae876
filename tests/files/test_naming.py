import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurdm_cli.errors import OutputError, UsageError
from blurdm_cli.files import naming
from blurdm_cli.files.formats import CONTAINERS
from blurdm_cli.files.naming import FileJob, Naming, plain, plan_outputs, resolve_existing

from .conftest import touch

TRANSPORT_STREAM = (b"G" + bytes(187)) * 3
MPEG = b"\0\0\1\xba"


def plan(inputs, output=None, **options):
    return [job.output for job in plan_outputs(inputs, output, **options)]


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
    assert plan(inputs, tmp_path / "out", naming=Naming(suffix=".png")) == [
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
    with pytest.raises(UsageError, match="bmp") as caught:
        plan([photo], tmp_path / "b.bmp")
    assert "png" in caught.value.hint
    assert "ts" in caught.value.hint.split()


def test_every_container_that_is_written_may_be_named(tmp_path):
    for suffix in CONTAINERS:
        output = tmp_path / f"b{suffix}"
        assert plan([(tmp_path / "a.mp4", None)], output) == [output]


def test_a_format_that_is_not_the_named_file_s_is_refused(tmp_path):
    photo = (tmp_path / "a.jpg", None)
    for name in ("b.jpg", "b.mp4"):
        with pytest.raises(UsageError, match="--format png") as caught:
            plan([photo], tmp_path / name, naming=Naming(suffix=".png"))
        assert "b.png" in caught.value.hint
    same = tmp_path / "b.jpeg"
    assert plan([photo], same, naming=Naming(suffix=".jpg")) == [same]


@pytest.mark.parametrize(
    ("name", "content", "result"),
    [
        ("a.ts", TRANSPORT_STREAM, "a.ts"),
        ("a.MTS", TRANSPORT_STREAM, "a.MTS"),
        ("a.mpg", MPEG, "a.mkv"),
        ("a", MPEG, "a.mkv"),
    ],
)
def test_a_video_keeps_its_suffix_or_gets_one_that_takes_every_codec(
    tmp_path, name, content, result
):
    (tmp_path / name).write_bytes(content)
    for suffix in (None, ".png"):
        naming = Naming(suffix=suffix)
        made = plan([(tmp_path / name, None)], tmp_path / "out", naming=naming)
        assert made == [tmp_path / "out" / result]


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
    for name in ("out.jpg", "out.mp4"):
        with pytest.raises(UsageError, match="one file") as caught:
            plan(several, tmp_path / name)
        assert "folder" in caught.value.hint
    touch(tmp_path / "file")
    with pytest.raises(UsageError, match="is a file"):
        plan(several, tmp_path / "file")


def test_what_a_folder_or_a_pattern_gives_is_not_written_to_one_file_even_if_it_is_one(tmp_path):
    found = [(tmp_path / "in" / "a.jpg", tmp_path / "in")]
    for name in ("res.jpg", "res.mp4"):
        with pytest.raises(UsageError, match="one file"):
            plan(found, tmp_path / name)
        assert plan(found, f"{tmp_path / name}{os.sep}") == [tmp_path / name / "a.jpg"]
    assert plan([], tmp_path / "res.jpg") == []


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


def test_many_equal_names_take_a_few_steps_each(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(naming, "plain", lambda path: steps.append(path) or plain(path))
    inputs = [(tmp_path / f"{number}.jpg", tmp_path) for number in range(300)]
    outputs = plan(inputs, tmp_path / "out", naming=Naming("x{ext}"))
    assert [path.name for path in outputs] == ["x.jpg", *(f"x-{n}.jpg" for n in range(2, 301))]
    assert len(steps) < 5 * len(inputs)


def test_results_of_earlier_runs_are_no_inputs(tmp_path):
    names = ("a.jpg", "a.deblurred.jpg", "a.deblurred-2.jpg", "alone.deblurred.png")
    photos = touch(*(tmp_path / name for name in names))
    jobs = plan_outputs([(photo, tmp_path) for photo in photos])
    assert jobs == [FileJob(tmp_path / "a.jpg", tmp_path / "a.deblurred.jpg", tmp_path)]
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
        assert resolve_existing(tmp_path / "new.jpg", policy) == tmp_path / "new.jpg"
    assert resolve_existing(there, "skip") is None
    assert resolve_existing(there, "overwrite") == there
    assert resolve_existing(there, "rename") == tmp_path / "a.b-2.jpg"
    touch(tmp_path / "a.b-2.jpg")
    assert resolve_existing(there, "rename") == tmp_path / "a.b-3.jpg"
    with pytest.raises(OutputError, match="exists already") as caught:
        resolve_existing(there, "error")
    assert "--on-exists" in caught.value.hint


def test_a_template_names_results_beside_and_inside(tmp_path):
    photos = [(tmp_path / "in" / name, tmp_path / "in") for name in ("a.jpg", "x/b.png")]
    naming = Naming("{parent}/{index:03d}_{stem}_{model}{ext}", model="fast")
    assert plan(photos, tmp_path / "out", naming=naming) == [
        tmp_path / "out" / "in" / "001_a_fast.jpg",
        tmp_path / "out" / "x" / "x" / "002_b_fast.png",
    ]
    assert plan(photos[:1], naming=Naming("{stem} sharp{ext}")) == [tmp_path / "in/a sharp.jpg"]


def test_results_of_earlier_runs_are_known_by_their_template(tmp_path):
    names = ("a.jpg", "a_sharp.jpg", "a.deblurred.jpg")
    photos = touch(*(tmp_path / name for name in names))
    jobs = plan_outputs([(path, tmp_path) for path in photos], naming=Naming("{stem}_sharp{ext}"))
    assert [job.input.name for job in jobs] == ["a.jpg", "a.deblurred.jpg"]


@pytest.mark.parametrize(
    "template", ["{name}", "{stem", "{0}", "{stem.x}", "../{stem}{ext}", "/{stem}", "", "{stem:d}"]
)
def test_a_template_that_leads_nowhere_is_refused(tmp_path, template):
    with pytest.raises(UsageError, match="template") as caught:
        plan([(tmp_path / "a.jpg", None)], tmp_path / "out", naming=Naming(template))
    assert caught.value.hint


def test_a_result_beside_a_photo_without_a_suffix_gets_that_of_its_kind(tmp_path):
    (tmp_path / "scan").write_bytes(b"\xff\xd8\xff")
    (job,) = plan_outputs([(tmp_path / "scan", None)])
    assert job.output == tmp_path / "scan.deblurred.jpg"
    (job,) = plan_outputs([(tmp_path / "scan", None)], naming=Naming(suffix=".png"))
    assert job.output == tmp_path / "scan.deblurred.png"
    (job,) = plan_outputs([(tmp_path / "scan", None)], f"{tmp_path}/out/")
    assert job.output == tmp_path / "out" / "scan"


def test_in_place_every_result_takes_its_inputs_place_and_nothing_else_is_named(tmp_path):
    photos = [(tmp_path / "a.jpg", None), (tmp_path / "x" / "b.png", tmp_path)]
    jobs = plan_outputs(photos, naming=Naming(in_place=True))
    assert [job.output for job in jobs] == [path for path, _ in photos]
    with pytest.raises(UsageError, match="--in-place"):
        plan_outputs(photos, tmp_path / "out", Naming(in_place=True))


folders = st.sampled_from(["", "x", "x/y", "X", "é"])
stems = st.sampled_from(["a", "A", "a-2", "a.b", "🌸 1", "a.deblurred"])
suffixes = st.sampled_from([".jpg", ".JPG", ".png", ".bmp", ".gif", "", ".mp4"])


@given(
    st.lists(st.tuples(folders, stems, suffixes), min_size=1, unique=True),
    st.booleans(),
    st.sampled_from([None, "{stem}{ext}", "all{ext}", "{stem}"]),
)
def test_no_two_results_go_to_one_place_even_where_case_is_ignored(names, mirrored, template):
    root = Path("in")
    inputs = [(root / folder / f"{stem}{suffix}", root) for folder, stem, suffix in names]
    output = "out" if mirrored else None
    try:
        jobs = plan_outputs(inputs, output, Naming(template))
    except UsageError:  # onto an input
        assert not mirrored
        return
    places = [os.path.abspath(job.output).casefold() for job in jobs]
    assert len(set(places)) == len(places)
    assert not {job.output for job in jobs} & {job.input for job in jobs}
    if mirrored:
        assert [job.input for job in jobs] == [path for path, _ in inputs]
        assert all(
            job.output.parent == Path("out") / job.input.parent.relative_to(root) for job in jobs
        )
