"""Losses of H.264 for training crops."""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from jaxtyping import UInt8


def through_h264(photo: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """What H.264 leaves of a photo that is the third frame of a still clip.

    Args:
        photo: of even height and width.
        quality: x264's constant rate factor, 0 (lossless) to 51.
    """
    height, width = photo.shape[:2]
    file = BytesIO()
    with av.open(file, "w", "mp4") as output:
        stream = output.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(quality), "preset": "veryfast", "threads": "1"}
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(photo), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as source:
        frames = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    return frames[-1]
