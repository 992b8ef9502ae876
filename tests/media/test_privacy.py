import struct

import pytest
from PIL import Image

from blurdm_cli.media.metadata import Metadata
from blurdm_cli.media.privacy import kept

from .test_image import MAKER_NOTE, exif
from .test_photoshop import resource, segment

XMP = (
    b'<rdf:Description exif:GPSLatitude=\'48,8.2N\' xmp:Rating="4" exif:GPSLongitude="1,2E">'
    b"<exif:GPSAltitude>12/1</exif:GPSAltitude><exif:GPSTimeStamp/><dc:title>x</dc:title>"
    b"</rdf:Description>"
)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_place_goes_and_all_else_stays_at_its_offset(order):
    before = exif(order=order)
    after = kept(Metadata(exif=before), "strip-gps").exif
    read = Image.Exif()
    read.load(after)
    assert dict(read.get_ifd(34853)) == {}
    assert read[271] == "Acme"
    assert read.get_ifd(34665)[37500] == MAKER_NOTE
    assert after.index(MAKER_NOTE) == before.index(MAKER_NOTE)
    place = struct.pack(f"{order}6I", 48, 1, 8, 1, 14, 1)
    assert place in before
    assert place not in after


def test_the_place_goes_from_xmp_as_well():
    after = kept(Metadata(xmp=XMP), "strip-gps").xmp
    assert b"GPS" not in after
    assert b'xmp:Rating="4"' in after
    assert b"<dc:title>x</dc:title>" in after


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_the_place_goes_from_the_texts_of_a_png_file_that_were_not_read(kind):
    hide = [
        b"exif:GPSLatitude",
        b"EXIF:GPSInfo",
        b"Raw profile type exif",
        b"Raw profile type APP1",
    ]
    hide += [b"Raw profile type xmp", b"XML:com.adobe.xmp"]
    stay = tuple(
        (kind, word + b"\0x") for word in (b"exif:Model", b"Title", b"Raw profile type iptc")
    )
    chunks = (*((kind, word + b"\0x") for word in hide), *stay, (b"cHRM", b"c"))
    assert kept(Metadata(chunks=chunks), "strip-gps").chunks == (*stay, (b"cHRM", b"c"))
    assert kept(Metadata(chunks=chunks), "keep").chunks == chunks


def test_exif_without_a_place_is_left_alone():
    read = Image.Exif()
    read[271] = "Acme"
    blob = read.tobytes().removeprefix(b"Exif\0\0")
    assert kept(Metadata(exif=blob), "strip-gps").exif == blob


def test_damaged_exif_is_dropped_rather_than_kept_with_its_place():
    cut = exif()[:910]
    assert kept(Metadata(exif=cut), "strip-gps").exif is None


def test_what_decides_the_look_stays_when_all_else_goes():
    full = Metadata(
        b"icc", exif(), XMP, (300.0, 300.0), ((b"cHRM", b"c"), (b"tEXt", b"name")), b"iptc"
    )
    bare = Metadata(b"icc", dpi=(300.0, 300.0), chunks=((b"cHRM", b"c"),))
    assert kept(full, "strip") == bare
    assert kept(full, "keep") is full


def test_copies_of_exif_and_xmp_go_from_jpeg_segments_and_captions_stay():
    caption = resource(0x0404, b"\x1c\x02\x78\0\3day")
    full = segment(caption, resource(0x0422, exif()), resource(0x0424, XMP))
    assert kept(Metadata(segments=full), "strip-gps").segments == segment(caption)
    assert kept(Metadata(segments=full), "keep").segments == full


def test_jpeg_segments_that_are_not_understood_go_rather_than_stay_with_a_place():
    cut = segment(resource(0x0422, exif()))[:-20]
    cut = cut[:2] + (len(cut) - 2).to_bytes(2) + cut[4:]
    assert kept(Metadata(segments=cut), "strip-gps").segments == b""
