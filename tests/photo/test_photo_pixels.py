"""Pixels of every depth and number of channels: read, prepared for the network, put back."""

import io
import struct

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from blurdm_cli.errors import DecodeError
from blurdm_cli.photo.photo import Photo, encode_photo, losses, read_photo
from blurdm_cli.photo.png import chunk

from .samples import FORMATS, ICC, again, noise, png16, smooth, tiff_file


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_lossless_formats_give_all_pixels_back(
    format: str, dtype: type[np.generic], channels: int
) -> None:
    planes = noise(19, 23, channels, dtype=dtype)
    colours = 1 if channels < 3 else 3
    alpha = planes[..., -1].copy() if channels in (2, 4) else None
    photo = again(Photo(planes[..., :colours].copy(), alpha), format)
    assert np.array_equal(photo.pixels, planes[..., :colours])
    assert (photo.alpha is None) == (alpha is None)
    assert alpha is None or np.array_equal(photo.alpha, alpha)
    assert photo.pixels.dtype == dtype
    assert photo.notes == ()
    assert losses(photo) == []


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_other_programs_read_the_same_16_bit_pixels(channels: int) -> None:
    planes = noise(70, 4000, channels, dtype=np.uint16)
    alpha = planes[..., 3].copy() if channels == 4 else None
    photo = Photo(planes[..., : min(channels, 3)].copy(), alpha)
    with tifffile.TiffFile(io.BytesIO(encode_photo(photo, "tiff"))) as file:
        assert np.array_equal(file.asarray().reshape(planes.shape), planes)
    for format in ("png", "tiff"):
        data = np.frombuffer(encode_photo(photo, format), np.uint8)
        seen = cv2.imdecode(data, cv2.IMREAD_UNCHANGED).reshape(planes.shape)
        assert np.array_equal(seen[..., [2, 1, 0, 3][:channels]] if channels > 1 else seen, planes)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_dark_16_bit_png_stays_16_bit(channels: int) -> None:
    dark = (noise(8, 9, channels, dtype=np.uint16) % 256).astype(np.uint16)
    photo = read_photo(png16(dark) if channels == 3 else cv2.imencode(".png", dark)[1].tobytes())
    assert photo.pixels.dtype == np.uint16
    assert np.array_equal(photo.pixels, dark)
    assert np.array_equal(again(photo).pixels, dark)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_colour_of_a_16_bit_png_becomes_alpha(channels: int) -> None:
    pixels = noise(8, 9, channels, dtype=np.uint16)
    pixels[2, 3] = pixels[5, 5] = (7, 500, 65535)[:channels]
    plain = png16(pixels) if channels == 3 else cv2.imencode(".png", pixels)[1].tobytes()
    hidden = chunk(b"tRNS", struct.pack(f">{channels}H", *pixels[2, 3]))
    photo = read_photo(plain[:33] + hidden + plain[33:])
    assert photo.alpha is not None
    assert sorted(zip(*np.nonzero(photo.alpha == 0), strict=True)) == [(2, 3), (5, 5)]
    assert photo.alpha.max() == 65535
    assert np.array_equal(photo.pixels, pixels)
    assert photo.notes == ()


def test_16_bit_tiff_keeps_profile_and_bits() -> None:
    pixels = noise(8, 9, 3, dtype=np.uint16)
    for options in ({}, {"compression": "zlib", "predictor": 2}, {"byteorder": ">"}):
        photo = read_photo(tiff_file(pixels, **options))
        assert np.array_equal(photo.pixels, pixels)
        assert photo.metadata.icc == ICC
        assert np.array_equal(again(photo).pixels, pixels)
    planar = tiff_file(np.moveaxis(pixels, 2, 0).copy(), planarconfig="separate")
    assert np.array_equal(read_photo(planar).pixels, pixels)


