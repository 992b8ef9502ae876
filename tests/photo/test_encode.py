"""Encoding: quality, formats, odd sizes, and what a format cannot store."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.errors import OutputError, UsageError
from blurdm_cli.photo.photo import Photo, encode_photo, read_photo, write_photo

from .samples import FORMATS, again, noise, photo_file, smooth


@pytest.mark.parametrize("format", ["webp", "avif", "png", "tiff"])
def test_alpha_is_untouched(format: str) -> None:
    alpha = noise(24, 40)
    back = again(Photo(smooth(), alpha, format))
    assert np.abs(back.alpha.astype(int) - alpha).max() <= (8 if format == "avif" else 0)


def test_what_a_format_cannot_hold_is_said(tmp_path: Path) -> None:
    photo = Photo(noise(8, 8, 3, dtype=np.uint16), noise(8, 8, dtype=np.uint16))
    said = write_photo(photo, tmp_path / "a.jpg")
    assert [line for line in said if "transparency" in line]
    assert [line for line in said if "8 bits" in line]
    assert all("\n" not in line for line in said)
    assert [line for line in write_photo(photo, tmp_path / "a.webp") if "8 bits" in line]
    assert write_photo(photo, tmp_path / "a.png") == []
    assert write_photo(photo, tmp_path / "a.tif") == []


def test_transparent_parts_are_laid_over_white_in_jpeg() -> None:
    alpha = np.zeros((16, 16), np.uint8)
    alpha[:, 8:] = 255
    photo = Photo(np.zeros((16, 16, 3), np.uint8), alpha)
    pixels = again(photo, "jpeg").pixels
    assert pixels[:, :8].min() > 250
    assert pixels[:, 8:].max() < 5


def test_16_bits_are_rounded_not_cut() -> None:
    values = np.repeat(np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32, 1), 3, axis=2)
    data = encode_photo(Photo(values, format="webp"), "webp", 100)
    exact = np.rint(values / 257)
    assert np.abs(read_photo(data).pixels - exact).mean() < 2


def test_good_jpeg_tables_are_used_again_and_coarse_ones_are_not() -> None:
    for quality, subsampling, kept in ((96, 2, True), (92, 1, True), (90, 0, True), (75, 2, False)):
        data = photo_file("jpeg", smooth(), quality=quality, subsampling=subsampling)
        with (
            Image.open(io.BytesIO(data)) as source,
            Image.open(io.BytesIO(encode_photo(read_photo(data)))) as result,
        ):
            same = source.quantization == result.quantization
            assert same == kept
            sampling = result.layer[0][1:3]
            assert sampling == (source.layer[0][1:3] if kept else (1, 1))


def test_progressive_jpeg_stays_progressive_and_noise_is_written_anyway() -> None:
    photo = read_photo(photo_file("jpeg", smooth(), progressive=True))
    with Image.open(io.BytesIO(encode_photo(photo))) as image:
        assert image.info.get("progressive")
    loud = read_photo(photo_file("jpeg", noise(400, 400, 3), quality=90, progressive=True))
    assert encode_photo(loud, quality=100)


def test_lossless_webp_stays_lossless() -> None:
    pixels = noise(20, 20, 4)
    for data in (
        photo_file("webp", pixels),
        photo_file("webp", pixels, icc_profile=None, exif=b""),
    ):
        photo = read_photo(data)
        assert np.array_equal(again(photo).pixels, pixels[..., :3])
    lossy = photo_file("webp", smooth(), lossless=False, quality=80)
    assert b"VP8L" not in encode_photo(read_photo(lossy))


def test_the_same_photo_gives_the_same_bytes(tmp_path: Path) -> None:
    photo = read_photo(photo_file("jpeg", smooth(), 6))
    for format in (*FORMATS, "avif"):
        path = tmp_path / f"ünï 文 🌸.{format}"
        write_photo(photo, path)
        assert path.read_bytes() == encode_photo(photo, format)
        assert path.read_bytes() == encode_photo(
            read_photo(photo_file("jpeg", smooth(), 6)), format
        )
        assert read_photo(path).pixels.shape == photo.pixels.shape


@pytest.mark.parametrize("size", [(1, 1), (7, 5000), (5000, 7), (1, 300)])
@pytest.mark.parametrize("format", [*FORMATS, "avif"])
def test_photos_of_odd_sizes_go_through(format: str, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), (33, 25, 23), np.uint8)
    back = again(Photo(pixels), format)
    assert back.pixels.shape == pixels.shape
    assert np.abs(back.pixels.astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_stay_so(value: int) -> None:
    for format in (*FORMATS, "avif"):
        back = again(Photo(np.full((20, 20, 3), value, np.uint8)), format)
        assert (back.pixels == value).all()


def test_an_unknown_suffix_or_quality_is_a_usage_error(tmp_path: Path) -> None:
    photo = Photo(smooth())
    with pytest.raises(UsageError) as caught:
        write_photo(photo, tmp_path / "a.xyz")
    assert "jpg" in caught.value.hint
    with pytest.raises(UsageError, match="quality"):
        encode_photo(photo, "jpeg", 101)
    assert list(tmp_path.iterdir()) == []


def test_the_format_is_the_suffixs_then_the_photos(tmp_path: Path) -> None:
    photo = Photo(smooth(), format="webp")
    for name, head in (("a.tif", b"II*\0"), ("b", b"RIFF"), ("c.JPG", b"\xff\xd8")):
        write_photo(photo, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(head)
    write_photo(photo, tmp_path / "d.png", format="jpg")
    assert (tmp_path / "d.png").read_bytes().startswith(b"\xff\xd8")


def test_a_photo_too_long_for_a_format_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="16383") as caught:
        encode_photo(Photo(np.zeros((2, 17000, 3), np.uint8)), "webp")
    assert "PNG" in caught.value.hint
