"""Outbound: what waits for one connection, and how much of it may.

`offer` never waits. An idle socket is written at once; for a busy one the frame waits here, at most
QUEUE_LIMIT frames of QUEUE_BYTES together. Whoever reads too slowly for that is let go with 4008.
"""

import asyncio
from collections.abc import Hashable
from typing import Any

from aiohttp import web

from closing import Socket
from drain import DRAIN, DRAIN_SECONDS
from framing import frame
from heartbeat import PATIENCE
from settings import HEARTBEAT_SECONDS
from waiting import COUNTS, Waiting

WRITE_BYTES = 65536  # handed over at a time: what the transport has, nobody can take back
STUCK_SECONDS = PATIENCE * HEARTBEAT_SECONDS  # a client that takes no byte for so long is given up
GOODBYE_SECONDS = 3.0  # for a slow client to read as far as its close frame
SLOW_CONSUMER = 4008


class Connection(Socket):
    """A WebSocket with a bounded queue. Messages leave in the order in which they were offered."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.waiting = Waiting()
        self.moved = 0.0  # when the kernel last had taken everything, in the loop's time
        self.takes_more = True  # until its close frame, or until it was too slow
        self.too_slow = asyncio.Event()

    async def prepare(self, request: web.BaseRequest) -> Any:
        prepared = await super().prepare(request)
        self.transport.set_write_buffer_limits(high=WRITE_BYTES)  # aiohttp's own sends obey it
        return prepared

    @property
    def idle(self) -> bool:
        """Whether the kernel has taken all that there was."""
        return not self.waiting and not self.transport.get_write_buffer_size()

    def offer(self, data: bytes, slot: Hashable = None) -> bool:
        """Write a frame, or let it wait. No `async`: who publishes never waits for a socket.

        A frame that waits in the same slot is replaced by this one, which takes its place in line.
        Returns whether the client will get it, as far as one can know.
        """
        transport = self.transport
        if not self.takes_more or transport.is_closing():
            return False
        if not self.waiting and not transport.get_write_buffer_size():  # idle, without a call more
            transport.write(data)
            return True
        if not self.waiting:
            self.moved = asyncio.get_running_loop().time()
            DRAIN.watch(self.flush)
        if not self.waiting.put(data, slot):
            self.give_up()
        return self.takes_more

    def offer_or_drop(self, data: bytes) -> bool:
        """For what is worth nothing later: a client that is busy does not get it."""
        if self.idle:
            return self.offer(data)
        COUNTS.dropped += 1
        return False

    def flush(self) -> bool:
        """Write what waits, many frames at once, while the kernel takes them; True: all is out."""
        if self.transport.is_closing():
            self.waiting.forget()
        while self.waiting and not self.transport.get_write_buffer_size():
            self.moved = asyncio.get_running_loop().time()
            self.transport.write(self.waiting.take(WRITE_BYTES))
        if self.waiting and asyncio.get_running_loop().time() - self.moved > STUCK_SECONDS:
            self.give_up()
            self.transport.abort()  # a close frame could not be written either
        return not self.waiting

    async def reply(self, text: str) -> None:
        """Answer, and wait until the answer is out: read no faster than the client reads."""
        slot = object()
        self.offer(frame(text), slot)
        while slot in self.waiting:
            await asyncio.sleep(DRAIN_SECONDS)

    def give_up(self) -> None:
        """Forget what waits, so that a close frame can be next in line."""
        self.waiting.forget()
        self.takes_more = False
        COUNTS.slow_closed += 1
        self.too_slow.set()

    async def close_when_too_slow(self) -> None:
        """Tell it 4008, right behind what is on its way. Cut it off if it reads no more."""
        await self.too_slow.wait()
        try:
            await self.say_goodbye(SLOW_CONSUMER, b"reading too slowly")
        except ConnectionError:
            return  # it went away by itself
        await asyncio.sleep(GOODBYE_SECONDS)  # an answer ends the connection, and this task with it
        self.transport.abort()

    async def say_goodbye(self, code: int, reason: bytes = b"") -> None:
        """The close frame is the last one. What waits goes before it, unless the client closed."""
        self.takes_more = False
        if self.waiting and self.close_code is None and not self.transport.is_closing():
            self.transport.write(self.waiting.take(self.waiting.size))
        self.waiting.forget()
        await super().say_goodbye(code, reason)
