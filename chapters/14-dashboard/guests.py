"""Guests: clients over Socket.IO, in the same rooms as the native ones.

The library's queues know no bound: they are kept short, and the rest waits here, as in chapter 7.
"""

import asyncio
import secrets
from collections.abc import Hashable
from typing import Any

from engineio.packet import MESSAGE, Packet

from background import background
from beats import measure
from closing import CLOSE_SECONDS
from drain import DRAIN, DRAIN_SECONDS
from engine import sio
from line import Line, frame
from metrics import METRICS
from outbound import SLOW_CONSUMER, STUCK_SECONDS, WRITE_BYTES
from sessions import LOGGED_OUT
from waiting import COUNTS, Waiting
from written import Written

POLLED = 64  # packets that may wait for the next poll
SEPARATOR = "\x1e"  # Engine.IO's own: no JSON contains it


class Guest:
    """A Socket.IO member of the rooms."""

    dialect = "socketio"

    def __init__(self, sid: str) -> None:
        self.sid, self.name = sid, secrets.token_hex(16)
        self.engine_sid = sio.manager.eio_sid_from_sid(sid, "/")
        self.socket: Any = sio.eio.sockets[self.engine_sid]
        self.line: Line = self.socket.queue
        self.waiting, self.moved, self.takes_more = Waiting(), 0.0, True  # `moved`: had room last
        measure(self.socket, self.dialect)

    @property
    def gone(self) -> bool:
        return bool(self.socket.closed or self.socket.closing)

    @property
    def ready(self) -> bool:
        """Whether the engine has passed on all that it was given."""
        if not self.socket.upgraded:
            return self.line.qsize() < POLLED
        moving = self.line.transport and self.line.transport.get_write_buffer_size()
        return self.line.at_rest and not self.line.qsize() and not moving

    def tell(self, event: Written, slot: Hashable = None) -> bool:
        """As Connection.offer of outbound.py: at once, or when there is room. It never waits."""
        if not self.takes_more or self.gone:
            return False
        METRICS.sent[self.dialect] += 1
        if not self.waiting and self.ready:
            self.write([event.packet])
            return True
        if not self.waiting:
            self.moved = asyncio.get_running_loop().time()
            DRAIN.watch(self.flush)
        if not self.waiting.put((event.packet + SEPARATOR).encode(), slot):
            self.give_up()
        return self.takes_more

    def tell_or_drop(self, event: Written) -> bool:
        if not self.waiting and self.ready:
            return self.tell(event)
        COUNTS.dropped += 1
        return False

    def write(self, packets: list[str]) -> None:
        """Past the engine's queue if that is possible, for it costs a task; else through it."""
        frames = b"".join(frame("4" + packet) for packet in packets)
        if not (self.socket.upgraded and self.line.write(frames)):
            for packet in packets:
                self.line.put_nowait(Packet(MESSAGE, packet))

    def flush(self) -> bool:
        """Pass on what waits, as long as there is room; True: all is on its way."""
        now = asyncio.get_running_loop().time()
        if self.gone:
            self.waiting.forget()
        while self.waiting and self.ready:
            self.moved = now
            self.write(self.waiting.take(WRITE_BYTES).decode().split(SEPARATOR)[:-1])
        if self.waiting and now - self.moved > STUCK_SECONDS:
            self.give_up()
        return not self.waiting

    async def has_room(self) -> None:
        """Wait until its acks are read: who asks and does not read is not asked on."""
        while self.line.qsize() >= POLLED and not self.gone:
            await asyncio.sleep(DRAIN_SECONDS)

    def make_way(self) -> None:
        """An ack goes into the engine's queue by itself: what was told before goes before it."""
        if self.waiting:
            self.write(self.waiting.take(self.waiting.size).decode().split(SEPARATOR)[:-1])

    def give_up(self) -> None:
        self.waiting.forget()
        self.takes_more = False
        COUNTS.slow_closed += 1
        background(self.say_goodbye(SLOW_CONSUMER, b"reading too slowly"))

    async def say_goodbye(self, code: int, reason: bytes = b"") -> None:
        """A close frame, after which the library's client comes back; or `41`, which is final."""
        self.takes_more = False
        if code == LOGGED_OUT:
            await sio.emit("session:ended", {"code": code, "reason": reason.decode()}, to=self.sid)
            await sio.disconnect(self.sid)
        websocket = self.line.websocket() if self.line.websocket else None
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if websocket is not None:
                    await websocket.close(code=code, message=reason)
                else:
                    await sio.eio.disconnect(self.engine_sid)
        except TimeoutError:
            self.cut()

    def cut(self) -> None:
        if self.line.transport is not None:
            self.line.transport.abort()
        else:
            background(sio.eio.disconnect(self.engine_sid))
