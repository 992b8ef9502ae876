"""A clip into and from numbered pictures."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from blurdm_cli.errors import InputError
from blurdm_cli.photo.photo import read_photo
from tests import clips
from tests.clips import Stopped, make_clip, scene, seconds, shown, stop_after

pytestmark = pytest.mark.usefixtures("short_segments")

LONG = tuple(range(24))

deblurred = partial(clips.deblurred, gain=0.25)


def test_a_clip_becomes_numbered_pictures_and_these_a_clip(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1", pix_fmt="yuv444p10le")
    result = deblurred(source, tmp_path / "p" / "f%04d.png", gain=0.0)
    assert result.loss is None
    pictures = sorted((tmp_path / "p").iterdir())
    assert [path.name for path in pictures] == [f"f{number:04}.png" for number in range(1, 13)]
    assert "no sound" in result.notes[0]
    for number, path in enumerate(pictures):
        pixels = read_photo(path).pixels
        assert pixels.dtype == np.uint16
        assert np.abs(pixels / 65535 - scene(number, 48, 64)).max() < 0.004

    for named in (tmp_path / "p" / "f%04d.png", tmp_path / "p"):
        target = tmp_path / "b.mp4"
        assert deblurred(named, target, gain=0.0, fps=12.5).loss is None
        assert seconds(target) == [Fraction(number * 2, 25) for number in range(12)]
        frame = shown(target)[3]
        assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 1, 1)
        near = frame.to_ndarray(format="rgb24") / 255 - scene(3, 48, 64)
        assert np.abs(near).mean() < 0.02


def test_pictures_go_on_where_they_ended(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", times=LONG)
    pattern = tmp_path / "p" / "%d.png"
    with pytest.raises(Stopped):
        deblurred(source, pattern, advance=stop_after(0.6), all_frames=False)
    restored: list[float] = []

    deblurred(source, pattern, advance=lambda done, note: restored.append(done), all_frames=False)

    assert len(restored) == 14
    assert len(list(pattern.parent.iterdir())) == 24


def test_pictures_of_other_sizes_are_named(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4")
    deblurred(source, tmp_path / "%02d.png")
    (tmp_path / "07.png").write_bytes((tmp_path / "06.png").read_bytes()[:200])
    with pytest.raises(InputError, match=r"07\.png"):
        deblurred(tmp_path / "%02d.png", tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()
