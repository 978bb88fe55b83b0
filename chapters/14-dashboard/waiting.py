"""Waiting: the frames that one connection could not be sent yet, and a bound on them.

Two bounds, since 256 messages can be 50 KB or 16 MB. And the counts of what never was sent.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from settings import QUEUE_BYTES, QUEUE_LIMIT


@dataclass
class Counts:
    """What did not go its usual way since the start; for /api/stats."""

    dropped: int = 0
    coalesced: int = 0
    slow_closed: int = 0


COUNTS = Counts()


class Waiting(OrderedDict[Hashable, bytes]):
    """Slot → frame, the oldest first."""

    size = 0  # bytes of all frames together

    def put(self, data: bytes, slot: Hashable = None) -> bool:
        """Let a frame wait; one that waits in the same slot gives up its place to it.

        Returns whether all that waits is still within the bounds.
        """
        if slot is None:
            slot = object()  # one of its own
        elif (older := self.get(slot)) is not None:
            COUNTS.coalesced += 1
            self.size -= len(older)
        self[slot] = data
        self.size += len(data)
        return len(self) <= QUEUE_LIMIT and self.size <= QUEUE_BYTES

    def take(self, most: int) -> bytes:
        """The oldest frames, joined: whole ones, and enough of them to make `most` bytes."""
        frames, size = [], 0
        while self and size < most:
            _, data = self.popitem(last=False)
            frames.append(data)
            size += len(data)
        self.size -= size
        return b"".join(frames)

    def forget(self) -> None:
        self.clear()
        self.size = 0
