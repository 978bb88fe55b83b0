"""The line to one client: the queue of what waits for it, and a way past an empty queue.

The engine's writer takes packets from a queue and awaits each `send`. When it has come back for
more and there is none, and the kernel has taken every byte, then nothing is on its way: a frame
that is written to the transport now comes after all that was sent before.
"""

import asyncio
import weakref
from typing import Any

from aiohttp import web

TEXT, BINARY = 0x81, 0x82  # opcodes 1 and 2, and the bit that says: this is the whole message


def frame(message: str | bytes) -> bytes:
    """A whole message in one frame of a server: unmasked, uncompressed (RFC 6455 §5.2)."""
    opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65536:
        return bytes((opcode, 126)) + size.to_bytes(2) + payload
    return bytes((opcode, 127)) + size.to_bytes(8) + payload


class Line(asyncio.Queue[Any]):
    """The packets that wait for one client, and the WebSocket they go to, once it has one."""

    def __init__(self) -> None:
        super().__init__()
        self.at_rest = False  # whether all that was ever taken from here has been sent
        self.websocket: weakref.ref[web.WebSocketResponse] | None = None
        self.transport: asyncio.WriteTransport | None = None

    async def get(self) -> Any:
        """The engine comes here when it has sent what it took before."""
        self.at_rest = True
        try:
            return await super().get()
        finally:
            self.at_rest = False

    def leads_to(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        """Remember where the packets go. If a second WebSocket comes, nobody can know."""
        if self.websocket is None:
            # The engine keeps the queue of who has left for a while: not the WebSocket with it.
            self.websocket, self.transport = weakref.ref(websocket), request.transport
        elif self.websocket() is not websocket:
            self.transport = None

    def write(self, data: bytes) -> bool:
        """Write these bytes now, if nothing is before them. No `async`: it is one step."""
        transport = self.transport
        websocket = self.websocket() if self.websocket else None
        if (
            transport is None
            or websocket is None
            or websocket.closed  # nothing may follow a close frame
            or not self.at_rest
            or self.qsize()
            or transport.get_write_buffer_size()
            or transport.is_closing()
        ):
            return False
        transport.write(data)
        return True
