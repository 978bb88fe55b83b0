"""Natives: clients over a plain WebSocket, as members of the rooms.

The queue is chapter 7's. New: the heartbeat's pings carry bytes of their own, so that a pong tells
how long the way there and back was.
"""

import asyncio
import secrets
from collections.abc import Hashable

from metrics import METRICS
from outbound import Connection
from written import Written


class Client(Connection):
    """A native member of the rooms."""

    dialect = "native"

    def __init__(self) -> None:
        super().__init__(autoping=False)  # pings and pongs come to us: they are signs of life
        self.name = secrets.token_hex(16)
        self.pinged: dict[bytes, float] = {}  # what was pinged last, and when

    @property
    def gone(self) -> bool:
        return self.transport.is_closing()

    def cut(self) -> None:
        self.transport.abort()

    def offer(self, data: bytes, slot: Hashable = None) -> bool:
        METRICS.sent[self.dialect] += 1
        return super().offer(data, slot)

    def tell(self, event: Written, slot: Hashable = None) -> bool:
        return self.offer(event.frame, slot)

    def tell_or_drop(self, event: Written) -> bool:
        return self.offer_or_drop(event.frame)

    async def beat(self) -> None:
        """A ping with a payload of its own; any other pong, or an old one, measures nothing."""
        payload = secrets.token_bytes(8)
        self.pinged = {payload: asyncio.get_running_loop().time()}
        await self.ping(payload)

    def beaten(self, payload: bytes) -> None:
        if (at := self.pinged.pop(payload, None)) is not None:
            METRICS.round_trip(self.dialect, asyncio.get_running_loop().time() - at)
