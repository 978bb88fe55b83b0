"""Packets: what this server reads of Socket.IO's packets, and what it does not.

The library parses them; here is what it would let through. JSON that is none, binary attachments
without a bound, and events named `connect` and `disconnect`: those would run the server's own.
"""

import json
from typing import Any, NoReturn

from engineio.payload import Payload
from socketio.packet import BINARY_ACK, BINARY_EVENT, EVENT, Packet

from settings import MAX_MESSAGE_BYTES

NOT_AN_EVENT = "(no event)"  # what such a packet becomes: nothing handles it, so it gets an error
RESERVED = ("connect", "connect_error", "disconnect")  # the library's own events

# A long-polling client sends what waits in one POST. The library takes 16 packets of it and drops
# all of them if there are more, with a 200. Let the bytes be the bound: those we do limit.
Payload.max_decode_packets = MAX_MESSAGE_BYTES


def loads(text: str) -> Any:
    """JSON without NaN and Infinity, which Python reads and no browser does. Raises ValueError."""
    return json.loads(text, parse_constant=refuse_constant, parse_float=finite)


def dumps(value: Any, **options: Any) -> str:
    return json.dumps(value, allow_nan=False, **options)


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def finite(text: str) -> float:
    if (value := float(text)) in (float("inf"), float("-inf")):  # of 1e999
        raise ValueError(f"{text} is too large")
    return value


class EventPacket(Packet):
    """A packet whose event has a name that a client may use, and no attachments."""

    packet_type: int
    data: Any

    def decode(self, encoded_packet: str) -> int:
        if not isinstance(encoded_packet, str):
            raise ValueError("an attachment of nothing")
        attachments = int(super().decode(encoded_packet) or 0)
        if self.packet_type == BINARY_ACK or (attachments and self.packet_type != BINARY_EVENT):
            raise ValueError("binary data where none belongs")
        if self.packet_type in (EVENT, BINARY_EVENT):
            data = self.data
            named = isinstance(data, list) and data and isinstance(data[0], str)
            if not named or attachments or data[0] in RESERVED:
                self.data = [NOT_AN_EVENT]  # and the id stays: whoever waits for an ack gets one
            self.packet_type = EVENT
        return 0
