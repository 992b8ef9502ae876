import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from blurdm_cli import __version__
from blurdm_cli.errors import DecodeError, InputError, OutputError, UsageError
from blurdm_cli.photo.photo import Photo, encode_photo, losses, read_photo, write_photo
from blurdm_cli.photo.photoshop import BEGIN, write_segments

from .test_photoshop import resource

FORMATS = ("jpeg", "png", "webp", "tiff")
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + b"\0not only sRGB\0"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b'xmp:Rating="4"><xmp:Thumbnails><rdf:li>BLURREDTHUMB</rdf:li></xmp:Thumbnails>'
    b"</rdf:Description></x:xmpmeta>"
)
MAKER_NOTE = bytes(range(256)) * 2
THUMBNAIL = b"\xff\xd8BLURREDTHUMB\xff\xd9"


def noise(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height=24, width=40):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 9, columns * 5, rows * 3 + columns * 2], axis=2).astype(np.uint8)


def exif(orientation=1, order="<", thumbnail=True, software=b"Cam 1.0\0"):
    """EXIF as a camera writes it: a maker note, GPS, and a thumbnail in a second directory."""

    def directory(at, entries, following=0):
        behind = at + 2 + 12 * len(entries) + 4
        table, values = b"", b""
        for tag, kind, count, data in entries:
            if len(data) > 4:
                place = struct.pack(f"{order}I", behind + len(values))
                values += data + b"\0" * (len(data) % 2)
            else:
                place = data.ljust(4, b"\0")
            table += struct.pack(f"{order}HHI", tag, kind, count) + place
        size = struct.pack(f"{order}H", len(entries))
        return size + table + struct.pack(f"{order}I", following) + values

    def short(n):
        return struct.pack(f"{order}H", n)

    def long(n):
        return struct.pack(f"{order}I", n)

    first = [
        (271, 2, 5, b"Acme\0"),
        (274, 3, 1, short(orientation)),
        (305, 2, len(software), software),
        (34665, 4, 1, long(200)),
        (34853, 4, 1, long(900)),
    ]
    sub = directory(200, [(33434, 5, 1, long(1) + long(50)), (37500, 7, 512, MAKER_NOTE)])
    gps = directory(900, [(1, 2, 2, b"N\0"), (2, 5, 3, b"".join(map(long, (48, 1, 8, 1, 14, 1))))])
    second = directory(1000, [(513, 4, 1, long(1100)), (514, 4, 1, long(len(THUMBNAIL)))])
    head = (b"II*\0" if order == "<" else b"MM\0*") + long(8)
    blob = head + directory(8, first, 1000 if thumbnail else 0)
    for at, part in ((200, sub), (900, gps), (1000, second), (1100, THUMBNAIL)):
        assert len(blob) <= at
        blob = blob.ljust(at, b"\0") + part
    return blob


def photo_file(format, pixels, orientation=1, order="<", **extra):
    """A file with everything in it, made without the code under test."""
    if format == "tiff":
        return tiff_file(pixels, orientation, **extra)
    options = {
        "icc_profile": ICC,
        "dpi": (300, 300),
        "exif": b"Exif\0\0" + exif(orientation, order),
    }
    if format == "png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        text.add_text("Comment", "kept")
        options["pnginfo"] = text
    else:
        options["xmp"] = XMP
    if format == "webp":
        options |= {"lossless": True, "exact": True}
    if format == "jpeg":
        options["quality"] = 96
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **(options | extra))
    return file.getvalue()


def tiff_file(pixels, orientation=1, **extra):
    file = io.BytesIO()
    tags = [
        (271, 2, 5, "Acme", True),
        (274, 3, 1, orientation, True),
        (700, 1, len(XMP), XMP, True),
        (34675, 7, len(ICC), ICC, True),
    ]
    options = {"photometric": "rgb" if pixels.ndim == 3 else "minisblack", "metadata": None}
    options |= {"extratags": tags, "resolution": (300, 300), "software": "Cam 1.0"}
    tifffile.imwrite(file, pixels, **(options | extra))
    return file.getvalue()


def png16(pixels):
    return cv2.imencode(".png", pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])[1].tobytes()


def again(photo, format=None):
    return read_photo(encode_photo(photo, format))


