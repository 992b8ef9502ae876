import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurdm_cli.errors import UsageError
from blurdm_cli.photo.comparison import check_same_size, most_changed, picture, side_by_side, viewed
from blurdm_cli.photo.photo import Photo

GRAY = np.full((300, 400, 3), 128, np.uint8)


def changed(*places: tuple[int, int, int]) -> np.ndarray:
    """The gray photo with squares of 20 pixels that are lighter, each by its own amount."""
    photo = GRAY.copy()
    for top, left, amount in places:
        photo[top : top + 20, left : left + 20] += np.uint8(amount)
    return photo


def test_the_place_that_changed_most_comes_first_and_unchanged_ones_do_not_come():
    crops = most_changed(GRAY, changed((10, 10, 20), (250, 350, 100)), 5)
    assert len(crops) == 2
    for crop, (top, left) in zip(crops, [(250, 350), (10, 10)], strict=True):
        assert crop.top <= top <= crop.top + crop.side - 20
        assert crop.left <= left <= crop.left + crop.side - 20
    assert most_changed(GRAY, GRAY, 3) == []


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 6), st.integers(0, 99))
def test_crops_lie_in_the_photo_and_do_not_overlap(height, width, count, seed):
    random = np.random.default_rng(seed)
    before, after = random.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    taken = np.zeros((height, width), int)
    for crop in most_changed(before, after, count):
        assert crop.of(before).shape == (crop.side, crop.side, 3)
        taken[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side] += 1
    assert taken.max(initial=0) <= 1
    sheet = picture(before, after, most_changed(before, after, count), ("a", "b"), True)
    assert sheet.dtype == np.uint8


def test_the_picture_shows_both_photos_and_the_difference():
    after = changed((100, 100, 50))
    sheet = picture(GRAY, after, [], ("Before", "After"), True).astype(int)
    assert sheet.shape[1] == 3 * 400 + 4 * 12
    before, other, difference = (sheet[-312:-12, 12 + k * 412 :][:, :400] for k in range(3))
    assert (before == GRAY).all()
    assert (other == after).all()
    assert difference[110, 110].tolist() == [200] * 3
    assert difference[10, 10].tolist() == [0] * 3
    assert picture(GRAY, after, [], ("Before", "After"), False).shape[1] == 2 * 400 + 3 * 12


def test_a_large_photo_is_made_smaller_and_its_crops_are_not():
    before = np.zeros((200, 3000, 3), np.uint8)
    after = before.copy()
    after[50:100, 1000:1050:2] = 255
    crops = most_changed(before, after, 1)
    sheet = picture(before, after, crops, ("a", "b"), False)
    assert sheet.shape[1] == 2 * 1000 + 3 * 12
    shown = sheet[-1012:-12, -1012:-12]
    assert shown.max() > 250  # stripes of one pixel are still seen
    assert shown.shape == (1000, 1000, 3)


def test_photos_of_two_sizes_are_not_compared():
    with pytest.raises(UsageError, match="400 x 300 and 300 x 400"):
        check_same_size(GRAY, GRAY.transpose(1, 0, 2))


def test_gray_deep_and_transparent_photos_are_seen_as_a_screen_shows_them():
    gray = Photo(np.full((2, 2, 1), 257 * 7, np.uint16))
    assert viewed(gray).tolist() == np.full((2, 2, 3), 7).tolist()
    clear = Photo(np.zeros((2, 2, 3), np.uint8), alpha=np.array([[0, 255]] * 2, np.uint8))
    assert viewed(clear)[0].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize(("size", "wanted"), [((4, 6), (4, 12)), ((2, 6), (4, 6))])
def test_both_in_full_are_beside_or_above_each_other(size, wanted):
    photo = Photo(np.zeros((*size, 3), np.uint8), alpha=np.ones(size, np.uint8))
    both = side_by_side(photo, photo)
    assert both.pixels.shape[:2] == wanted
    assert both.alpha.shape == wanted
