import struct
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image

from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.photo import encode_photo, read_photo
from blurdm_cli.photo.privacy import apply_privacy

from .samples import MAKER_NOTE, exif, tiff_file
from .test_photoshop import resource, segment

XMP = (
    b'<rdf:Description exif:GPSLatitude=\'48,8.2N\' xmp:Rating="4" exif:GPSLongitude="1,2E">'
    b"<exif:GPSAltitude>12/1</exif:GPSAltitude><exif:GPSTimeStamp/><dc:title>x</dc:title>"
    b"</rdf:Description>"
)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_place_goes_and_all_else_stays_at_its_offset(order):
    before = exif(order=order)
    after = apply_privacy(Metadata(exif=before), "strip-gps").exif
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
    after = apply_privacy(Metadata(xmp=XMP), "strip-gps").xmp
    assert b"GPS" not in after
    assert b'xmp:Rating="4"' in after
    assert b"<dc:title>x</dc:title>" in after


@pytest.mark.parametrize(
    "place",
    [
        b'drone-dji:GpsLatitude="+48.208174"',
        b"drone-dji:GpsLongtitude='16.37' ",
        b'drone-dji:AbsoluteAltitude="+190.1"',
        b'xx:gpslongitude = "16.37"',
        b'geo:lat="48.208174"',
        b"><drone-dji:GpsLatitude>48.208174</drone-dji:GpsLatitude>",
        b'><q:LONGITUDE a="x>y"\n>16.37</q:LONGITUDE >',
        b"><geo:long rdf:datatype='http://float' rdf:value=\"16.37\"/>",
    ],
)
def test_coordinates_of_any_maker_go_from_xmp_and_nothing_else_does(place):
    stay = b'<rdf:Description xmlns:gps="http://gps/" gps:Version="2" xml:lang="en" '
    end = b"<rdf:Alt><rdf:li>long ago</rdf:li></rdf:Alt><x:longest/></rdf:Description>"
    inside = place if place.startswith(b">") else place + b">"
    after = apply_privacy(Metadata(xmp=stay + inside + end), "strip-gps").xmp
    assert b" ".join(after.split()) in (stay + b">" + end, stay.strip() + b">" + end)


def test_damaged_xmp_goes_rather_than_stay_with_a_place_and_soon():
    for damaged in (b"<a:gps>" * 9000, b"<exif:GPSLatitude>48,8.2N</exif:GPSLatitude"):
        assert apply_privacy(Metadata(xmp=damaged), "strip-gps").xmp is None
    long = b"<a:" + b"gps" * 20000
    assert apply_privacy(Metadata(xmp=long), "strip-gps").xmp == long


def test_xmp_that_is_not_utf_8_goes_rather_than_stay_with_a_place():
    assert apply_privacy(Metadata(xmp=XMP.decode().encode("utf-16")), "strip-gps").xmp is None
    assert apply_privacy(Metadata(xmp=b"<x/>\0"), "strip-gps").xmp == b"<x/>\0"


def test_the_place_of_a_map_goes_from_tiff():
    points, matrix = (0.0, 0.0, 0.0, 16.37, 48.208174, 0.0), (16.37, *[0.0] * 15)
    tags = [(33922, 12, 6, points, True), (34264, 12, 16, matrix, True)]
    tags += [(34737, 2, 8, "WGS 84|", True), (271, 2, 5, "Acme", True)]
    before = read_photo(tiff_file(np.zeros((4, 5, 3), np.uint8), extratags=tags))
    assert struct.pack("<d", 48.208174) in before.metadata.exif
    after = apply_privacy(before.metadata, "strip-gps")
    for number in (16.37, 48.208174):
        assert struct.pack("<d", number) not in after.exif
    with tifffile.TiffFile(BytesIO(encode_photo(replace(before, metadata=after)))) as file:
        assert not {33922, 34264, 34737} & set(file.pages.first.tags.keys())
        assert file.pages.first.tags[271].value == "Acme"


def test_exif_that_leads_nowhere_for_its_place_loses_only_that():
    blob = exif()
    entry = struct.pack("<HHII", 34853, 4, 1, 900)
    assert entry in blob
    lost = blob.replace(entry, struct.pack("<HHII", 34853, 4, 1, 0))
    read = Image.Exif()
    read.load(apply_privacy(Metadata(exif=lost), "strip-gps").exif)
    assert read[271] == "Acme"
    assert 34853 not in read


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_the_place_goes_from_the_texts_of_a_png_file_that_were_not_read(kind):
    hide = [
        b"exif:GPSLatitude",
        b"drone-dji:GpsLatitude",
        b"Longitude (deg)",
        b"geo:lat",
        b"EXIF:GPSInfo",
        b"Raw profile type exif",
        b"Raw profile type APP1",
    ]
    hide += [b"Raw profile type xmp", b"XML:com.adobe.xmp"]
    stay = tuple(
        (kind, word + b"\0x")
        for word in (b"exif:Model", b"Title", b"Latest", b"Raw profile type iptc")
    )
    chunks = (*((kind, word + b"\0x") for word in hide), *stay, (b"cHRM", b"c"))
    assert apply_privacy(Metadata(chunks=chunks), "strip-gps").chunks == (*stay, (b"cHRM", b"c"))
    assert apply_privacy(Metadata(chunks=chunks), "keep").chunks == chunks


def test_exif_without_a_place_is_left_alone():
    read = Image.Exif()
    read[271] = "Acme"
    blob = read.tobytes().removeprefix(b"Exif\0\0")
    assert apply_privacy(Metadata(exif=blob), "strip-gps").exif == blob


def test_damaged_exif_is_dropped_rather_than_kept_with_its_place():
    cut = exif()[:910]
    assert apply_privacy(Metadata(exif=cut), "strip-gps").exif is None


def test_what_decides_the_look_stays_when_all_else_goes():
    full = Metadata(
        b"icc", exif(), XMP, (300.0, 300.0), ((b"cHRM", b"c"), (b"tEXt", b"name")), b"iptc"
    )
    bare = Metadata(b"icc", dpi=(300.0, 300.0), chunks=((b"cHRM", b"c"),))
    assert apply_privacy(full, "strip") == bare
    assert apply_privacy(full, "keep") is full


def test_copies_of_exif_and_xmp_go_from_jpeg_segments_and_captions_stay():
    caption = resource(0x0404, b"\x1c\x02\x78\0\3day")
    full = segment(caption, resource(0x0422, exif()), resource(0x0424, XMP))
    assert apply_privacy(Metadata(segments=full), "strip-gps").segments == segment(caption)
    assert apply_privacy(Metadata(segments=full), "keep").segments == full


def test_jpeg_segments_that_are_not_understood_go_rather_than_stay_with_a_place():
    cut = segment(resource(0x0422, exif()))[:-20]
    cut = cut[:2] + (len(cut) - 2).to_bytes(2) + cut[4:]
    assert apply_privacy(Metadata(segments=cut), "strip-gps").segments == b""