def exif_of(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.getexif()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", FORMATS)
def test_a_turned_photo_is_upright_and_stays_so(format, orientation):
    pixels = smooth()
    data = photo_file(format, pixels, orientation)
    with Image.open(io.BytesIO(photo_file(format, pixels))) as image:
        turned = Image.fromarray(np.array(image))
    turned.getexif()[274] = orientation
    expected = np.array(ImageOps.exif_transpose(turned))
    photo = read_photo(data)
    assert np.array_equal(photo.pixels, expected)
    written = encode_photo(photo)
    assert exif_of(written)[274] == 1
    assert b'tiff:Orientation="1"' in read_photo(written).metadata.xmp
    assert read_photo(written).pixels.shape == expected.shape
    assert np.abs(read_photo(written).pixels.astype(int) - expected).max() <= 9 * (format == "jpeg")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_a_turned_16_bit_tiff_is_turned_once(compression, orientation):
    pixels = noise(5, 7, 3, dtype=np.uint16)
    data = tiff_file(pixels, orientation)
    if compression:  # Pillow and tifffile cannot write it, OpenCV does, and Pillow adds the tag
        data = lzw_with_orientation(pixels, orientation)
    turned = [np.asarray(Image.fromarray(pixels[..., c])) for c in range(3)]
    ops = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).T,
        8: np.rot90,
    }
    expected = np.stack([ops[orientation](channel) for channel in turned], axis=2)
    assert np.array_equal(read_photo(data).pixels, expected)


def lzw_with_orientation(pixels, orientation):
    data = bytearray(cv2.imencode(".tiff", pixels[..., ::-1])[1].tobytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [bytes(data[start + 2 + 12 * n : start + 14 + 12 * n]) for n in range(count)]
    entries = [e for e in entries if e[:2] != struct.pack("<H", 274)]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    entries.sort(key=lambda e: struct.unpack("<H", e[:2]))
    struct.pack_into("<I", data, 4, len(data))
    return bytes(data) + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


@pytest.mark.parametrize("format", FORMATS)
def test_profile_xmp_and_resolution_are_kept(format):
    written = encode_photo(read_photo(photo_file(format, smooth())))
    with Image.open(io.BytesIO(written)) as image:
        image.load()
        assert image.info["icc_profile"] == ICC
        if format != "webp":
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    xmp = read_photo(written).metadata.xmp
    assert b'xmp:Rating="4"' in xmp
    assert b'tiff:Orientation="1"' in xmp


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("target", [*FORMATS, "avif"])
def test_exif_is_kept_from_every_format_to_every_other(format, target, order):
    photo = read_photo(photo_file(format, smooth(), 6, order))
    found = exif_of(encode_photo(photo, target))
    assert found[271] == "Acme"
    assert found.get(274, 1) == 1
    assert found[305] == f"Cam 1.0; blurdm {__version__}"
    assert found.get_ifd(34665)[37500] == MAKER_NOTE
    assert found.get_ifd(34665)[33434] == 1 / 50
    assert found.get_ifd(34853)[2] == (48, 8, 14)
    assert not found.get_ifd(513)


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_exif_is_kept_for_16_bit(format):
    photo = read_photo(photo_file("png", smooth(), 3))
    deep = Photo(
        noise(9, 8, 3, dtype=np.uint16), format="png", metadata=photo.metadata, notes=photo.notes
    )
    written = encode_photo(deep, format)
    back = read_photo(written)
    assert np.array_equal(back.pixels, deep.pixels)
    assert exif_of(written).get_ifd(34665)[37500] == MAKER_NOTE
    assert (back.metadata.icc, back.metadata.xmp) == (ICC, photo.metadata.xmp)


def test_maker_notes_stay_at_their_offset():
    blob = exif(6)
    for target in ("jpeg", "png", "webp", "avif", "tiff"):
        written = encode_photo(read_photo(photo_file("jpeg", smooth(), 6)), target)
        start = (
            0
            if target == "tiff"
            else min(written.find(head) for head in (b"II*\0",) if head in written)
        )
        if target != "avif":  # Pillow writes AVIF's EXIF anew
            assert written.find(MAKER_NOTE) - start == blob.find(MAKER_NOTE)


@pytest.mark.parametrize("format", FORMATS)
def test_thumbnails_of_the_blurred_photo_are_dropped(format):
    written = encode_photo(read_photo(photo_file(format, smooth(), 6)))
    assert b"BLURREDTHUMB" not in written
    assert exif_of(written).get_ifd(1) == {}


def test_a_thumbnail_amid_other_exif_is_blanked():
    blob = exif() + b"something that is still in use"
    photo = read_photo(photo_file("png", smooth(), exif=b"Exif\0\0" + blob))
    assert THUMBNAIL not in photo.metadata.exif
    assert photo.metadata.exif.startswith(blob[:4])
    assert b"something that is still in use" in photo.metadata.exif


@pytest.mark.parametrize("format", FORMATS)
def test_a_second_pass_changes_no_metadata(format):
    once = again(read_photo(photo_file(format, smooth(), 6)))
    twice = again(once)
    assert exif_of(encode_photo(twice))[305] == f"Cam 1.0; blurdm {__version__}"
    assert once.metadata.xmp == twice.metadata.xmp
    assert once.metadata.icc == twice.metadata.icc


def exif_with_size(orientation, width, height):
    """EXIF of Pillow's making: numbers up to 65535 are SHORT, above them LONG."""
    tags = Image.Exif()
    tags[256], tags[257], tags[274] = width, height, orientation
    tags.get_ifd(34665).update({40962: width, 40963: height, 37500: MAKER_NOTE})
    return tags.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(40, 24), (70000, 66000)])
