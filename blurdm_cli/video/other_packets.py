"""Packets of the streams other than the video, moved to the time of the output."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer

from blurdm_cli.video.packet import AnyPacket
from blurdm_cli.video.tracks import Track

NEW_CLOCK = Fraction(1, 2)
"""Seconds: a timestamp that is earlier than the one before by more than this is of a new clock."""

Timed = tuple[Fraction, int, AnyPacket]
"""The decode time of a packet in seconds, its stream, and the packet."""


def other_packets(
    source: InputContainer,
    tracks: dict[int, Track],
    shift: Fraction,
    end: Fraction | None,
    lost: Counter[str],
) -> Iterator[Timed]:
    """Yield the packets of all other streams, within the output's time, while readable.

    Those that are damaged, or not later than the one before, are counted in `lost`.
    """
    reached: dict[int, int] = {}
    moved: Counter[int] = Counter()  # by which a new clock is late, in units of the stream
    hidden: dict[int, AnyPacket] = {}
    begin = shift if shift else None
    packets = source.demux([source.streams[place] for place in tracks]) if tracks else iter(())
    last = Fraction(0)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the file is cut off there
            return
        if packet is None:
            return
        if not packet.size:
            continue
        place = packet.stream.index
        time = packet.dts if packet.dts is not None else packet.pts
        if time is not None and packet.stream.type == "audio":
            time = _continued(packet, time, reached.get(place), moved)
            if time is None:
                lost[_name(packet)] += 1
                continue
            reached[place] = time
        if time is not None:
            now = time * packet.time_base
            if (begin is not None and now < begin) or (end is not None and now >= end):
                continue
            offset = round(shift / packet.time_base)
            packet.dts = time - offset
            packet.pts = packet.dts if packet.pts is None else packet.pts - offset
            last = max(last, now - shift)
        if packet.is_discard and packet.stream.type == "audio":
            hidden[place] = packet  # by an edit list; the last one primes the decoder
            continue
        name = _name(packet)
        for each in filter(None, (hidden.pop(place, None), packet)):
            try:
                made = list(tracks[place].packets(each))
            except av.FFmpegError:
                lost[name] += 1
                continue
            for kept in made:
                yield last, kept.stream_index, kept


def _continued(packet: AnyPacket, time: int, before: int | None, moved: Counter[int]) -> int | None:
    """The time of a packet of sound, later than the one before; None if it is not.

    Where a recorder's clock starts anew, the sound goes on without a gap.
    """
    place = packet.stream.index
    now = time + moved[place]
    if before is None or now > before:
        packet.pts = None if packet.pts is None else packet.pts + moved[place]
        return now
    if (before - now) * packet.time_base <= NEW_CLOCK:
        return None
    moved[place] += before - now + (packet.duration or 1)
    packet.pts = None if packet.pts is None else packet.pts + moved[place]
    return time + moved[place]


def _name(packet: AnyPacket) -> str:
    return f"{packet.stream.type} stream {packet.stream.index}"
