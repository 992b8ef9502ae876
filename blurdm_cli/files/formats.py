"""Photo and video formats by file suffix."""

from blurdm_cli.errors import UsageError

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    **{".png": "png", ".webp": "webp", ".avif": "avif"},
}
"""The output formats of photos, by suffix."""

HEIC_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
RAW_SUFFIXES = frozenset(
    {".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"}
)

INSTEAD = (
    dict.fromkeys((".bmp", ".gif"), ".png")
    | dict.fromkeys(HEIC_SUFFIXES, ".png")
    | dict.fromkeys(RAW_SUFFIXES | {".raw"}, ".tif")
)
"""Suffixes of formats that are read but not written, and the suffixes of their results."""

PHOTO_SUFFIXES = frozenset(FORMATS) | frozenset(INSTEAD)
"""Suffixes, in lower case, of files in a folder that count as photos."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".ts", ".mxf", ".mpg"}
    | {
        ".mpeg",
        ".vob",
        ".3gp",
        ".3g2",
        ".wmv",
        ".asf",
        ".flv",
        ".ogv",
        ".h264",
        ".264",
        ".h265",
        ".265",
        ".hevc",
    }
)
"""Suffixes, in lower case, of files in a folder that count as videos."""

CONTAINERS = {
    **dict.fromkeys((".mp4", ".m4v"), "mp4"),
    **dict.fromkeys((".mts", ".m2ts", ".ts"), "mpegts"),
    **{".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".mxf": "mxf"},
}
"""FFmpeg's names of the output containers, by suffix."""

SUFFIX_OF = {"jpeg": ".jpg", "tiff": ".tif"} | {
    kind: f".{kind}" for kind in ("png", "webp", "avif", "bmp", "gif", "heic", "raw")
}
"""The usual suffix of each kind of photo."""


def format_of(name: str) -> str:
    """The format of a suffix (".jpg") or of a format name from the user ("jpg").

    Raises:
        UsageError: it is not an output format.
    """
    suffix = name.lower() if name.startswith(".") else f".{name.lower()}"
    if suffix not in FORMATS:
        raise UsageError(
            f"{suffix[1:] or 'An empty suffix'} is not a supported output format",
            hint=f"Known: {' '.join(known[1:] for known in FORMATS)}",
        )
    return FORMATS[suffix]