def test_exif_and_xmp_tell_the_size_of_the_upright_photo(orientation, size):
    xmp = b"<x tiff:ImageWidth=\"40\" exif:PixelXDimension='40'><exif:PixelYDimension>24</x>"
    blob = exif_with_size(orientation, *size)
    photo = read_photo(photo_file("jpeg", smooth(24, 40), exif=blob, xmp=xmp))
    height, width = photo.pixels.shape[:2]
    assert (height, width) == ((24, 40) if orientation < 5 else (40, 24))
    found = exif_of(encode_photo(photo))
    inner = found.get_ifd(34665)
    assert (found[256], found[257], inner[40962], inner[40963]) == (width, height) * 2
    assert inner[37500] == MAKER_NOTE
    assert photo.metadata.exif.index(MAKER_NOTE) == blob.index(MAKER_NOTE) - 6
    told = f"<x tiff:ImageWidth=\"{width}\" exif:PixelXDimension='{width}'>"
    told += f"<exif:PixelYDimension>{height}</x>"
    assert photo.metadata.xmp == told.encode()


def big_tiff(pixels, orientation, order="<"):
    """A BigTIFF file with a place and an exposure time, in directories at its end."""
    at = [0, 0]
    for _ in range(2):
        file = io.BytesIO()
        tags = [(34666, 16, 1, at[0], True), (34854, 16, 1, at[1], True)]
        tags += [(271, 2, 5, "Acme", True), (274, 3, 1, orientation, True)]
        tags += [(700, 1, len(XMP), XMP, True), (34675, 7, len(ICC), ICC, True)]
        options = {"photometric": "rgb", "metadata": None, "bigtiff": True, "byteorder": order}
        tifffile.imwrite(file, pixels, extratags=tags, resolution=(300, 300), **options)
        at = [len(file.getvalue()), len(file.getvalue()) + 36]
    entry = struct.pack(f"{order}QHHQII", 1, 33434, 5, 1, 1, 50) + bytes(8)
    place = struct.pack(f"{order}QHHQ", 1, 1, 2, 2) + b"N".ljust(8, b"\0") + bytes(8)
    data = file.getvalue()
    for tag in (34665, 34853):  # tifffile writes them under other numbers only
        data = data.replace(*(struct.pack(f"{order}HHQ", tag + n, 16, 1) for n in (1, 0)))
    return data + entry + place


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_bigtiff_is_read_with_its_metadata(dtype):
    pixels = noise(5, 7, 3, dtype=dtype)
    photo = read_photo(big_tiff(pixels, 3))
    assert np.array_equal(photo.pixels, pixels[::-1, ::-1])
    assert photo.notes == ()
    assert photo.metadata.icc == ICC
    assert photo.metadata.dpi == pytest.approx((300, 300))
    found = exif_of(encode_photo(photo))
    assert (found[271], found[274]) == ("Acme", 1)
    assert found.get_ifd(34665)[33434] == 1 / 50
    assert found.get_ifd(34853)[1] == "N"


