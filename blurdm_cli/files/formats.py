"""The formats of photos and videos, by the suffixes of their files."""

from blurdm_cli.errors import UsageError

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    **{".png": "png", ".webp": "webp", ".avif": "avif"},
}
"""The formats that are written, by suffix."""

HEIC_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
RAW_SUFFIXES = frozenset(
    {".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"}
)

INSTEAD = (
    dict.fromkeys((".bmp", ".gif"), ".png")
    | dict.fromkeys(HEIC_SUFFIXES, ".png")
    | dict.fromkeys(RAW_SUFFIXES | {".raw"}, ".tif")
)
"""Suffixes of what is read but not written, and those of the results."""

PHOTO_SUFFIXES = frozenset(FORMATS) | frozenset(INSTEAD)
"""Suffixes, in lower case, of what is taken for a photo in a folder."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".ts", ".mxf", ".mpg"}
    | {".mpeg", ".vob", ".3gp", ".3g2", ".wmv", ".asf", ".flv", ".ogv"}
)
"""Suffixes, in lower case, of what is taken for a video in a folder."""

CONTAINERS = {
    **dict.fromkeys((".mp4", ".m4v"), "mp4"),
    **dict.fromkeys((".mts", ".m2ts", ".ts"), "mpegts"),
    **{".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".mxf": "mxf"},
}
"""FFmpeg's names of the containers that are written, by suffix."""

SUFFIX_OF = {"jpeg": ".jpg", "tiff": ".tif"} | {
    kind: f".{kind}" for kind in ("png", "webp", "avif", "bmp", "gif", "heic", "raw")
}
"""The usual suffix of each kind of photo."""


def format_of(name: str) -> str:
    """The format that a suffix (".jpg") or a user's word for it ("jpg") means.

    Raises:
        UsageError: it is none that can be written.
    """
    suffix = name.lower() if name.startswith(".") else f".{name.lower()}"
    if suffix not in FORMATS:
        raise UsageError(
            f"{suffix[1:] or 'A file without a suffix'} is no format that can be written",
            hint=f"Known: {' '.join(known[1:] for known in FORMATS)}",
        )
    return FORMATS[suffix]
