"""What photos say of themselves in rarer ways: it is heeded, kept, or said to be lost."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.errors import DecodeError
from blurdm_cli.files.signatures import kind_of
from blurdm_cli.photo.auxiliary import dropped_images
from blurdm_cli.photo.photo import encode_photo, losses, read_photo

from .samples import ICC, exif, exif_of, noise, photo_file, smooth
from .test_hostile_photos import png
from .test_jpeg import jpeg


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_of_four_bytes_is_heeded(order: str) -> None:
    short = exif(6, order)
    at = short.index(struct.pack(f"{order}HHI", 274, 3, 1))
    long = short[:at] + struct.pack(f"{order}HHII", 274, 4, 1, 6) + short[at + 12 :]
    photo = read_photo(jpeg(exif=b"Exif\0\0" + long))
    assert photo.pixels.shape[:2] == smooth().shape[1::-1]
    assert Image.open(io.BytesIO(encode_photo(photo))).getexif()[274] == 1


def test_an_orientation_in_xmp_alone_is_left_as_it_is() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    photo = read_photo(jpeg(xmp=xmp))
    assert photo.pixels.shape == smooth().shape
    assert photo.metadata.xmp == xmp


def test_xmp_of_a_gain_map_goes_with_it() -> None:
    xmp = (
        b'<x:xmpmeta><rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
        b'hdrgm:Version="1.0" xmp:Rating="4"><Container:Directory><rdf:Seq>GainMap</rdf:Seq>'
        b"</Container:Directory></rdf:Description></x:xmpmeta>"
    )
    found = read_photo(jpeg(xmp=xmp)).metadata.xmp
    assert found is not None
    assert b"hdrgm:Version" not in found
    assert b"GainMap" not in found
    assert b'xmp:Rating="4"' in found


@pytest.mark.parametrize(
    "claim",
    [
        "<hdrgm:GainMapMax><rdf:Seq><rdf:li>1.5</rdf:li></rdf:Seq></hdrgm:GainMapMax>",
        "<hdrgm:Version>1.0</hdrgm:Version><hdrgm:Gamma/>",
        "<GDepth:Near>0.5</GDepth:Near>",
        "<xmpNote:HasExtendedXMP>0123</xmpNote:HasExtendedXMP>",
    ],
)
def test_xmp_about_images_that_are_gone_goes_as_elements_and_as_attributes(claim: str) -> None:
    attributes = "GDepth:Format='RangeInverse' xmpNote:HasExtendedXMP=\"0123\" xmp:Rating='4'"
    whole = f"<x:xmpmeta><rdf:Description {attributes}>{claim}<dc:x/></rdf:Description>"
    left = b"<x:xmpmeta><rdf:Description xmp:Rating='4'><dc:x/></rdf:Description>"
    assert read_photo(jpeg(xmp=whole.encode())).metadata.xmp == left


@pytest.mark.parametrize(
    ("brands", "kind"), [(b"avifmif1miaf", "avif"), (b"mif1heicmiaf", "heic"), (b"mif1", "heic")]
)
def test_a_picture_of_any_kind_is_told_by_its_other_brands(brands: bytes, kind: str) -> None:
    size = struct.pack(">I", 16 + len(brands))
    assert kind_of(size + b"ftypmif1\0\0\0\0" + brands + b"\0\0\0\x08meta") == kind


def test_an_avif_photo_of_the_general_brand_is_read() -> None:
    data = photo_file("avif", smooth())
    size = int.from_bytes(data[:4])
    assert data[8:12] == b"avif"
    assert b"mif1" in data[16:size]
    general = data[:8] + b"mif1" + data[12:16] + data[16:size] + data[size:]
    np.testing.assert_array_equal(read_photo(general).pixels, read_photo(data).pixels)


def test_a_damaged_profile_leaves_the_picture() -> None:
    broken = b"ICC profile\0\0" + zlib.compress(bytes(400))[:-20] + b"\xff" * 20
    photo = read_photo(png((b"iCCP", broken)))
    assert photo.notes == ("the colour profile is damaged and is dropped",)
    np.testing.assert_array_equal(photo.pixels, smooth(24, 40))


def test_chunks_that_are_not_kept_are_said() -> None:
    photo = read_photo(png((b"sBIT", b"\5\6\5"), (b"tIME", bytes(7))))
    assert photo.notes == ("PNG chunks are dropped: sBIT, tIME",)


@pytest.mark.parametrize(("marker", "bits", "words"), [(0xC1, 12, "12-bit"), (0xC3, 8, "lossless")])
def test_a_whole_jpeg_of_an_unread_sort_is_not_called_damaged(
    marker: int, bits: int, words: str
) -> None:
    whole = jpeg()
    at = whole.index(b"\xff\xc0")
    odd = whole[:at] + bytes([0xFF, marker]) + whole[at + 2 : at + 4] + bytes([bits])
    with pytest.raises(DecodeError, match=f"{words} JPEG") as caught:
        read_photo(odd + whole[at + 5 :])
    assert "damaged" not in str(caught.value)


def test_a_damaged_profile_is_dropped_from_a_file_of_any_format() -> None:
    for format in ("jpeg", "webp", "tiff", "avif"):
        options = {} if format == "tiff" else {"icc_profile": ICC[:200]}
        data = photo_file(format, smooth(), **options)
        if format == "tiff":
            data = data.replace(b"acsp", b"ACSP")
        photo = read_photo(data)
        assert photo.notes == ("the colour profile is damaged and is dropped",)
        assert photo.metadata.icc is None


def test_a_profile_of_which_segments_are_missing_is_damaged() -> None:
    photo = read_photo(jpeg(("APP2", b"ICC_PROFILE\0\1\3" + ICC)))
    assert photo.notes == ("the colour profile is damaged and is dropped",)


def test_a_profile_of_gray_is_not_given_to_rgb() -> None:
    gray = ICC[:16] + b"GRAY" + ICC[20:]
    file = io.BytesIO()
    Image.fromarray(smooth()[..., 0]).save(file, "PNG", icc_profile=gray)
    photo = read_photo(file.getvalue())
    for format in ("png", "jpeg", "tiff"):
        assert losses(photo, format) == []
        assert read_photo(encode_photo(photo, format)).metadata.icc == gray
    for format in ("webp", "avif"):
        assert any("gray profile" in line for line in losses(photo, format))
        assert read_photo(encode_photo(photo, format)).metadata.icc is None


@pytest.mark.parametrize("format", ["jpeg", "png"])
@pytest.mark.parametrize(("sides", "notes"), [((2, 1), 1), ((1, 1), 0)])
def test_pixels_that_are_not_square_are_said(
    format: str, sides: tuple[int, int], notes: int
) -> None:
    if format == "png":
        data = png((b"pHYs", struct.pack(">IIB", *sides, 0)))
    else:
        whole = jpeg()
        at = whole.index(b"JFIF\0") + 7
        data = whole[:at] + struct.pack(">BHH", 0, *sides) + whole[at + 5 :]
    photo = read_photo(data)
    assert photo.notes == ("the pixel aspect ratio 1:2 is dropped",) * notes
    assert photo.metadata.dpi is None


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_densities_are_turned_with_the_photo(format: str) -> None:
    tags = Image.Exif()
    tags.update({274: 6, 282: 300.0, 283: 150.0, 296: 2})
    photo = read_photo(photo_file(format, smooth(), exif=tags.tobytes(), dpi=(300, 150)))
    written = encode_photo(photo)
    with Image.open(io.BytesIO(written)) as image:
        assert image.info["dpi"] == pytest.approx((150, 300), abs=0.1)
    found = exif_of(written)
    assert (found[282], found[283]) == (150, 300)


@pytest.mark.parametrize("format", ["webp", "avif", "png", "gif"])
def test_of_an_animation_the_run_says_how_many_frames_are_left_out(format: str) -> None:
    first, *others = (Image.fromarray(noise(8, 8, 3, seed=seed)) for seed in range(3))
    file = io.BytesIO()
    first.save(file, format, save_all=True, append_images=others, duration=40)
    ways = {"png": "--output", "gif": "--output"}
    (note,) = (note for note in read_photo(file.getvalue()).notes if "animation" in note)
    assert "only the first of 3 frames is used" in note
    assert ways.get(format, "convert it to a video") in note


def test_a_still_image_before_an_animation_is_told_from_its_frames() -> None:
    still, *frames = (Image.fromarray(noise(8, 8, 3, seed=seed)) for seed in range(3))
    file = io.BytesIO()
    still.save(file, "PNG", save_all=True, append_images=frames, default_image=True)
    photo = read_photo(file.getvalue())
    np.testing.assert_array_equal(photo.pixels, np.asarray(still))
    assert len(photo.notes) == 1
    assert "only the still image before it" in photo.notes[0]


def auxiliary(kind: str) -> bytes:
    """A box that names the type of an auxiliary image."""
    return struct.pack(">I4sI", 13 + len(kind), b"auxC", 0) + kind.encode() + b"\0"


def test_images_beside_the_main_one_are_said_by_their_names() -> None:
    entry = b"\0\0\0\x15infe\2\0\0\0\0\2\0\0tmap\0"
    kinds = (
        "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
        "urn:mpeg:hevc:2015:auxid:1",
        "urn:mpeg:hevc:2015:auxid:2",
        "urn:com:apple:photo:2018:aux:portraiteffectsmatte",
        "urn:com:acme:sketch",
    )
    assert dropped_images(b"".join(map(auxiliary, kinds[:2]))) == []
    assert dropped_images(entry + b"".join(map(auxiliary, kinds))) == [
        "the gain map is dropped",
        "urn:com:acme:sketch is dropped",
        "a matte is dropped",
        "the depth map is dropped",
    ]
    data = photo_file("avif", smooth())
    beside = struct.pack(">I4s", 8 + len(entry), b"free") + entry
    assert read_photo(data + beside).notes == ("the gain map is dropped",)
