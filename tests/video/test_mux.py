from hypothesis import given
from hypothesis import strategies as st

from blurdm_cli.video.mux import decode_times


@st.composite
def segments(draw: st.DrawFn) -> list[list[int]]:
    """Rising times in groups, each group in an order in which an encoder may reorder it."""
    times = sorted(draw(st.sets(st.integers(-50, 500), min_size=1, max_size=30)))
    found: list[list[int]] = []
    while times:
        size = draw(st.integers(1, 10))
        group, times = times[:size], times[size:]
        coded = group[:1]  # the first one shown is the first one decoded
        rest = group[1:]
        while rest:
            reach = draw(st.integers(0, min(3, len(rest) - 1)))
            coded.append(rest.pop(reach))
        found.append(coded)
    return found


@given(segments())
def test_frames_are_decoded_in_order_and_before_they_are_shown(shown: list[list[int]]) -> None:
    coded = [pts for segment in shown for pts in segment]
    times = decode_times(shown)
    assert len(times) == len(coded)
    assert times == sorted(set(times))
    assert all(dts <= pts for dts, pts in zip(times, coded, strict=True))


def test_without_reordering_frames_are_decoded_when_they_are_shown() -> None:
    assert decode_times([[0, 3, 4], [9, 20]]) == [0, 3, 4, 9, 20]
    assert decode_times([]) == []


def test_b_frames_delay_what_is_shown_by_as_few_frames_as_can_be() -> None:
    assert decode_times([[0, 2, 1, 4, 3]]) == [-1, 0, 1, 2, 3]
    assert decode_times([[0, 4, 2, 1, 3]]) == [-2, -1, 0, 1, 2]