def test_premultiplied_16_bit_colours_come_back() -> None:
    alpha = np.full((4, 4, 1), 32768, np.uint16)
    colours = np.full((4, 4, 3), 40000, np.uint16)
    pixels = np.concatenate([(colours.astype(np.uint32) * alpha // 65535), alpha], 2)
    data = tiff_file(pixels.astype(np.uint16), extrasamples=["assocalpha"])
    assert np.abs(read_photo(data).pixels.astype(int) - 40000).max() <= 2


def test_float_tiff_becomes_16_bit_with_a_note() -> None:
    values = np.linspace(-0.005, 1.005, 36, dtype=np.float32).reshape(3, 4, 3)
    photo = read_photo(tiff_file(values))
    assert photo.pixels.dtype == np.uint16
    assert photo.pixels.min() == 0
    assert photo.pixels.max() == 65535
    assert photo.notes == ("float32 converted to 16 bit",)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((0, 255), "float32 values from 0 to 255"),
        ((-0.5, 1), "float32 values from -0.5 to 1"),
        ((0, 4), "float32 values from 0 to 4"),
        ((0, np.nan), "NaN"),
        ((0, np.inf), "infinite"),
    ],
)
def test_float_tiff_beyond_0_to_1_is_refused_with_its_range(
    ends: tuple[float, float], words: str
) -> None:
    values = np.full((3, 4, 3), 0.5, np.float32)
    values[0, 0, :2] = ends
    with pytest.raises(DecodeError, match=words) as caught:
        read_photo(tiff_file(values))
    assert "16" in caught.value.hint


def test_tiff_of_32_bits_is_read_where_its_white_is_known() -> None:
    small = noise(5, 6, 3, dtype=np.uint16).astype(np.uint32) % 4033
    photo = read_photo(tiff_file(small))
    assert np.array_equal(photo.pixels, small)
    assert "up to" in photo.notes[0]
    full = noise(5, 6, 3, dtype=np.uint32)
    photo = read_photo(tiff_file(full))
    assert np.array_equal(photo.pixels, full >> 16)
    assert photo.notes == ("uint32 converted to 16 bit",)
    with pytest.raises(DecodeError, match="unknown white level") as caught:
        read_photo(tiff_file(small << 10))
    assert "16 bits" in caught.value.hint
    seen = np.concatenate([small, np.full((5, 6, 1), 2**32 - 1, np.uint32)], 2)
    with pytest.raises(DecodeError, match="unknown white level"):
        read_photo(tiff_file(seen, extrasamples=["unassalpha"]))


@pytest.mark.parametrize("format", FORMATS)
def test_gray_stays_gray(format: str) -> None:
    file = io.BytesIO()
    gray = smooth()[..., 0]
    Image.fromarray(gray).save(file, format, **({"lossless": True} if format == "webp" else {}))
    photo = read_photo(file.getvalue())
    result = again(photo.with_rgb(photo.rgb()))
    assert photo.rgb().shape == (*gray.shape, 3)
    assert (result.rgb() == result.rgb()[..., :1]).all()
    assert result.pixels.shape[2] == (3 if format == "webp" else 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_keeps_every_value(dtype: type[np.generic]) -> None:
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(16, -1, 1)
    photo = Photo(values)
    assert np.array_equal(photo.with_rgb(photo.rgb()).pixels, values)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    gray=st.booleans(),
    opaque=st.floats(0, 1),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    seed=st.integers(0, 99),
)
def test_rgb_put_back_unchanged_is_the_same_photo(
    shape: tuple[int, int], gray: bool, opaque: float, dtype: type[np.generic], seed: int
) -> None:
    pixels = noise(*shape, 1 if gray else 3, dtype=dtype, seed=seed)
    seen = np.random.default_rng(seed).random(shape) < opaque
    alpha = np.where(seen, noise(*shape, dtype=dtype) | 1, 0).astype(dtype)
    photo = Photo(pixels, alpha)
    before = pixels.copy()
    result = photo.with_rgb(photo.rgb())
    assert np.array_equal(result.pixels, before)
    assert np.array_equal(result.alpha, alpha)
    assert np.array_equal(photo.rgb()[seen], np.broadcast_to(before, (*shape, 3))[seen])


def test_hidden_colours_are_filled_from_the_nearest_that_is_seen() -> None:
    pixels = np.zeros((9, 20, 3), np.uint8)
    alpha = np.zeros((9, 20), np.uint8)
    pixels[4, 2], alpha[4, 2] = (10, 20, 30), 255
    pixels[4, 17], alpha[4, 17] = (200, 100, 50), 1
    pixels[0, 0] = (255, 0, 255)
    rgb = Photo(pixels, alpha).rgb()
    assert (rgb[:, :9] == (10, 20, 30)).all()
    assert (rgb[:, 11:] == (200, 100, 50)).all()


def test_restored_pixels_of_another_size_or_type_are_refused() -> None:
    photo = Photo(noise(4, 5, 3))
    with pytest.raises(ValueError, match="do not fit"):
        photo.with_rgb(noise(5, 4, 3))
    with pytest.raises(ValueError, match="do not fit"):
        photo.with_rgb(noise(4, 5, 3, dtype=np.uint16))