def test_bigtiff_of_the_other_byte_order_is_not_called_damaged():
    with pytest.raises(DecodeError, match="BigTIFF") as caught:
        read_photo(big_tiff(smooth(), 1, ">"))
    assert "Convert" in caught.value.hint


def test_damaged_exif_is_dropped_with_a_note():
    for blob in (b"nonsense", b"II*\0\xff\xff\0\0", exif()[:40]):
        photo = read_photo(photo_file("png", smooth(), exif=b"Exif\0\0" + blob))
        assert photo.metadata.exif is None
        assert any("EXIF" in note for note in photo.notes)


def test_a_photo_without_exif_gets_none():
    file = io.BytesIO()
    Image.fromarray(smooth()).save(file, "PNG")
    assert read_photo(file.getvalue()).metadata.exif is None


def test_png_texts_and_colour_chunks_are_kept_in_png_and_named_elsewhere():
    photo = read_photo(photo_file("png", smooth()))
    with Image.open(io.BytesIO(encode_photo(photo))) as image:
        image.load()
        assert image.text["Comment"] == "kept"
    assert any("tEXt" in loss for loss in losses(photo, "webp"))
    assert losses(photo) == []


def test_jpeg_captions_are_kept_in_jpeg_and_named_elsewhere():
    segment = write_segments([BEGIN + b"caption"])
    photo = read_photo(photo_file("jpeg", smooth(), extra=segment))
    assert segment in encode_photo(photo)
    assert any("IPTC" in loss for loss in losses(photo, "png"))


def test_photoshops_picture_of_the_blurred_photo_is_dropped():
    caption, thumbnail = resource(0x0404, b"day"), resource(0x040C, b"picture")
    file = photo_file("jpeg", smooth(), extra=write_segments([BEGIN + caption + thumbnail]))
    result = encode_photo(read_photo(file))
    assert caption in result
    assert thumbnail in file
    assert thumbnail not in result


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_lossless_formats_give_all_pixels_back(format, dtype, channels):
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
def test_other_programs_read_the_same_16_bit_pixels(channels):
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
def test_a_dark_16_bit_png_stays_16_bit(channels):
    dark = (noise(8, 9, channels, dtype=np.uint16) % 256).astype(np.uint16)
    photo = read_photo(png16(dark) if channels == 3 else cv2.imencode(".png", dark)[1].tobytes())
    assert photo.pixels.dtype == np.uint16
    assert np.array_equal(photo.pixels, dark)
    assert np.array_equal(again(photo).pixels, dark)


def test_16_bit_tiff_keeps_profile_and_bits():
    pixels = noise(8, 9, 3, dtype=np.uint16)
    for options in ({}, {"compression": "zlib", "predictor": 2}, {"byteorder": ">"}):
        photo = read_photo(tiff_file(pixels, **options))
        assert np.array_equal(photo.pixels, pixels)
        assert photo.metadata.icc == ICC
        assert np.array_equal(again(photo).pixels, pixels)
    planar = tiff_file(np.moveaxis(pixels, 2, 0).copy(), planarconfig="separate")
    assert np.array_equal(read_photo(planar).pixels, pixels)


