"""Drain: one timer that empties the queues of all busy connections. It stops when none is busy.

asyncio tells a transport's protocol when there is room again, but that protocol is aiohttp's, and
tells nobody else. So we ask, and only while somebody waits: `get_write_buffer_size()` is cheap.
"""

import asyncio
from collections.abc import Callable

DRAIN_SECONDS = 0.005  # between two questions


class Drain:
    """Calls each `flush` it was given, again and again, until that returns True: all is written."""

    def __init__(self) -> None:
        self.busy: set[Callable[[], bool]] = set()
        self.timer: asyncio.TimerHandle | None = None

    def watch(self, flush: Callable[[], bool]) -> None:
        self.busy.add(flush)
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self.turn)

    def turn(self) -> None:
        self.timer = None
        for flush in tuple(self.busy):
            if flush():
                self.busy.discard(flush)
        if self.busy:
            self.timer = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self.turn)


DRAIN = Drain()
