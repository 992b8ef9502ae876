import struct

import pytest

from blurdm_cli.video.hdr import hdr_options

BT2020 = [0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329, 0.005, 1000]
MASTERING = struct.pack(
    "22i", *(n for value in BT2020 for n in (round(value * 50000), 50000)), 1, 1
)
LIGHT = struct.pack("II", 1000, 400)
HDR10 = {"MASTERING_DISPLAY_METADATA": MASTERING, "CONTENT_LIGHT_LEVEL": LIGHT}


def test_x265_is_told_in_steps_and_svt_in_numbers() -> None:
    options, notes = hdr_options("libx265", HDR10)
    assert options["x265-params"] == (
        "hdr10=1:master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)"
        "L(10000000,50):max-cll=1000,400"
    )
    options, more = hdr_options("libsvtav1", HDR10)
    assert "G(0.17000,0.79700)" in options["svtav1-params"]
    assert "content-light=1000,400" in options["svtav1-params"]
    assert notes == more == []


@pytest.mark.parametrize("kind", ["DYNAMIC_HDR_PLUS", "DOVI_METADATA", "CONTENT_LIGHT_LEVEL"])
def test_what_an_encoder_cannot_be_told_is_named(kind: str) -> None:
    options, notes = hdr_options("libx264", {kind: LIGHT})
    assert options == {}
    assert len(notes) == 1
    assert "libx264" in notes[0]
    assert hdr_options("libx264", {}) == ({}, [])
