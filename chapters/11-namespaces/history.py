"""History: the last events of each channel, numbered, so that a client can say where it stopped.

A position is {"epoch","seq"}. The library's bus is Pub/Sub, which forgets: whoever was away, client
or instance, has missed it. Numbers and events are kept where all instances see them.
"""

import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from commands import Refused
from settings import HISTORY

MOST_CHANNELS = 1000  # the one that nobody has asked for for the longest time is forgotten

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    epoch: str  # which counter
    seq: int

    @property
    def public(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "seq": self.seq}


def read_position(data: Any) -> Position:
    """A position as a client writes it. Raises Refused."""
    epoch, seq = (data.get("epoch"), data.get("seq")) if isinstance(data, dict) else (None, None)
    right = isinstance(epoch, str) and len(epoch) <= 64 and type(seq) is int and 0 <= seq < 2**53
    if not right:
        raise Refused("bad_request", 'a position is {"epoch":"…","seq":n}')
    return Position(str(epoch), int(str(seq)))


class Memory:
    """For one process: gone with it, and the epoch says so."""

    def __init__(self) -> None:
        self.kept: OrderedDict[str, tuple[str, deque[tuple[int, Event]]]] = OrderedDict()

    def channel(self, name: str) -> tuple[str, deque[tuple[int, Event]]]:
        if name not in self.kept:  # event 0 says nothing: the log begins after it
            self.kept[name] = secrets.token_hex(8), deque([(0, {})], HISTORY + 1)
        found = self.kept[name]
        self.kept.move_to_end(name)
        if len(self.kept) > MOST_CHANNELS:
            self.kept.popitem(last=False)
        return found

    async def add(self, name: str, event: Event) -> Position:
        epoch, events = self.channel(name)
        seq = events[-1][0] + 1
        events.append((seq, event))
        return Position(epoch, seq)

    async def after(self, name: str, since: Position | None) -> tuple[Position, list[Event] | None]:
        """Where the channel is now, and what came after `since`; None if that is not all here."""
        epoch, events = self.channel(name)
        top = Position(epoch, events[-1][0])
        if since is None or since.epoch != epoch or not events[0][0] <= since.seq <= top.seq:
            return top, None
        return top, [numbered(event, epoch, seq) for seq, event in events if seq > since.seq]


def numbered(event: Event, epoch: str, seq: int) -> Event:
    return {**event, "epoch": epoch, "seq": seq}
