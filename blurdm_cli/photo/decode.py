"""Decode a photo's file into pixels and metadata, with a note on everything that is dropped.

On damaged files, the errors of the libraries are passed through.
"""

import re
import struct
from dataclasses import replace
from io import BytesIO

from PIL import Image

from blurdm_cli.photo import bmp, cicp, gif, jpeg, png, tiff
from blurdm_cli.photo import metadata as md
from blurdm_cli.photo import pixels as px
from blurdm_cli.photo.auxiliary import dropped_images
from blurdm_cli.photo.encode import Coding, read_coding
from blurdm_cli.photo.heic_raw import PACKAGES, decode_apart
from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.pixels import Planes

SIGNED = re.compile(rb"(?s)jumb.{4}jumd")
"""The start of JUMBF boxes, in files of any kind; by far the most are C2PA's."""


def decode(kind: str, data: bytes) -> tuple[Planes, Metadata, Coding, list[str]]:
    """Read a photo of a kind; metadata is not adjusted and pixels are not rotated yet.

    Raises:
        TooLarge, Unsupported, ExtraMissing: files like this one cannot be read.
    """
    coding = Coding()
    if kind == "png":
        planes, metadata, notes = _decode_png(data)
    elif kind == "tiff":
        planes, metadata, notes = tiff.decode(data)
    elif kind in PACKAGES:
        planes, metadata, notes = decode_apart(kind, data)
    else:
        if kind == "jpeg" and (sort := jpeg.unread_sort(data)):
            raise px.Unsupported(f"a {sort} JPEG file")
        image = px.OPENERS[kind](BytesIO(data))
        planes, notes = px.decode_pillow(image)
        metadata, coding = md.pillow_metadata(image), read_coding(image, data)
        if kind == "avif" and not metadata.icc:
            metadata = replace(metadata, chunks=cicp.read_avif(data))
        elif kind == "gif":
            metadata, more = gif.read_metadata(data, metadata)
            notes += more
        elif kind == "bmp":
            icc, chunks, more = bmp.read_colours(data)
            metadata = replace(metadata, icc=icc, chunks=chunks)
            notes += more
        notes += _left_out(image, data)
    if SIGNED.search(data):
        notes.append("the C2PA signature is dropped: it is only valid for the unchanged photo")
    return planes, metadata, coding, notes


def _decode_png(data: bytes) -> tuple[Planes, Metadata, list[str]]:
    metadata, notes = png.read_metadata(data)  # first: it checks that the file is complete
    width, height, depth, colour_type = struct.unpack_from(">IIBB", data, 16)
    px.check_size(height, width)
    chunks = dict(png.chunks_of(data))
    notes += _animation(data)
    if depth < 16:
        seen = png.bare(data) if chunks.keys() & png.TEXTS or b"iCCP" in chunks else data
        planes, more = px.decode_pillow(px.OPENERS["png"](BytesIO(seen)))
        return planes, metadata, notes + more
    colours = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    planes = px.decode_png16(data, colour_type)[..., :colours]
    hidden = chunks.get(b"tRNS")
    if hidden and colour_type in (0, 2):
        planes = px.with_hidden_colour(planes, struct.unpack(f">{colours}H", hidden))
    return planes, metadata, notes


def _animation(data: bytes) -> list[str]:
    """A note on an animated PNG file, whose first image may not be one of the frames."""
    frames, first = 0, False
    for kind, content in png.chunks_of(data):
        if kind == b"acTL":
            frames = int.from_bytes(content[:4])
        elif kind == b"fcTL":
            first = True
        elif kind == b"IDAT":
            break
    if frames and not first:
        video = "--output NAME.mp4 restores its frames"
        return [f"animation: only the still image before it is used; {video}"]
    return [gif.animation_note(frames)] if frames > 1 else []


def _left_out(image: Image.Image, data: bytes) -> list[str]:
    """List the content of a JPEG, WebP, AVIF or GIF file that is not read."""
    notes = []
    if image.format in ("WEBP", "AVIF") and getattr(image, "is_animated", False):
        frames = getattr(image, "n_frames", 0)
        notes.append(gif.animation_note(frames, "convert it to a video to restore"))
    if "mp" in image.info:
        notes.append("the second image in the file (a gain map or preview) is dropped")
    if image.format == "JPEG":
        if image.info.get("jfif_unit") == 0:
            notes += md.aspect_notes(*image.info["jfif_density"])
        notes += jpeg.dropped_behind(data, "mp" in image.info)
    if b"HasExtendedXMP" in image.info.get("xmp", b""):
        notes.append("extended XMP is dropped")
    configuration = data.find(b"av1C") + 4
    if image.format == "AVIF" and data[configuration + 2] & 0x40:
        notes.append("more than 8 bits per channel are read as 8")
    if image.format == "AVIF":
        notes += dropped_images(data)
    if image.format == "AVIF" and (b"\0\0\0\x0cclli" in data or b"\0\0\0\x20mdcv" in data):
        notes.append("HDR brightness metadata (clli, mdcv) is dropped")
    return notes
