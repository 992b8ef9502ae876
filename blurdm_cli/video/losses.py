"""Record of the data of a video that could not be decoded."""

from dataclasses import dataclass
from fractions import Fraction

from blurdm_cli.video.clip import Clip
from blurdm_cli.video.packet import AnyPacket


@dataclass
class Losses:
    """Record of the data that could not be decoded."""

    damaged: int = 0
    """Number of damaged packets and frames."""
    pictures_end: Fraction = Fraction(0)
    """End of the last video packet, complete or not; seconds in the file's time."""
    file_end: Fraction = Fraction(0)
    """End of the last packet of any stream."""

    def reached(self, packet: AnyPacket, *, is_picture: bool) -> None:
        """Record how far the file reaches."""
        begin = packet.dts if packet.pts is None else packet.pts
        if begin is not None and packet.time_base:
            end = (begin + (packet.duration or 0)) * Fraction(packet.time_base)
            self.file_end = max(self.file_end, end)
            if is_picture:
                self.pictures_end = max(self.pictures_end, end)

    def loss_note(self, clip: Clip, frames: int) -> str | None:
        """One line on missing data, or None if nothing is missing.

        Args:
            clip: the properties from the headers.
            frames: number of decoded frames, if all were requested.
        """
        end = self.pictures_end if clip.is_own_end else self.file_end
        short = clip.end is not None and end < clip.end - SLACK
        missing = (clip.frames or 0) - frames
        if not self.damaged and not short:
            return None
        if missing > 0:
            return f"the file is damaged or cut off: {frames} of {clip.frames} frames were decoded"
        return f"the file is damaged: {self.damaged} of its packets cannot be fully decoded"


SLACK = Fraction(1, 4)
"""Tolerance for the duration in headers, seconds."""
