"""HDR mastering metadata as encoder options.

FFmpeg attaches it to the frames, as its structures AVMasteringDisplayMetadata (eight rationals
of chromaticity, two of luminance, two flags) and AVContentLightMetadata (two numbers).
"""

import struct
from fractions import Fraction

CHROMATICITY, LUMINANCE = 50000, 10000
"""Steps per unit in x265's options; a step is 0.00002, or 0.0001 candela per square metre."""


def hdr_options(encoder: str, hdr: dict[str, bytes]) -> tuple[dict[str, str], list[str]]:
    """Options that pass the metadata to an encoder, and a note on what is lost.

    Args:
        encoder: FFmpeg's name.
        hdr: structures of a clip's first frame, by kind.
    """
    mastering = hdr.get("MASTERING_DISPLAY_METADATA")
    light = hdr.get("CONTENT_LIGHT_LEVEL")
    options, lost = dict[str, str](), list[str]()
    if encoder == "libx265":
        words = [f"master-display={_x265(mastering)}"] if mastering else []
        words += ["max-cll={},{}".format(*struct.unpack("II", light[:8]))] if light else []
        options = {"x265-params": ":".join(["hdr10=1", *words])} if words else {}
    elif encoder == "libsvtav1":
        words = [f"mastering-display={_svt(mastering)}"] if mastering else []
        words += ["content-light={},{}".format(*struct.unpack("II", light[:8]))] if light else []
        options = {"svtav1-params": ":".join(words)} if words else {}
    elif mastering or light:
        lost.append("static HDR metadata (mastering display, light level)")
    if "DYNAMIC_HDR_PLUS" in hdr:
        lost.append("dynamic HDR10+ metadata")
    if "DOVI_METADATA" in hdr:
        lost.append("Dolby Vision metadata")
    return options, [f"{', '.join(lost)}: not written by {encoder}"] if lost else []


def _values(mastering: bytes) -> list[Fraction]:
    """Red, green and blue x and y, white x and y, minimum and maximum luminance."""
    numbers = struct.unpack("20i", mastering[:80])
    return [Fraction(a, b or 1) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]


def _x265(mastering: bytes) -> str:
    red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y, least, most = (
        round(value * (LUMINANCE if place >= 8 else CHROMATICITY))
        for place, value in enumerate(_values(mastering))
    )
    return (
        f"G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})"
        f"WP({white_x},{white_y})L({most},{least})"
    )


def _svt(mastering: bytes) -> str:
    red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y, least, most = (
        f"{float(value):.5f}" for value in _values(mastering)
    )
    return (
        f"G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})"
        f"WP({white_x},{white_y})L({most},{least})"
    )