def test_premultiplied_16_bit_colours_come_back():
    alpha = np.full((4, 4, 1), 32768, np.uint16)
    colours = np.full((4, 4, 3), 40000, np.uint16)
    pixels = np.concatenate([(colours.astype(np.uint32) * alpha // 65535), alpha], 2)
    data = tiff_file(pixels.astype(np.uint16), extrasamples=["assocalpha"])
    assert np.abs(read_photo(data).pixels.astype(int) - 40000).max() <= 2


def test_float_tiff_becomes_16_bit_with_a_note():
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
def test_float_tiff_beyond_0_to_1_is_refused_with_its_range(ends, words):
    values = np.full((3, 4, 3), 0.5, np.float32)
    values[0, 0, :2] = ends
    with pytest.raises(DecodeError, match=words) as caught:
        read_photo(tiff_file(values))
    assert "16" in caught.value.hint


def test_tiff_of_32_bits_is_read_where_its_white_is_known():
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
def test_gray_stays_gray(format):
    file = io.BytesIO()
    gray = smooth()[..., 0]
    Image.fromarray(gray).save(file, format, **({"lossless": True} if format == "webp" else {}))
    photo = read_photo(file.getvalue())
    result = again(photo.with_rgb(photo.rgb()))
    assert photo.rgb().shape == (*gray.shape, 3)
    assert (result.rgb() == result.rgb()[..., :1]).all()
    assert result.pixels.shape[2] == (3 if format == "webp" else 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_keeps_every_value(dtype):
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
def test_rgb_put_back_unchanged_is_the_same_photo(shape, gray, opaque, dtype, seed):
    pixels = noise(*shape, 1 if gray else 3, dtype=dtype, seed=seed)
    seen = np.random.default_rng(seed).random(shape) < opaque
    alpha = np.where(seen, noise(*shape, dtype=dtype) | 1, 0).astype(dtype)
    photo = Photo(pixels, alpha)
    before = pixels.copy()
    result = photo.with_rgb(photo.rgb())
    assert np.array_equal(result.pixels, before)
    assert np.array_equal(result.alpha, alpha)
    assert np.array_equal(photo.rgb()[seen], np.broadcast_to(before, (*shape, 3))[seen])


def test_hidden_colours_are_filled_from_the_nearest_that_is_seen():
    pixels = np.zeros((9, 20, 3), np.uint8)
    alpha = np.zeros((9, 20), np.uint8)
    pixels[4, 2], alpha[4, 2] = (10, 20, 30), 255
    pixels[4, 17], alpha[4, 17] = (200, 100, 50), 1
    pixels[0, 0] = (255, 0, 255)
    rgb = Photo(pixels, alpha).rgb()
    assert (rgb[:, :9] == (10, 20, 30)).all()
    assert (rgb[:, 11:] == (200, 100, 50)).all()


def test_restored_pixels_of_another_size_or_type_are_refused():
    photo = Photo(noise(4, 5, 3))
    with pytest.raises(ValueError, match="do not fit"):
        photo.with_rgb(noise(5, 4, 3))
    with pytest.raises(ValueError, match="do not fit"):
        photo.with_rgb(noise(4, 5, 3, dtype=np.uint16))


@pytest.mark.parametrize("format", ["webp", "avif", "png", "tiff"])
def test_alpha_is_untouched(format):
    alpha = noise(24, 40)
    back = again(Photo(smooth(), alpha, format))
    assert np.abs(back.alpha.astype(int) - alpha).max() <= (8 if format == "avif" else 0)


def test_what_a_format_cannot_hold_is_said(tmp_path):
    photo = Photo(noise(8, 8, 3, dtype=np.uint16), noise(8, 8, dtype=np.uint16))
    said = write_photo(photo, tmp_path / "a.jpg")
    assert [line for line in said if "transparency" in line]
    assert [line for line in said if "8 bits" in line]
    assert all("\n" not in line for line in said)
    assert [line for line in write_photo(photo, tmp_path / "a.webp") if "8 bits" in line]
    assert write_photo(photo, tmp_path / "a.png") == []
    assert write_photo(photo, tmp_path / "a.tif") == []


def test_transparent_parts_are_laid_over_white_in_jpeg():
    alpha = np.zeros((16, 16), np.uint8)
    alpha[:, 8:] = 255
    photo = Photo(np.zeros((16, 16, 3), np.uint8), alpha)
    pixels = again(photo, "jpeg").pixels
    assert pixels[:, :8].min() > 250
    assert pixels[:, 8:].max() < 5


def test_16_bits_are_rounded_not_cut():
    values = np.repeat(np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32, 1), 3, axis=2)
    data = encode_photo(Photo(values, format="webp"), "webp", 100)
    exact = np.rint(values / 257)
    assert np.abs(read_photo(data).pixels - exact).mean() < 2


def test_good_jpeg_tables_are_used_again_and_coarse_ones_are_not():
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


def test_progressive_jpeg_stays_progressive_and_noise_is_written_anyway():
    photo = read_photo(photo_file("jpeg", smooth(), progressive=True))
    with Image.open(io.BytesIO(encode_photo(photo))) as image:
        assert image.info.get("progressive")
    loud = read_photo(photo_file("jpeg", noise(400, 400, 3), quality=90, progressive=True))
    assert encode_photo(loud, quality=100)


def test_lossless_webp_stays_lossless():
    pixels = noise(20, 20, 4)
    for data in (
        photo_file("webp", pixels),
        photo_file("webp", pixels, icc_profile=None, exif=b""),
    ):
        photo = read_photo(data)
        assert np.array_equal(again(photo).pixels, pixels[..., :3])
    lossy = photo_file("webp", smooth(), lossless=False, quality=80)
    assert b"VP8L" not in encode_photo(read_photo(lossy))


def test_the_same_photo_gives_the_same_bytes(tmp_path):
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
def test_photos_of_odd_sizes_go_through(format, size):
    pixels = np.full((*size, 3), (33, 25, 23), np.uint8)
    back = again(Photo(pixels), format)
    assert back.pixels.shape == pixels.shape
    assert np.abs(back.pixels.astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_stay_so(value):
    for format in (*FORMATS, "avif"):
        back = again(Photo(np.full((20, 20, 3), value, np.uint8)), format)
        assert (back.pixels == value).all()


@pytest.mark.parametrize("format", [*FORMATS, "avif"])
@pytest.mark.parametrize("deep", [False, True])
def test_truncated_photos_are_refused(format, deep):
    pixels = noise(60, 80, 3, dtype=np.uint16 if deep else np.uint8)
    data = encode_photo(Photo(pixels, format=format))
    for size in (len(data) // 2, len(data) - 40, 100, 20):
        with pytest.raises(DecodeError) as caught:
            read_photo(data[:size])
        assert "\n" not in str(caught.value)
        assert "Error" not in str(caught.value)


@pytest.mark.parametrize("compression", ["zstd", "lzma", "deflate", "lzw", "packbits"])
def test_deep_tiff_files_of_any_compression_are_read_or_refused_in_a_line(compression):
    file, pixels = io.BytesIO(), noise(40, 60, 3, dtype=np.uint16)
    tifffile.imwrite(file, pixels, photometric="rgb", compression=compression)
    data = bytearray(file.getvalue())
    assert np.array_equal(read_photo(bytes(data)).pixels, pixels)
    for place in range(300, len(data) - 300, 40):
        data[place] ^= 0x5A
    with suppress(DecodeError):
        assert read_photo(bytes(data)).pixels.shape == pixels.shape


def test_whatever_a_codec_raises_becomes_one_line(monkeypatch):
    def raise_it(kind, data):
        raise ModuleNotFoundError("compression.zstd")

    monkeypatch.setattr("blurdm_cli.photo.photo.decode", raise_it)
    with pytest.raises(DecodeError, match="damaged or cut off"):
        read_photo(photo_file("png", smooth()))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_jpeg_is_refused_wherever_it_ends(progressive):
    data = photo_file("jpeg", noise(64, 64, 3), progressive=progressive)
    for size in range(30, len(data) - 2, 331):
        with pytest.raises(DecodeError, match="damaged or cut off"):
            read_photo(data[:size])


def test_a_png_with_a_damaged_chunk_is_refused():
    for dtype in (np.uint8, np.uint16):
        data = bytearray(encode_photo(Photo(noise(20, 20, 3, dtype=dtype))))
        data[len(data) // 2] ^= 0x10
        with pytest.raises(DecodeError):
            read_photo(bytes(data))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_a_decode_error_or_a_photo(data):
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
def test_what_is_no_photo_is_told_in_one_line(tmp_path, content, words):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=words) as caught:
        read_photo(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_missing_files_and_folders_are_told_with_a_hint(tmp_path):
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
def test_a_file_that_may_not_be_read_is_told(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo_file("jpeg", smooth()))
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        read_photo(path)


@pytest.mark.parametrize("format", ["png", "tiff", "bmp"])
def test_a_photo_that_claims_to_be_huge_is_refused_unread(format):
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


def test_the_kind_is_read_from_the_bytes(tmp_path):
    path = tmp_path / "really.jpg"
    path.write_bytes(photo_file("png", smooth()))
    assert read_photo(path).format == "png"


def converted(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return read_photo(file.getvalue())


def test_cmyk_becomes_rgb_and_loses_its_profile():
    colour = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for format in ("JPEG", "TIFF"):
        for profile in (None, b"damaged"):
            photo = converted(colour, format, icc_profile=profile)
            assert photo.pixels[4, 4, 0] > 200
            assert photo.pixels[4, 4, 1] < 90
            assert photo.metadata.icc is None
            assert photo.notes == ("CMYK converted to RGB",)


def test_lab_becomes_rgb():
    pixels = Image.merge("LAB", [Image.new("L", (8, 8), v) for v in (255, 128, 128)])
    photo = converted(pixels, "TIFF")
    assert (photo.pixels > 240).all()
    assert photo.notes == ("LAB converted to RGB",)


def test_palettes_become_rgb_and_keep_transparency():
    palette = Image.fromarray(smooth()).quantize(16)
    photo = converted(palette, "PNG")
    assert np.array_equal(photo.pixels, np.asarray(palette.convert("RGB")))
    assert photo.notes == ("palette converted to RGB",)
    photo = converted(palette, "PNG", transparency=int(palette.getpixel((0, 0))))
    assert photo.alpha[0, 0] == 0
    assert photo.alpha.max() == 255
    photo = converted(palette, "GIF")
    assert photo.format == "png"


def test_one_bit_becomes_gray():
    photo = converted(Image.fromarray(smooth()).convert("1"), "PNG")
    assert set(np.unique(photo.pixels)) <= {0, 255}
    assert photo.pixels.shape[2] == 1
    assert "1-bit" in photo.notes[0]


def test_bmp_is_read_and_written_as_png():
    photo = converted(Image.fromarray(smooth()), "BMP")
    assert np.array_equal(photo.pixels, smooth())
    assert photo.format == "png"


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "gif"])
def test_of_many_pictures_the_first_is_taken_with_a_note(format):
    frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (10, 200)]
    options = {"lossless": True} if format == "webp" else {}
    photo = converted(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert (photo.pixels == 10).all()
    assert any("first" in note for note in photo.notes)


def test_an_unknown_suffix_or_quality_is_a_usage_error(tmp_path):
    photo = Photo(smooth())
    with pytest.raises(UsageError) as caught:
        write_photo(photo, tmp_path / "a.xyz")
    assert "jpg" in caught.value.hint
    with pytest.raises(UsageError, match="quality"):
        encode_photo(photo, "jpeg", 101)
    assert list(tmp_path.iterdir()) == []


def test_the_format_is_the_suffixs_then_the_photos(tmp_path):
    photo = Photo(smooth(), format="webp")
    for name, head in (("a.tif", b"II*\0"), ("b", b"RIFF"), ("c.JPG", b"\xff\xd8")):
        write_photo(photo, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(head)
    write_photo(photo, tmp_path / "d.png", format="jpg")
    assert (tmp_path / "d.png").read_bytes().startswith(b"\xff\xd8")


def test_a_photo_too_long_for_a_format_is_an_output_error():
    with pytest.raises(OutputError, match="16383") as caught:
        encode_photo(Photo(np.zeros((2, 17000, 3), np.uint8)), "webp")
    assert "PNG" in caught.value.hint


def test_metadata_too_long_for_jpeg_is_left_out_and_said():
    photo = read_photo(photo_file("png", smooth(), exif=b"Exif\0\0" + exif() + bytes(70000)))
    assert any("EXIF" in loss for loss in losses(photo, "jpeg"))
    assert read_photo(encode_photo(photo, "jpeg")).metadata.exif is None
    assert losses(photo, "png") == []


def test_nothing_is_said_on_stderr_of_damaged_photos(capfd):
    for sample in SAMPLES.values():
        with pytest.raises(DecodeError):
            read_photo(sample[: len(sample) // 2])
    assert capfd.readouterr().err == ""


def test_pillow_warnings_stay_inside(recwarn):
    read_photo(photo_file("tiff", smooth()))
    assert not [w for w in recwarn if not issubclass(w.category, ResourceWarning)]


def test_tiff_tags_that_cannot_be_copied_are_dropped_with_a_note_and_the_photo_is_turned():
    pixels = noise(5, 7, 3)
    data = tiff_file(pixels, 3)
    was = struct.pack("<HHI", 271, 2, 5)
    assert was in data
    photo = read_photo(data.replace(was, struct.pack("<HHI", 271, 5, 1)))  # a maker's ratio
    assert np.array_equal(photo.pixels, pixels[::-1, ::-1])
    assert photo.notes == ("EXIF is damaged and is dropped",)


def test_photos_are_read_by_many_threads_at_once():
    data, filters = list(SAMPLES.values()) * 8, list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        photos = list(pool.map(read_photo, data))
    assert all(photo.pixels.size for photo in photos)
    assert warnings.filters == filters
