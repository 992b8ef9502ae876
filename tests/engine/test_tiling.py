from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blurdm_cli.engine.blending import blend
from blurdm_cli.engine.tiling import plan_tiles
from blurdm_cli.spec import Padding


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int]:
    """A tile, a halo that fits in it, and what the tile is a multiple of."""
    multiple_of = draw(st.sampled_from([1, 2, 8, 16, 32]))
    tile = multiple_of * draw(st.integers(-(-8 // multiple_of), 256 // multiple_of))
    return tile, draw(st.integers(0, tile // 3)), multiple_of


sides = st.integers(1, 700)


@given(sides, sides, cuts())
@settings(deadline=None, max_examples=60)
def test_weights_sum_to_exactly_one(height: int, width: int, cut: tuple[int, int, int]) -> None:
    tile, halo, multiple_of = cut
    plan = plan_tiles(height, width, tile=tile, halo=halo, multiple_of=multiple_of)
    ones = np.ones((3, plan.rows.side, plan.columns.side), dtype=np.float32)

    for _, values in blend(plan, (ones for _ in plan.corners)):
        assert (values == 1).all()
    for axis in (plan.rows, plan.columns):
        assert (axis.weights >= 0).all()


@given(sides, cuts())
@settings(deadline=None)
def test_neighbours_overlap_by_more_than_two_halos_and_inner_halos_weigh_nothing(
    length: int, cut: tuple[int, int, int]
) -> None:
    tile, halo, multiple_of = cut
    axis = plan_tiles(length, 1, tile=tile, halo=halo, multiple_of=multiple_of).rows

    for first, second in pairwise(axis.starts):
        assert first < second < first + axis.side - 2 * halo
    assert (axis.weights[1:, :halo] == 0).all()
    assert (axis.weights[:-1, axis.side - halo :] == 0).all()


@given(sides, sides, cuts())
@example(1, 79, (9, 1, 1))
@settings(deadline=None)
def test_tiles_are_multiples_and_end_with_the_photo_padded_to_one(
    height: int, width: int, cut: tuple[int, int, int]
) -> None:
    tile, halo, multiple_of = cut
    plan = plan_tiles(height, width, tile=tile, halo=halo, multiple_of=multiple_of)

    assert plan.rows.side * plan.columns.side <= tile**2
    for axis in (plan.rows, plan.columns):
        assert axis.side <= 2 * tile
        assert axis.side % multiple_of == 0
        assert axis.side < axis.length + multiple_of
        assert axis.starts[0] == 0
        assert axis.length <= axis.starts[-1] + axis.side < axis.length + multiple_of


@pytest.mark.parametrize(
    ("height", "width", "tiles", "waste"),
    [(720, 1280, 1, 0), (1080, 1920, 2, 0.06), (3000, 4000, 15, 0.15), (10000, 20000, 216, 0.17)],
)
def test_tiles_have_few_pixels_in_all(height: int, width: int, tiles: int, waste: float) -> None:
    plan = plan_tiles(height, width, tile=1056, halo=32, multiple_of=16)
    assert len(plan.corners) == tiles
    pixels = tiles * plan.rows.side * plan.columns.side
    assert pixels <= (1 + waste) * height * width


def test_tiles_are_the_fewest_and_spread_evenly_at_multiples() -> None:
    def starts(length: int) -> tuple[int, ...]:
        return plan_tiles(length, 1, tile=(256, 96), halo=32, multiple_of=8).rows.starts

    stride = 256 - 2 * 32 - 32 // 4
    for tiles in range(1, 20):
        assert len(starts(256 + (tiles - 1) * stride)) == tiles
        assert len(starts(257 + (tiles - 1) * stride)) == tiles + 1
    for length in range(257, 2000, 7):
        gaps = [b - a for a, b in pairwise(starts(length))]
        assert max(gaps) - min(gaps) <= 8
        assert all(start % 8 == 0 for start in starts(length))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 500), (64, 64), (65, 200), (333, 640)])
@pytest.mark.parametrize("halo", [0, 1, 16, 21])
def test_identity_tiles_give_the_photo_back(height: int, width: int, halo: int) -> None:
    photo = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    plan = plan_tiles(height, width, tile=64, halo=halo, multiple_of=8)

    rows = [values.copy() for _, values in blend(plan, plan.cut(photo, plan.corners, 1.0))]

    restored = np.concatenate(rows, axis=1).transpose(1, 2, 0)
    np.testing.assert_allclose(restored, photo, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 500), (64, 96), (65, 97), (333, 640)])
