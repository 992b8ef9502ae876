from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from blurdm_cli.errors import InputError, TrainingError
from blurdm_cli.training.data import Data, read_data
from blurdm_cli.training.pairs import Order


def write(path: Path, height: int = 100, width: int = 110) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def write_pair(folder: Path, name: str, height: int = 80, width: int = 90) -> None:
    for kind in ("input", "target"):
        write(folder / kind / name, height, width)


def read(*paths: Path, crops: tuple[int, ...] = (32,), frames: Path | None = None) -> Data:
    return read_data(paths, crops, torch.device("cpu"), frames=frames, frames_share=0.125)


def test_a_pair_smaller_than_the_largest_crop_is_named_before_anything_is_learnt(
    tmp_path: Path,
) -> None:
    write_pair(tmp_path, "large.png", 300, 300)
    write_pair(tmp_path, "small.png", 300, 150)
    with pytest.raises(InputError, match=r"small\.png .* 150 x 300 .* 192 x 192") as caught:
        read(tmp_path, crops=(128, 192))
    assert "--crop 128" in str(caught.value.hint)
    assert read(tmp_path, crops=(128,)).described == [f"{tmp_path.name}: 2 pairs"]


def test_frames_smaller_than_a_crop_are_refused_too(tmp_path: Path) -> None:
    write(tmp_path / "sharp" / "a.png", 130, 150)
    for number in range(13):
        write(tmp_path / "frames" / f"{number}.png", 40, 64)
    with pytest.raises(InputError, match="frames has 64 x 40"):
        read(tmp_path / "sharp", crops=(64,), frames=tmp_path / "frames")
    found = read(tmp_path / "sharp", crops=(32,), frames=tmp_path / "frames")
    assert found.described[1].endswith("12.5%")


def test_without_pairs_beside_it_a_run_is_evaluated_on_crops_that_fit(tmp_path: Path) -> None:
    write_pair(tmp_path, "a.png")
    assert read(tmp_path, crops=(64, 32)).validation.sharp.shape == (16, 3, 32, 32)


def test_what_is_evaluated_on_keeps_the_motion_that_it_was_blurred_with(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    motion = read(tmp_path).validation.motion
    assert motion is not None
    torch.testing.assert_close(motion.sum(dim=(1, 2)), torch.ones(16), atol=1e-3, rtol=0)


@pytest.mark.parametrize("layout", ["gopro", "hide", "realblur"])
def test_pairs_of_every_layout_are_learnt_from(tmp_path: Path, layout: str) -> None:
    path, names = {
        "gopro": (tmp_path, ("v/blur/1.png", "v/sharp/1.png")),
        "hide": (tmp_path, ("test/far/1.png", "GT/1.png")),
        "realblur": (tmp_path / "list.txt", ("s/blur/b.png", "s/gt/g.png")),
    }[layout]
    for name in names:
        write(tmp_path / name)
    if layout == "realblur":
        path.write_text("s/gt/g.png s/blur/b.png\n")
    found = read(path)
    assert found.described[0].endswith("1 pairs")
    assert not found.makes_blur
    assert found.source.draw(Order(1, 32)).motion is None


def test_sharp_photos_may_lie_in_sub_folders_and_bad_ones_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "2024" / "may" / "a.png")
    write(tmp_path / "b.png")
    write(tmp_path / "tiny.png", 31, 200)
    (tmp_path / "2024" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    found = read(tmp_path)
    assert found.described == [f"{tmp_path.name}: 2 sharp photos, blurred by synthesis"]
    assert found.makes_blur
    assert len(found.left_out) == 2
    assert "torn.jpg" in found.left_out[0]
    assert "tiny.png is smaller than 32" in found.left_out[1]


def test_photos_too_small_for_the_largest_crop_are_told_of_before_anything_is_learnt(
    tmp_path: Path,
) -> None:
    write(tmp_path / "small.png")
    write(tmp_path / "large.png", 200, 150)
    assert read(tmp_path, crops=(32, 64)).left_out == ["photos too small for crops of 64 pixels: 1"]
    with pytest.raises(TrainingError, match="All photos are too small for crops of 128"):
        read(tmp_path, crops=(32, 128))


def test_blurred_photos_are_not_taken_for_sharp_ones(tmp_path: Path) -> None:
    for kind in ("blur", "sharp"):
        write(tmp_path / "train" / "video" / kind / "1.png")
    with pytest.raises(InputError, match="folder of blurred photos"):
        read(tmp_path)
    write(tmp_path / "half" / "input" / "1.png")
    with pytest.raises(InputError, match="has input/ but no target/"):
        read(tmp_path / "half")


def test_what_the_run_itself_wrote_is_not_learnt_from(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    write(tmp_path / "run" / "stage1" / "pictures" / "0000001.png")
    found = read_data([tmp_path], {32}, torch.device("cpu"), skip=tmp_path / "run")
    assert "1 sharp photos" in found.described[0]


def test_a_folder_without_photos_that_can_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photo in"):
        read(tmp_path)
    write(tmp_path / "tiny.png", 8, 8)
    with pytest.raises(InputError, match="that can be used"):
        read(tmp_path)
