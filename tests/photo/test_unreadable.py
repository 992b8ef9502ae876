"""Damaged, huge and missing photos, and files that are none: one line, nothing on stderr."""

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from blurdm_cli.errors import DecodeError, InputError
from blurdm_cli.files.signatures import kind_of
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.photo.photo import Photo, encode_photo, read_photo, read_stamped

from .samples import FORMATS, noise, photo_file, png16, smooth, tiff_file


@pytest.mark.parametrize("format", [*FORMATS, "avif"])
@pytest.mark.parametrize("deep", [False, True])
def test_truncated_photos_are_refused(format: str, deep: bool) -> None:
    pixels = noise(60, 80, 3, dtype=np.uint16 if deep else np.uint8)
    data = encode_photo(Photo(pixels, format=format))
    for size in (len(data) // 2, len(data) - 40, 100, 20):
        with pytest.raises(DecodeError) as caught:
            read_photo(data[:size])
        assert "\n" not in str(caught.value)
        assert "Error" not in str(caught.value)


@pytest.mark.parametrize("compression", ["zstd", "lzma", "deflate", "lzw", "packbits"])
def test_deep_tiff_files_of_any_compression_are_read_or_refused_in_a_line(
    compression: str | None,
) -> None:
    file, pixels = io.BytesIO(), noise(40, 60, 3, dtype=np.uint16)
    tifffile.imwrite(file, pixels, photometric="rgb", compression=compression)
    data = bytearray(file.getvalue())
    assert np.array_equal(read_photo(bytes(data)).pixels, pixels)
    for place in range(300, len(data) - 300, 40):
        data[place] ^= 0x5A
    with suppress(DecodeError):
        assert read_photo(bytes(data)).pixels.shape == pixels.shape


def test_whatever_a_codec_raises_becomes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_it(kind: str, data: bytes) -> None:
        raise ModuleNotFoundError("compression.zstd")

    monkeypatch.setattr("blurdm_cli.photo.photo.decode", raise_it)
    with pytest.raises(DecodeError, match="damaged or cut off"):
        read_photo(photo_file("png", smooth()))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_jpeg_is_refused_wherever_it_ends(progressive: bool) -> None:
    data = photo_file("jpeg", noise(64, 64, 3), progressive=progressive)
    for size in range(30, len(data) - 2, 331):
        with pytest.raises(DecodeError, match="damaged or cut off"):
            read_photo(data[:size])


def test_a_png_with_a_damaged_chunk_is_refused() -> None:
    for dtype in (np.uint8, np.uint16):
        data = bytearray(encode_photo(Photo(noise(20, 20, 3, dtype=dtype))))
        data[len(data) // 2] ^= 0x10
        with pytest.raises(DecodeError):
            read_photo(bytes(data))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_a_decode_error_or_a_photo(data: st.DataObject) -> None:
    source = SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))]
    damaged = bytearray(source)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, min(len(source), 1500) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    try:
        photo = read_photo(bytes(damaged))
    except DecodeError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert photo.pixels.size


SAMPLES = {
    **{format: photo_file(format, smooth(8, 8), 6) for format in FORMATS},
    "tiff16": tiff_file(noise(8, 8, 3, dtype=np.uint16)),
    "lzw": cv2.imencode(".tiff", noise(8, 8, 3, dtype=np.uint16))[1].tobytes(),
    "png16": png16(noise(8, 8, 3, dtype=np.uint16)),
}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"Dear diary, today I took a photo of my cat.\n", "holds? text|is text"),
        ("Liebes Tagebuch, schöne Grüße".encode(), "text"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video"),
        (b"\x1a\x45\xdf\xa3\1\0\0\0", "video"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "damaged"),
        (b"FUJIFILMCCD-RAW 0201", "damaged"),
        (b"II*\0\x10\0\0\0CR\2\0", "damaged"),
        (b"%PDF-1.7", "PDF"),
        (bytes(100), "no known kind"),
    ],
)
def test_what_is_no_photo_is_told_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=words) as caught:
        read_photo(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_missing_files_and_folders_are_told_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").mkdir()
    with pytest.raises(InputError, match="is a folder") as caught:
        read_photo(tmp_path / "photo.jpg")
    assert caught.value.hint
    with pytest.raises(InputError, match="There is no") as caught:
        read_photo(tmp_path / "foto.jpg")
    assert "photo.jpg" in caught.value.hint
    with pytest.raises(InputError, match="cannot be read"):
        read_photo(tmp_path / ("n" * 300 + ".jpg"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo_file("jpeg", smooth()))
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        read_photo(path)


@pytest.mark.parametrize("format", ["png", "tiff", "bmp"])
def test_a_photo_that_claims_to_be_huge_is_refused_unread(format: str) -> None:
    if format == "png":
        size = struct.pack(">II", 60000, 60000)
        data = bytearray(encode_photo(Photo(noise(4, 4, 3))))
        data[16:24] = size
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    elif format == "tiff":
        data = tiff_file(noise(4, 4, 3, dtype=np.uint16))
        for tag in (256, 257):
            old = struct.pack("<HHII", tag, 4, 1, 4)
            new = struct.pack("<HHII", tag, 4, 1, 60000)
            old = old if old in data else struct.pack("<HHIHH", tag, 3, 1, 4, 0)
            assert old in data
            data = data.replace(old, new)
    else:
        file = io.BytesIO()
        Image.fromarray(noise(4, 4, 3)).save(file, "BMP")
        data = bytearray(file.getvalue())
        struct.pack_into("<ii", data, 18, 60000, 60000)
    with pytest.raises(DecodeError, match="too large") as caught:
        read_photo(bytes(data))
    assert "500,000,000" in caught.value.hint


def test_the_kind_is_read_from_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "really.jpg"
    path.write_bytes(photo_file("png", smooth()))
    assert read_photo(path).format == "png"


def test_nothing_is_said_on_stderr_of_damaged_photos(capfd: pytest.CaptureFixture[str]) -> None:
    for sample in SAMPLES.values():
        with pytest.raises(DecodeError):
            read_photo(sample[: len(sample) // 2])
    assert capfd.readouterr().err == ""


def test_pillow_warnings_stay_inside(recwarn: pytest.WarningsRecorder) -> None:
    read_photo(photo_file("tiff", smooth()))
    assert not [w for w in recwarn if not issubclass(w.category, ResourceWarning)]


def test_photos_are_read_by_many_threads_at_once() -> None:
    data, filters = list(SAMPLES.values()) * 8, list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        photos = list(pool.map(read_photo, data))
    assert all(photo.pixels.size for photo in photos)
    assert warnings.filters == filters


def test_a_photo_is_read_once_and_a_change_meanwhile_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 6), (10, 20, 30)).save(path)
    photo, stamp = read_stamped(path)
    assert (photo.pixels == (10, 20, 30)).all()
    assert stamp == Stamp.of(path)

    def grows(head: bytes) -> str:
        with path.open("ab") as file:
            file.write(b"more")
        return kind_of(head)

    monkeypatch.setattr("blurdm_cli.photo.photo.kind_of", grows)
    with pytest.raises(InputError, match="changed while it was being read"):
        read_stamped(path)
