"""Beats: how long a ping of the engine takes to its pong. The library does not say.

A pong makes the engine plan its next ping, and it remembers when the last one left.
"""

import time
import weakref
from typing import Any

from engine import BEAT
from metrics import METRICS

MEASURED: weakref.WeakSet[Any] = weakref.WeakSet()


def measure(socket: Any, dialect: str) -> None:
    """From now on, note each round trip of this client of the engine."""
    if socket in MEASURED:
        return  # it has come in a second time
    MEASURED.add(socket)
    plan = socket.schedule_ping

    def planned() -> None:
        if socket.last_ping:  # by the clock that people set: keep it within reason
            METRICS.round_trip(dialect, min(max(time.time() - socket.last_ping, 0.0), BEAT))
        plan()

    socket.schedule_ping = planned
