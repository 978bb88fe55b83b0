"""Closing: aiohttp's WebSocket, with the closing handshake of RFC 6455 §7.1 done to the end.

Left alone, aiohttp answers every close with 1000, and ends TCP at once when it closes first. A
client that is still sending is then reset, and sees 1006 where it should see 1001 or 1009.
"""

import asyncio
import weakref
from typing import Any

from aiohttp import WebSocketError, WSMsgType, web

from settings import MAX_MESSAGE_BYTES

CLOSE_SECONDS = 1.0  # how long to wait for the other side of a closing handshake
NO_CODE, LOST = 1005, 1006  # an end without a code, or without a close frame: they never travel


class Socket(web.WebSocketResponse):
    """One WebSocket. Its handler calls `hang_up()` when no more messages come."""

    transport: asyncio.Transport
    said_goodbye = False

    def __init__(self, **options: Any) -> None:
        # aiohttp refuses messages from max_msg_size on, not beyond it. compress=False: the bytes on
        # the wire are the bytes you sent. autoclose=False: we answer the close frame ourselves.
        options |= {"max_msg_size": MAX_MESSAGE_BYTES + 1, "compress": False, "autoclose": False}
        super().__init__(**options)

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Answer the handshake. aiohttp asks once more when the connection has ended."""
        if not self.prepared:
            assert request.transport is not None
            self.transport = request.transport
            SOCKETS.add(self)
        return await super().prepare(request)

    async def say_goodbye(self, code: int, reason: bytes = b"") -> None:
        """Send the close frame, if none was sent yet. Code 0 stands for a frame without a code."""
        if not self.said_goodbye:
            self.said_goodbye = True
            await self.send_frame(code.to_bytes(2) + reason if code else b"", WSMsgType.CLOSE)

    async def hang_up(self) -> int:
        """Answer the client's close frame if one came, end TCP, and return the code to tell."""
        error = self.exception()
        if error is not None or self.close_code is None:
            return int(error.code) if isinstance(error, WebSocketError) else LOST
        if not self.transport.is_closing():
            await self.say_goodbye(self.close_code)
            self.transport.close()
        return self.close_code or NO_CODE

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        """Close first, and listen on until the client is gone: aiohttp's way out of bad frames."""
        if not self.transport.is_closing():
            await self.say_goodbye(code, message)
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    while not self.transport.is_closing():  # aiohttp has no event for this
                        await asyncio.sleep(0.02)
            except TimeoutError:
                self.transport.abort()
        return await super().close(code=code, message=message, drain=drain)


SOCKETS: weakref.WeakSet[Socket] = weakref.WeakSet()  # all that are open
