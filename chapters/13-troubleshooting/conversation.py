"""One conversation over an open WebSocket: what came, what was answered, and how it ended.

The frames are read by the library's own protocol, without its network: bytes in, frames out.
"""

import asyncio
import json
from collections.abc import Callable

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from causes import Sick
from hops import Line
from settings import CONNECT_TIMEOUT

MOST_TYPES = 20  # that are remembered: a server may send without end
CREDENTIALS = (1008, 4401, 4403, 4408, 4410)  # the close codes that mean: who are you?


class Talk:
    """One conversation. Pings are answered by the protocol, as a browser does."""

    def __init__(self, line: Line, *, engine: bool = False) -> None:
        self.reader, self.writer = line
        self.engine = engine  # whether Engine.IO's own ping is to be expected
        self.protocol = ClientProtocol(parse_uri("ws://here/"), state=State.OPEN)
        self.types: dict[str, None] = {}  # of the messages that came, each once
        self.binary_json = self.pinged = self.ponged = self.cut = self.leaving = False

    @property
    def ended(self) -> bool:
        """Whether the other side is through, or has sent a frame that no peer may send."""
        if self.leaving:
            return self.cut or self.protocol.close_rcvd is not None
        return self.cut or self.protocol.state is not State.OPEN

    def how(self) -> str:
        if (close := self.protocol.close_rcvd) is not None:
            return f"closed with {close.code} {close.reason}".rstrip()
        return "cut without a close frame: a client sees 1006" if self.cut else "a broken frame"

    async def until(self, happened: Callable[[], bool], within: float) -> bool:
        """Read until something holds, the end, or the deadline; whether it held."""
        try:
            async with asyncio.timeout(within):
                while not (happened() or self.ended):
                    self.flush()
                    data = await self.reader.read(65_536)
                    if data:
                        self.protocol.receive_data(data)
                    else:
                        self.cut = True
                        self.protocol.receive_eof()
                    for frame in self.protocol.events_received():
                        if isinstance(frame, Frame):
                            self.take(frame)
        except TimeoutError:
            pass
        except OSError:
            self.cut = True
        return happened()

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            self.writer.write(data)

    def take(self, frame: Frame) -> None:
        self.pinged = self.pinged or frame.opcode is Opcode.PING
        self.ponged = self.ponged or frame.opcode is Opcode.PONG
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY):
            return
        if self.engine and frame.data == b"2":  # Engine.IO's ping is a message
            self.pinged = True
        try:
            value = json.loads(bytes(frame.data))
            self.binary_json = self.binary_json or frame.opcode is Opcode.BINARY
            if len(self.types) < MOST_TYPES:
                self.types[str(value["type"])[:80]] = None
        except (ValueError, KeyError, TypeError, RecursionError):
            pass

    async def answers(self, cause: str) -> None:
        """A ping, and its pong. Raises Sick with this cause if the connection ends instead."""
        self.ponged = False
        try:
            self.protocol.send_ping(b"doctor")
        except InvalidState:
            pass  # it has ended already: that is said below
        if not await self.until(lambda: self.ponged, CONNECT_TIMEOUT):
            close = self.protocol.close_rcvd
            if not self.ended:
                raise Sick("blocked-handler", f"no pong within {CONNECT_TIMEOUT:g} s")
            asked_who = close is not None and close.code in CREDENTIALS
            raise Sick("unauthorized" if asked_who else cause, self.how())

    async def leave(self) -> None:
        """Close as one should: 1000, and wait for the answer."""
        if not self.ended:
            self.leaving = True
            self.protocol.send_close(1000)
            await self.until(lambda: False, CONNECT_TIMEOUT)