def test_tiles_of_one_size_cover_photos_of_any(height: int, width: int) -> None:
    photo = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    plan = plan_tiles(height, width, tile=(64, 96), halo=16, multiple_of=8)
    tiles = plan.cut(photo, plan.corners, 1.0)

    rows = [values.copy() for _, values in blend(plan, tiles)]

    assert tiles.shape[1:] == (3, 64, 96)
    restored = np.concatenate(rows, axis=1).transpose(1, 2, 0)
    np.testing.assert_allclose(restored, photo, atol=1e-6)


def test_rows_are_handed_out_once_each_from_the_top() -> None:
    plan = plan_tiles(500, 300, tile=64, halo=8)
    size = (plan.rows.side, plan.columns.side)
    tiles = iter(np.zeros((len(plan.corners), 3, *size), dtype=np.float32))

    seen = [slice(0, 0), *(rows for rows, _ in blend(plan, tiles))]

    assert all(above.stop == below.start < below.stop for above, below in pairwise(seen))
    assert seen[-1].stop == 500
    assert next(tiles, None) is None


def padded(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    photo = np.arange(height * width * 3, dtype=np.uint16).reshape(height, width, 3)
    plan = plan_tiles(height, width, tile=64, halo=8, multiple_of=16)
    (tile,) = plan.cut(photo, plan.corners, 1.0)
    return photo.transpose(2, 0, 1).astype(np.float32), tile


def test_a_small_photo_is_mirrored_up_to_a_multiple_and_no_further() -> None:
    photo, tile = padded(41, 30)

    assert tile.shape == (3, 48, 32)
    np.testing.assert_array_equal(tile, np.pad(photo, ((0, 0), (0, 7), (0, 2)), mode="reflect"))


def test_a_photo_smaller_than_its_padding_has_its_edge_repeated() -> None:
    photo, tile = padded(5, 1)

    assert tile.shape == (3, 16, 16)
    np.testing.assert_array_equal(tile, np.pad(photo, ((0, 0), (0, 11), (0, 15)), mode="edge"))


@pytest.mark.parametrize(
    ("height", "width", "tile", "halo", "multiple_of"),
    [
        (0, 9, 64, 8, 1),
        (9, 9, 64, 22, 1),
        (9, 9, 64, -1, 1),
        (9, 9, 60, 8, 8),
        (9, 9, (64, 60), 8, 8),
        (9, 9, (64, 16), 8, 8),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    height: int, width: int, tile: int | tuple[int, int], halo: int, multiple_of: int
) -> None:
    with pytest.raises(ValueError, match=r"nothing to cut|tiles of"):
        plan_tiles(height, width, tile=tile, halo=halo, multiple_of=multiple_of)


@pytest.mark.parametrize("tile", [(3, 1, 1), (1, 0, 1), (10, 4, 1), (9, 0, 2), (8, -1, 1)])
def test_tiles_too_small_for_their_overlap_are_refused(tile: tuple[int, int, int]) -> None:
    side, halo, multiple_of = tile
    with pytest.raises(ValueError, match="tiles of"):
        plan_tiles(10, 10, tile=side, halo=halo, multiple_of=multiple_of)


@pytest.mark.parametrize(
    ("padding", "beyond"), [("mirror", [2, 1]), ("edge", [3, 3]), ("zeros", [0, 0])]
)
def test_what_is_beyond_the_photo(padding: Padding, beyond: list[int]) -> None:
    plan = plan_tiles(4, 4, tile=12, halo=0, multiple_of=6, padding=padding)
    photo = np.arange(4, dtype=np.float32)[:, None, None].repeat(4, axis=1)
    (tile,) = plan.cut(photo, plan.corners, 1.0)
    assert tile.shape == (1, 6, 6)
    assert tile[0, 4:, 0].tolist() == beyond
    assert tile[0, 3, 4:].tolist() == [0 if padding == "zeros" else 3] * 2


def test_tiles_are_no_smaller_than_the_network_takes() -> None:
    plan = plan_tiles(7, 600, tile=128, halo=16, multiple_of=8, smallest=32)
    assert plan.rows.side == 32
    assert plan.rows.inside(0) == 7
    assert plan.columns.starts[-1] + plan.columns.side >= 600
