"""The type of FFmpeg's packets."""

from typing import TYPE_CHECKING, TypeAlias

from av.packet import Packet
from av.stream import Stream

if TYPE_CHECKING:
    AnyPacket: TypeAlias = Packet[Stream]
else:
    AnyPacket = Packet  # is not a generic class at run time
