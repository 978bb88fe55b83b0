"""The heartbeat: how one end finds out that the other is gone.

A cable that is pulled sends no close frame: TCP says nothing for minutes, often for hours. So the
server pings, and a peer from which nothing at all arrives for 2.5 intervals is taken for dead.
"""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE = 2.5  # intervals: two pings unanswered, and half an interval for the slow


class Heartbeat:
    """Watches one connection. Call `seen()` for whatever arrives: any frame is a sign of life."""

    def __init__(self, interval: float) -> None:
        self.interval = interval  # seconds
        self.last_seen = asyncio.get_running_loop().time()

    def seen(self) -> None:
        self.last_seen = asyncio.get_running_loop().time()

    async def watch(self, ping: Callable[[], Awaitable[None]]) -> float:
        """Ping every interval until the peer has been silent for too long; return that silence."""
        now = asyncio.get_running_loop().time
        next_ping = now() + self.interval
        while True:
            deadline = self.last_seen + PATIENCE * self.interval
            if now() >= deadline:
                # Was it us who slept? What came meanwhile is read now, before we judge.
                await asyncio.sleep(self.interval / 10)
                if self.last_seen + PATIENCE * self.interval == deadline:
                    return now() - self.last_seen
            elif now() >= next_ping:
                next_ping = now() + self.interval
                try:
                    async with asyncio.timeout_at(deadline):
                        await ping()  # a dead peer takes no bytes either: this could wait for ever
                except TimeoutError:
                    continue
            else:
                await asyncio.sleep(min(next_ping, deadline) - now())
