"""What is kept of a clip that is deblurred, on clips that are hard to keep."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from blurdm_cli.commands import clip as module
from blurdm_cli.commands.clip import Result, deblur_clip
from blurdm_cli.commands.videos import VideoOptions
from tests.clips import (
    CHAPTERS,
    CONSTANT,
    TEXTS,
    VARIABLE,
    fake_deblurrer,
    make_clip,
    packets,
    seconds,
    shown,
)

TURNED = (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30)
"""A phone held upright."""


@pytest.fixture(autouse=True)
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", Fraction(1, 5))  # five frames


def deblurred(source: Path, target: Path, gain: float = 0.0, **options: Any) -> Result:
    wanted = VideoOptions(**{"all_frames": True, **options})
    return deblur_clip(source, target, fake_deblurrer(gain), wanted, settings="")


@pytest.mark.parametrize("times", [CONSTANT, VARIABLE, (0,), (3, 4)])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts", "webm"])
def test_every_frame_is_there_at_its_time(
    tmp_path: Path, ending: str, times: Sequence[int]
) -> None:
    codec, options = ("libvpx-vp9", {}) if ending == "webm" else ("libx264", {"bf": "2"})
    source = make_clip(tmp_path / f"a.{ending}", codec=codec, times=times, options=options)
    target = tmp_path / f"b.{ending}"

    result = deblurred(source, target)

    assert seconds(target) == seconds(source)
    assert result.frames == len(times)
    assert (result.notes, result.loss) == ((), None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]
