"""Coalesce: of a value that changes faster than anybody can look, send the newest, now and then.

The first value sets the deadline, FLUSH_MS from now, and no later value moves it. A debounce would
wait for a pause, and send nothing at all for as long as there is most to tell.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from outbound import WRITE_BYTES, Connection
from settings import FLUSH_MS, QUEUE_BYTES, QUEUE_LIMIT
from waiting import COUNTS


@dataclass(slots=True)
class Pending:
    """The newest value of each key of one channel, and who is not to get it."""

    timer: asyncio.TimerHandle
    values: dict[Hashable, tuple[bytes, Connection | None]] = field(default_factory=dict)
    size: int = 0  # bytes


class Latest:
    """What waits for its deadline, channel by channel. Never more than a queue may hold."""

    def __init__(self, members: Callable[[str], list[Connection]]) -> None:
        self.members = members
        self.pending: dict[str, Pending] = {}

    def put(self, channel: str, key: Hashable, data: bytes, skip: Connection | None) -> None:
        """Take the frame with the newest value of this key."""
        pending = self.pending.get(channel)
        if pending and key in pending.values:
            COUNTS.coalesced += 1
            pending.size -= len(pending.values[key][0])
        elif pending and len(pending.values) >= QUEUE_LIMIT:
            self.flush(channel)  # full: sooner than planned, but never more than this
            pending = None
        if pending is None:
            timer = asyncio.get_running_loop().call_later(FLUSH_MS / 1000, self.flush, channel)
            pending = self.pending[channel] = Pending(timer)
        pending.values[key] = (data, skip)
        pending.size += len(data)
        if pending.size > QUEUE_BYTES // 2:
            self.flush(channel)

    def flush(self, channel: str) -> None:
        """Send what waits for this channel. An idle member gets all of it in one write."""
        pending = self.pending.pop(channel)
        pending.timer.cancel()
        values = pending.values
        skipped = {skip for _, skip in values.values()}
        together = b"".join(data for data, _ in values.values())
        for member in self.members(channel):
            if member.idle and member not in skipped and len(together) <= WRITE_BYTES:
                member.offer(together)
                continue
            for key, (data, skip) in values.items():
                if member is not skip:
                    member.offer(data, (channel, key))

    def flush_all(self) -> None:
        for channel in list(self.pending):
            self.flush(channel)
