"""Plan the compression of a restored clip: encoder, pixel format, quality, colour tags.

The source's codec family is kept, with the encoder that this FFmpeg has for it. A note reports
everything that changes.
"""

from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec.codec import PixFmtLoss, find_best_pix_fmt_of_list
from av.video.format import VideoFormat

from blurdm_cli.errors import UsageError
from blurdm_cli.video.clip import Clip
from blurdm_cli.video.codecs import (
    FAMILIES,
    HARDWARE,
    HARDWARE_CRF,
    SAME,
    STEADY,
    Options,
    hardware_encoders,
    is_built_in,
    takes,
)
from blurdm_cli.video.encoder import Encoding, try_encoder
from blurdm_cli.video.hdr import hdr_options
from blurdm_cli.video.tags import Colour
from blurdm_cli.video.yuv import BT709, LIMITED

GLOBAL_HEADER = 0x40
"""FFmpeg's AVFMT_GLOBALHEADER, a flag of containers."""

FALLBACK = {"webm": "vp9"}
"""The codec for a container that supports neither the source's codec nor H.264."""

PRORES = {"Proxy": "proxy", "LT": "lt", "Standard": "standard", "HQ": "hq", "XQ": "4444xq"}

X265_SMALLEST = 64
"""Shortest side in pixels below which x265's "cutree" writes beyond its memory."""

WHOLE_CHROMA = ("libx264", "libx265", "nvenc", "qsv", "vaapi", "amf", "videotoolbox")
"""Encoders that support an odd width or height only if chroma is not subsampled along it."""


@dataclass(frozen=True)
class Wish:
    """The user's settings; None means chosen to suit the source."""

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None


def plan_encoding(clip: Clip, container: str, wish: Wish) -> tuple[Encoding, list[str]]:
    """Choose the encoding of a clip, and try it.

    Args:
        clip: the source.
        container: FFmpeg's name of the output's container.
        wish: the user's settings.

    Returns:
        The encoding, and a note on everything that changes.

    Raises:
        UsageError: there is no such encoder, pixel format, quality or preset, or the container
            does not support the requested codec.
        RuntimeMissing: the encoder needs something that this machine lacks.
    """
    codec, notes = _choose_codec(clip, container, wish)
    encoder = FAMILIES[codec].encoder if codec in FAMILIES else codec
    pix_fmt, lost = _choose_format(clip, encoder, wish)
    if codec == "vp9" and wish.codec is None and PixFmtLoss.DEPTH in lost:
        deeper = FAMILIES["av1"].encoder
        other, less = _choose_format(clip, deeper, wish)
        if takes(container, deeper) and PixFmtLoss.DEPTH not in less:
            notes.append("VP9 is limited to 8 bits here; it becomes AV1, which keeps the depth")
            codec, encoder, pix_fmt, lost = "av1", deeper, other, less
    notes += _format_notes(clip, encoder, pix_fmt, lost)
    hdr, unkept = hdr_options(encoder, clip.hdr)
    options = _options(codec, clip, wish, pix_fmt)
    extra = [*hdr.items()]
    if encoder == "libx265" and min(clip.height, clip.width) < X265_SMALLEST:
        extra.append(("x265-params", "no-cutree=1"))
    for name, value in extra:
        options[name] = f"{options[name]}:{value}" if name in options else value
    rate, time_base = clip.rate, clip.time_base
    if container in STEADY:
        rate = _meant(clip.steady or clip.rate)
        time_base = 1 / rate
        if encoder == "libx264":
            options["bf"] = "0"  # the container cannot store the display order of frames
        if not takes(container, encoder, rate):
            raise UsageError(
                f"{container} does not support {float(rate):.6g} frames per second",
                hint="Use an output such as NAME.mkv, which supports every frame rate",
            )
    becomes_yuv = VideoFormat(clip.pix_fmt).is_rgb and not VideoFormat(pix_fmt).is_rgb
    encoding = Encoding(
        encoder=encoder,
        options=options,
        pix_fmt=pix_fmt,
        height=clip.height,
        width=clip.width,
        rate=rate,
        time_base=time_base,
        aspect=clip.aspect,
        colour=Colour(LIMITED, BT709, 1, 1) if becomes_yuv else clip.colour,
        global_header=bool(av.format.ContainerFormat(container, "w").flags & GLOBAL_HEADER),
    )
    try_encoder(encoding)
    return encoding, [*notes, *unkept]


def _meant(rate: Fraction) -> Fraction:
    """Snap a rate to the nearest standard one, if it is close: 29.97 to 30000/1001."""
    usual = (Fraction(round(rate)), round(rate) * Fraction(1000, 1001))
    nearest = min(usual, key=lambda each: abs(each - rate))
    return nearest if abs(nearest - rate) < rate / 10_000 else rate


