"""TIFF files beyond plain RGB: channels, colours, pages and tags, read right or said."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from blurdm_cli.errors import DecodeError
from blurdm_cli.photo.photo import encode_photo, read_photo

from .samples import exif_of, noise, smooth
from .test_photoshop import resource

DEPTHS = [np.uint8, np.uint16]


def tiff(*pages: tuple[np.ndarray, dict[str, Any]], big: bool = False) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big) as writer:
        for pixels, options in pages:
            writer.write(pixels, **{"metadata": None, "photometric": "rgb", **options})
    return file.getvalue()


def with_extras(colours: np.ndarray, kinds: list[str], **options: Any) -> tuple[bytes, np.ndarray]:
    """A file with further channels, and the pixels of these."""
    extras = noise(*colours.shape[:2], len(kinds), dtype=colours.dtype.type, seed=5)
    pixels = np.concatenate([colours, extras], axis=2)
    if options.get("planarconfig") == "separate":
        pixels = np.moveaxis(pixels, 2, 0).copy()
    return tiff((pixels, {"extrasamples": kinds, **options})), extras


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize(
    ("kinds", "alpha"),
    [
        (["unassalpha"], 0),
        (["unspecified"], None),
        (["unassalpha", "unspecified"], 0),
        (["unspecified", "unassalpha"], 1),
        (["unspecified"] * 3, None),
    ],
)
def test_of_further_channels_transparency_is_kept_and_the_others_are_said(
    kinds: list[str], alpha: int | None, dtype: type[np.generic], planar: str
) -> None:
    colours = noise(7, 9, 3, dtype=dtype)
    data, extras = with_extras(colours, kinds, planarconfig=planar)
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, colours)
    dropped = len(kinds) - (alpha is not None)
    said = (f"extra channels (inks, masks) are dropped: {dropped}",)
    assert photo.notes == (said if dropped else ())
    if alpha is None:
        assert photo.alpha is None
    else:
        assert photo.alpha is not None
        np.testing.assert_array_equal(photo.alpha, extras[..., alpha])


@pytest.mark.parametrize("dtype", DEPTHS)
def test_gray_has_further_channels_too(dtype: type[np.generic]) -> None:
    gray = noise(7, 9, 1, dtype=dtype)
    for white, photometric in ((0, "miniswhite"), (np.iinfo(dtype).max, "minisblack")):
        data, _ = with_extras(
            gray, ["unspecified"] * 4, photometric=photometric, planarconfig="contig"
        )
        photo = read_photo(data)
        expected = gray if white else np.iinfo(dtype).max - gray
        np.testing.assert_array_equal(photo.pixels, expected)
        assert photo.notes == ("extra channels (inks, masks) are dropped: 4",)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("kinds", [[], ["unspecified"], ["unassalpha"], ["unspecified"] * 2])
def test_cmyk_of_any_depth_and_channels_becomes_rgb(
    kinds: list[str], dtype: type[np.generic], planar: str
) -> None:
    rgb = smooth()
    white = np.iinfo(dtype).max
    inks = np.zeros((*rgb.shape[:2], 4), dtype)
    inks[..., :3] = white - rgb.astype(dtype) * (white // 255)
    data, extras = with_extras(inks, kinds, photometric="separated", planarconfig=planar)
    photo = read_photo(data)
    np.testing.assert_allclose(photo.pixels.astype(int), rgb, atol=1)
    assert "CMYK converted to RGB" in photo.notes
    assert any("8" in note for note in photo.notes) == (dtype == np.uint16)
    assert any("extra channels" in note for note in photo.notes) == ("unspecified" in kinds)
    if kinds == ["unassalpha"]:
        assert photo.alpha is not None
        np.testing.assert_allclose(photo.alpha, extras[..., 0] / (white // 255), atol=1)


def test_a_profile_of_another_sort_is_passed_over_for_cmyk_of_any_depth() -> None:
    inks = noise(4, 5, 4)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # of the wrong sort
    for depth in (inks, inks.astype(np.uint16) * 257):
        photo = read_photo(tiff((depth, {"photometric": "separated", "iccprofile": lab})))
        assert photo.metadata.icc is None
        np.testing.assert_array_equal(
            photo.pixels, np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
        )


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("photometric", ["cielab", "icclab"])
def test_lab_is_converted_as_a_colour_management_system_does(
    dtype: type[np.generic], photometric: str
) -> None:
    rgb = Image.fromarray(noise(40, 40, 3))
    srgb, profile = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(rgb, srgb, profile, outputMode="LAB")
    assert converted is not None
    lab = np.dstack([np.asarray(band) for band in converted.split()]).astype(np.int32)  # + 128
    if dtype == np.uint16:
        full = 65535 if photometric == "cielab" else 0xFF00
        lab = np.concatenate([lab[..., :1] * full // 255, lab[..., 1:] * 256], axis=2)
    if photometric == "cielab":
        lab[..., 1:] ^= (np.iinfo(dtype).max + 1) // 2
    photo = read_photo(tiff((lab.astype(dtype), {"photometric": photometric})))
    exact = ImageCms.Flags.NOOPTIMIZE
    back = ImageCms.profileToProfile(converted, profile, srgb, outputMode="RGB", flags=exact)
    seen = photo.pixels / (np.iinfo(dtype).max // 255)
    np.testing.assert_allclose(seen, np.asarray(back), atol=2.5)
    assert photo.pixels.dtype == dtype
    assert photo.notes == ("LAB converted to RGB",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"photometric": "itulab"}, "ITULAB"),
        ({"photometric": "cielab", "dtype": np.uint32}, "32 bits"),
        ({"photometric": "separated", "channels": 6, "extratags": [(332, 3, 1, 2)]}, "inks"),
    ],
)
def test_colours_that_are_not_read_are_not_called_damaged(
    options: dict[str, Any], words: str
) -> None:
    given = {"channels": 3, "dtype": np.uint8, "planarconfig": "contig", **options}
    pixels = noise(4, 5, given.pop("channels"), dtype=given.pop("dtype"))
    with pytest.raises(DecodeError, match=f"{words}.*not supported yet"):
        read_photo(tiff((pixels, given)))


def test_xmp_no_longer_claims_the_colours_that_were_converted() -> None:
    xmp = b'<x photoshop:ColorMode="4" photoshop:ICCProfile="SWOP" xmp:Rating="4"/>'
    tags = [(700, 1, len(xmp), xmp, True)]
    inks = (noise(4, 5, 4), {"photometric": "separated", "extratags": tags})
    told = b'<x photoshop:ColorMode="3" photoshop:ICCProfile="sRGB IEC61966-2.1" xmp:Rating="4"/>'
    assert read_photo(tiff(inks)).metadata.xmp == told


@pytest.mark.parametrize("first", ["thumbnail", "mask"])
@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("big", [False, True])
def test_a_file_that_begins_with_a_thumbnail_or_a_mask_gives_the_picture(
    first: str, dtype: type[np.generic], big: bool
) -> None:
    picture = smooth().astype(dtype)
    before: tuple[np.ndarray, dict[str, Any]] = (picture[::4, ::4].copy(), {"subfiletype": 1})
    if first == "mask":
        before = (picture[..., 0] > 9, {"subfiletype": 4, "photometric": "mask"})
    photo = read_photo(tiff(before, (picture, {"description": "a day at sea"}), big=big))
    np.testing.assert_array_equal(photo.pixels, picture)
    assert photo.notes == ("2 pages: only page 2 is used; earlier pages are thumbnails or masks",)
    assert photo.metadata.exif is not None
    assert b"a day at sea" in photo.metadata.exif


@pytest.mark.parametrize(
    "description", ["ImageJ=1.11a\nimages=3\nslices=3\n", '<?xml version="1.0"?><OME xmlns="x"/>']
)
def test_the_first_of_many_pages_no_longer_says_that_there_are_more(description: str) -> None:
    page = (smooth(), {"extratags": [(297, 3, 2, (0, 3), True)]})
    photo = read_photo(tiff((smooth(), {**page[1], "description": description}), page, page))
    assert photo.notes[0] == "3 pages: only the first one is used"
    assert "ImageJ" in photo.notes[1]
    with tifffile.TiffFile(io.BytesIO(encode_photo(photo))) as file:
        assert not {270, 297} & {tag.code for tag in file.pages.first.tags}
    single = tiff((smooth(), {"description": description.replace("images", "minimum")}))
    assert read_photo(single).notes == ()


def test_layers_and_smaller_copies_of_the_blurred_picture_are_dropped_and_said() -> None:
    layers = b"Adobe Photoshop Document Data Block\0" + bytes(20)
    resources = resource(0x0404, b"day") + resource(0x040C, b"picture")
    tags = [(37724, 7, len(layers), layers, True), (34377, 1, len(resources), resources, True)]
    copy = (smooth()[::2, ::2].copy(), {"subfiletype": 1})
    photo = read_photo(tiff((smooth(), {"subifds": 1, "extratags": tags}), copy))
    assert len(photo.notes) == 2
    assert "SubIFDs" in photo.notes[0]
    assert "layers" in photo.notes[1]
    written = encode_photo(photo)
    assert layers not in written
    assert resource(0x0404, b"day") in written
    assert resource(0x040C, b"picture") not in written


def test_colours_of_the_tags_are_kept_for_rgb_alone() -> None:
    white = (318, 5, 2, (3127, 10000, 3290, 10000), True)
    curve = (301, 3, 256, tuple(range(256)), True)
    photo = read_photo(tiff((smooth(), {"extratags": [white, curve]})))
    assert photo.notes == ("the transfer function is dropped",)
    assert exif_of(encode_photo(photo))[318] == (0.3127, 0.329)
    inks = tiff((noise(4, 5, 4), {"photometric": "separated", "extratags": [white]}))
    assert 318 not in exif_of(encode_photo(read_photo(inks)))


@pytest.mark.parametrize(
    ("unit", "expected"), [(1, None), (2, (300.0, 150.0)), (3, (762.0, 381.0))]
)
def test_densities_have_a_unit_or_are_a_ratio(
    unit: int, expected: tuple[float, float] | None
) -> None:
    tags = [(274, 3, 1, 6, True)]
    page = (smooth(), {"resolution": (150, 300), "resolutionunit": unit, "extratags": tags})
    photo = read_photo(tiff(page))
    assert photo.metadata.dpi == (pytest.approx(expected) if expected else None)  # turned
    kept = exif_of(encode_photo(photo))
    assert kept[282] == 2 * kept[283]
    assert kept[296] == (1 if unit == 1 else 2)


def test_a_thumbnail_that_is_not_marked_is_the_first_page() -> None:
    small = smooth()[::4, ::4].copy()
    photo = read_photo(tiff((small, {}), (smooth(), {})))
    np.testing.assert_array_equal(photo.pixels, small)
    assert photo.notes == ("2 pages: only the first one is used",)


def test_a_damaged_pointer_to_smaller_copies_leaves_the_picture() -> None:
    data = tiff((smooth(), {"extratags": [(65000, 4, 1, 0xFFFFFF0, True)]}))
    entry = struct.pack("<HHII", 65000, 4, 1, 0xFFFFFF0)
    assert entry in data
    data = data.replace(entry, struct.pack("<H", 330) + entry[2:])
    np.testing.assert_array_equal(read_photo(data).pixels, smooth())
