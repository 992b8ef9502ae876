"""Images beside the main one in HEIC and AVIF files: gain maps, depth, mattes.

Source: ISO/IEC 23008-12, 6.5.8 (auxC) and 6.10 (derived images); ISO 21496-1 (tmap).
"""

import re

TYPE = re.compile(rb"(?s)auxC\0...(urn:[!-~]{1,80})\0")
TONE_MAP = re.compile(rb"(?s)infe[\2\3]...(?:..|....)\0\0tmap")

NAMES = {
    "hdrgainmap": "the gain map",
    "auxid:2": "the depth map",
    "depth": "the depth map",
    "disparity": "the depth map",
    "matte": "a matte",
}
"""Names for notes, by the end of the type."""

READ = ("auxid:1", "alpha")


def dropped_images(file: bytes) -> list[str]:
    """List the auxiliary images, which are not read: a line for each sort."""
    found = ["the gain map"] if TONE_MAP.search(file) else []
    for kind in sorted({found[1].decode() for found in TYPE.finditer(file)}):
        if not kind.endswith(READ):
            found.append(next((NAMES[end] for end in NAMES if kind.endswith(end)), kind))
    return [f"{name} is dropped" for name in dict.fromkeys(found)]