def _choose_codec(clip: Clip, container: str, wish: Wish) -> tuple[str, list[str]]:
    """Choose a family's or an encoder's name, with a note if it is not the source's."""
    if wish.codec is not None:
        asked = wish.codec.lower()
        codec = SAME.get(asked, asked)
        encoder = FAMILIES[codec].encoder if codec in FAMILIES else codec
        _check_encoder(encoder)
        if not takes(container, encoder):
            raise UsageError(
                f"{container} does not support {wish.codec}",
                hint="Use an output such as NAME.mkv, which supports every codec",
            )
        return codec, []
    codec = clip.codec
    if codec in FAMILIES and takes(container, FAMILIES[codec].encoder):
        return codec, []
    other = FALLBACK.get(container, "h264")
    if codec in FAMILIES:
        return other, [f"{container} does not support {codec}; it becomes {other}"]
    return other, [f"{codec} cannot be written; it becomes {other} (--codec chooses another)"]


def _check_encoder(encoder: str) -> None:
    if not is_built_in(encoder):
        known = ", ".join([*FAMILIES, *hardware_encoders()])
        raise UsageError(f"This FFmpeg has no encoder {encoder!r}", hint=f"Known: {known}")


def _choose_format(clip: Clip, encoder: str, wish: Wish) -> tuple[str, PixFmtLoss]:
    """Choose the supported pixel format closest to the source's; return it and its losses."""
    formats = [f.name for f in av.codec.Codec(encoder, "w").video_formats or ()]
    formats = [name for name in formats if name not in ("cuda", "qsv", "vaapi", "amf")]
    source = clip.pix_fmt.replace("yuvj", "yuv")
    if wish.pix_fmt is not None:
        if wish.pix_fmt not in formats:
            raise UsageError(
                f"{encoder} does not support the pixel format {wish.pix_fmt!r}",
                hint=f"Supported: {', '.join(formats)}",
            )
        formats = [wish.pix_fmt]
    plain = [name for name in formats if not name.startswith("yuvj")] or formats
    if encoder.startswith(WHOLE_CHROMA) or encoder.endswith(WHOLE_CHROMA):
        plain = [name for name in plain if _fits(name, clip)]
    if not plain:
        raise UsageError(
            f"{encoder} does not support {clip.width} x {clip.height} pixels in {wish.pix_fmt}",
            hint="Odd sizes need a format without subsampling, such as --pix-fmt yuv444p",
        )
    if source in plain:
        return source, PixFmtLoss(0)
    alpha = any(component.is_alpha for component in VideoFormat(source).components)
    best, loss = find_best_pix_fmt_of_list(plain, source, has_alpha=alpha)
    return (best.name if best else plain[0]), PixFmtLoss(loss)


def _fits(pix_fmt: str, clip: Clip) -> bool:
    format = VideoFormat(pix_fmt)
    return not (
        (clip.width % 2 and format.chroma_width(2) == 1)
        or (clip.height % 2 and format.chroma_height(2) == 1)
    )


def _format_notes(clip: Clip, encoder: str, pix_fmt: str, lost: PixFmtLoss) -> list[str]:
    words = {
        PixFmtLoss.RESOLUTION: "full colour resolution",
        PixFmtLoss.DEPTH: "bit depth",
        PixFmtLoss.ALPHA: "transparency",
        PixFmtLoss.COLORSPACE: "RGB",
    }
    gone = [word for loss, word in words.items() if loss in lost]
    if gone:
        return [f"{clip.pix_fmt} becomes {pix_fmt} for {encoder}, losing {', '.join(gone)}"]
    if (clip.width % 2 or clip.height % 2) and pix_fmt != clip.pix_fmt.replace("yuvj", "yuv"):
        return [f"{clip.pix_fmt} becomes {pix_fmt}, which {encoder} needs for odd sizes"]
    return []


def _options(codec: str, clip: Clip, wish: Wish, pix_fmt: str) -> Options:
    """The encoder's options for quality and speed."""
    family = FAMILIES.get(codec)
    if family is None:
        return _foreign_options(codec, wish)
    options = dict(family.options)
    if wish.crf is not None and family.crf is None:
        raise UsageError(f"{codec} has no --crf", hint="Leave it out")
    if wish.crf is not None and wish.crf > family.worst:
        raise UsageError(
            f"--crf {wish.crf} is too large for {codec}", hint=f"The range is 0 to {family.worst}"
        )
    if wish.preset is not None and family.preset is None:
        raise UsageError(f"{codec} has no --preset", hint="Leave it out")
    if family.crf is not None:
        options["crf"] = str(family.crf if wish.crf is None else wish.crf)
    if family.preset is not None:
        options[family.preset_option] = wish.preset or family.preset
    if codec == "prores":
        options["profile"] = PRORES.get(clip.profile, "4444" if "444" in pix_fmt else "hq")
    return options


def _foreign_options(encoder: str, wish: Wish) -> Options:
    """The options of an encoder that was given by its full name."""
    options: Options = {} if wish.preset is None else {"preset": wish.preset}
    quality = HARDWARE.get(encoder.rpartition("_")[2])
    if quality:
        options |= quality(HARDWARE_CRF if wish.crf is None else wish.crf)
    elif wish.crf is not None:
        options["crf"] = str(wish.crf)
    return options
