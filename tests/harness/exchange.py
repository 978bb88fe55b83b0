"""The exchange: what passed between the peers of one check and the program, in order.

Peers write it down; a failure shows it. It also owns the peers, so that none outlives its check.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby


@dataclass(frozen=True)
class Event:
    at: float  # seconds since the check began
    peer: str  # "client-1"
    arrow: str  # "→" to the program, "←" from it, "·" what happened to the connection
    text: str  # one line
    raw: bytes = b""  # what was sent or received, byte for byte


@dataclass
class Exchange:
    """One check's record. `url` is where the program listens."""

    url: str = ""
    events: list[Event] = field(default_factory=list)
    death: str | None = None  # how the program died during the check, if it did
    started: float = field(default_factory=time.monotonic)
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    peers: int = 0

    def next_name(self) -> str:
        self.peers += 1
        return f"client-{self.peers}"

    def add(self, peer: str, arrow: str, text: str, raw: bytes = b"") -> None:
        at = time.monotonic() - self.started
        self.events.append(Event(at, peer, arrow, text, raw))

    async def close(self) -> None:
        """Let go of every peer, all at once: two hundred of them must not take a minute."""
        closers, self.closers = self.closers, []
        await asyncio.gather(*(close() for close in closers))


def folded(events: Iterable[Event]) -> list[tuple[Event, int]]:
    """The events with repetitions in one: the first of each run of equals, and how many there were.

    Two messages that differ only in their time (milliseconds since 1970) count as equal.
    """

    def alike(event: Event) -> tuple[str, str, str]:
        # A time stands near the beginning, and a text may be long.
        text = re.sub(r"\d{13}", "…", event.text[:200]) + event.text[200:]
        return event.peer, event.arrow, text

    runs = (list(run) for _, run in groupby(events, key=alike))
    return [(run[0], len(run)) for run in runs]
