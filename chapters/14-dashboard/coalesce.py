"""Coalesce: of a value that changes faster than anybody can look, send the newest, now and then.

The first value sets the deadline, FLUSH_MS from now, and no later value moves it. A debounce would
wait for a pause, and send nothing at all for as long as there is most to tell.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from members import Member
from settings import FLUSH_MS, QUEUE_BYTES, QUEUE_LIMIT
from waiting import COUNTS
from written import Written


@dataclass(slots=True)
class Pending:
    """The newest value of each key of one channel, and who is not to get it."""

    timer: asyncio.TimerHandle
    values: dict[Hashable, tuple[Written, str]] = field(default_factory=dict)
    size: int = 0  # bytes


class Latest:
    """What waits for its deadline, channel by channel. Never more than a queue may hold."""

    def __init__(self, members: Callable[[str], list[Member]]) -> None:
        self.members = members
        self.pending: dict[str, Pending] = {}

    def put(self, channel: str, key: Hashable, event: Written, skip: str) -> None:
        """Take the newest value of this key."""
        pending = self.pending.get(channel)
        if pending and key in pending.values:
            COUNTS.coalesced += 1
            pending.size -= len(pending.values[key][0].frame)
        elif pending and len(pending.values) >= QUEUE_LIMIT:
            self.flush(channel)  # full: sooner than planned, but never more than this
            pending = None
        if pending is None:
            timer = asyncio.get_running_loop().call_later(FLUSH_MS / 1000, self.flush, channel)
            pending = self.pending[channel] = Pending(timer)
        pending.values[key] = (event, skip)
        pending.size += len(event.frame)
        if pending.size > QUEUE_BYTES // 2:
            self.flush(channel)

    def flush(self, channel: str) -> None:
        """Send what waits for this channel."""
        pending = self.pending.pop(channel)
        pending.timer.cancel()
        for member in self.members(channel):
            for key, (event, skip) in pending.values.items():
                if member.name != skip:
                    member.tell(event, (channel, key))

    def flush_all(self) -> None:
        for channel in list(self.pending):
            self.flush(channel)
