import numpy as np
import pytest

from blurdm_cli.choices import MotionMode
from blurdm_cli.engine.blending import blend
from blurdm_cli.engine.candidates import Candidates, with_candidates
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.tiling import plan_tiles
from blurdm_cli.errors import UsageError
from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.found import Found, Motion
from tests.engine.fake import FakeRuntime, spec
from tests.motion.scenes import blurred, leaves, path_kernel

PLANES = 13


@pytest.fixture(scope="module")
def shaken() -> tuple[np.ndarray, Motion]:
    """A photo and its true motion."""
    kernel = path_kernel(14, 3)
    photo = np.rint(blurred(leaves(360, 3), kernel) * 255).astype(np.uint8)[:300]
    found = Found(kernel, 0.8, "true")
    return photo, Motion(found, found, 0.001)


def test_tiles_have_the_candidates_of_the_whole_photo(shaken: tuple[np.ndarray, Motion]) -> None:
    photo, motion = shaken
    whole = make_candidates(photo.astype(np.float32) / 255, motion)
    plan = plan_tiles(*photo.shape[:2], tile=160, halo=16, multiple_of=8)
    assert len(plan.corners) > 2
    candidates = Candidates(photo, motion)
    joined = np.zeros_like(whole)
    for first in (3, 6, 9):
        planes = (
            candidates.cut(plan, corner, 255.0)[0, first : first + 3] for corner in plan.corners
        )
        for rows, values in blend(plan, planes):
            joined[first - 3 : first, rows] = values
    # at the photo's own border, what lies beyond is guessed from what a tile sees
    difference = np.abs(joined - whole)[:6, 24:-24, 24:-24]
    assert difference.mean() < 0.001
    assert difference.max() < 0.04


def test_a_tile_shows_the_photo_in_its_first_planes(shaken: tuple[np.ndarray, Motion]) -> None:
    photo, motion = shaken
    plan = plan_tiles(*photo.shape[:2], tile=160, halo=16, multiple_of=8)
    for corner in plan.corners:
        tile = Candidates(photo, motion).cut(plan, corner, 255.0)
        assert tile.shape[1] == PLANES
        np.testing.assert_array_equal(tile[:, :3], plan.cut(photo, [corner], 255.0))


def test_with_motion_off_the_candidates_are_the_photo() -> None:
    photo = np.rint(leaves(64) * 255).astype(np.uint8)
    plan = plan_tiles(64, 64, tile=64, halo=0, multiple_of=8)
    tile = Candidates(photo, Motion()).cut(plan, (0, 0), 255.0)[0]
    np.testing.assert_allclose(tile[3:6], tile[:3], atol=1e-6)
    np.testing.assert_array_equal(tile[6:9], tile[3:6])
    assert not tile[9:].any()


def test_a_photo_in_one_tile_has_its_candidates_behind(shaken: tuple[np.ndarray, Motion]) -> None:
    tile = leaves(48).transpose(2, 0, 1)[None].copy()
    seen = with_candidates(tile)
    assert seen.shape == (1, PLANES, 48, 48)
    np.testing.assert_array_equal(seen[:, :3], tile)


def test_the_engine_hands_candidates_to_models_that_take_them() -> None:
    runtime = FakeRuntime(lambda tiles: tiles[:, :3])
    photo = np.rint(leaves(100) * 255).astype(np.uint8)
    restored = Deblurrer(runtime, spec(candidates=True, tile=64), motion="off")(photo)
    np.testing.assert_array_equal(restored, photo)
    assert {tile.shape[0] for tile in runtime.tiles} == {PLANES}


def test_frames_of_a_video_are_not_looked_at_for_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Motion:
        raise AssertionError("looked for motion")

    monkeypatch.setattr("blurdm_cli.engine.deblur.find_motion", never)
    runtime = FakeRuntime(lambda tiles: tiles[:, :3])
    frames = [np.rint(leaves(64, seed) * 255).astype(np.uint8) for seed in range(2)]
    deblurrer = Deblurrer(runtime, spec(candidates=True))
    for frame, restored in zip(frames, deblurrer.restore_each(frames), strict=True):
        assert restored
        np.testing.assert_array_equal(restored.pixels, frame)


def test_with_motion_on_each_frame_has_its_own_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_brightness(frame: np.ndarray, _: int) -> Motion:
        length = 6 if frame.mean() < 128 else 12
        found = Found(path_kernel(length, length), 0.8, "made up")
        return Motion(found, found, 0.001)

    monkeypatch.setattr("blurdm_cli.engine.deblur.find_motion", by_brightness)
    scene = np.rint(leaves(64) * 127).astype(np.uint8)
    frames = [scene, None, scene + np.uint8(128), scene]

    def restored(motion: MotionMode) -> list[np.ndarray]:
        runtime = FakeRuntime(lambda tiles: tiles[:, 3:6])  # the candidate
        deblurrer = Deblurrer(runtime, spec(candidates=True), guard="off", motion=motion, batch=2)
        return [each.pixels for each in deblurrer.restore_each(frames) if each]

    undone = restored("on")
    for frame, result in zip((frames[0], frames[2], frames[3]), undone, strict=True):
        runtime = FakeRuntime(lambda tiles: tiles[:, 3:6])
        alone = Deblurrer(runtime, spec(candidates=True), guard="off")(frame)
        np.testing.assert_array_equal(result, alone)
        assert np.abs(result.astype(int) - frame).mean() > 1
    for frame, result in zip((frames[0], frames[2], frames[3]), restored("auto"), strict=True):
        np.testing.assert_array_equal(result, frame)


def test_motion_on_needs_a_model_that_uses_it() -> None:
    with pytest.raises(UsageError, match="does not use the motion"):
        Deblurrer(FakeRuntime(), spec(), motion="on")
    with pytest.raises(UsageError, match="does not use the motion"):
        Deblurrer(FakeRuntime(), spec()).adjusted(1.0, "on")


def test_tiles_that_do_not_fit_are_cut_again_with_their_candidates() -> None:
    photo = np.rint(leaves(320) * 255).astype(np.uint8)
    runtime = FakeRuntime(lambda tiles: tiles[:, :3], fails=lambda call, pixels: pixels > 200**2)
    restored = Deblurrer(runtime, spec(candidates=True, tile=320), motion="off")(photo)
    np.testing.assert_array_equal(restored, photo)
    assert {tile.shape[0] for tile in runtime.tiles} == {PLANES}
