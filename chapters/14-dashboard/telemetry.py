"""Telemetry: what this instance sees of itself, for the board to draw.

A sample ten times a second would be ten times what anybody can look at. It is a value, so the
policy is `latest`: chapter 7 sends the newest one every FLUSH_MS. It is not numbered: whoever was
away wants to know how it is, not how it was.
"""

import asyncio
import time
from collections import deque

from board import TELEMETRY
from fanout import HUB, LATEST
from metrics import METRICS
from settings import TELEMETRY_SECONDS
from waiting import COUNTS
from written import Written

WINDOW_SECONDS = 2.0  # over which messages are counted


async def watch() -> None:
    """For as long as the program lives; nothing is done while nobody looks."""
    now = asyncio.get_running_loop().time
    counted: deque[tuple[float, int]] = deque()
    while True:
        await asyncio.sleep(TELEMETRY_SECONDS)
        counted.append((now(), METRICS.received.total() + METRICS.sent.total()))
        while counted[-1][0] - counted[0][0] > WINDOW_SECONDS:
            counted.popleft()
        if HUB.members(TELEMETRY):
            (since, before), (at, total) = counted[0], counted[-1]
            rate = (total - before) / (at - since) if at > since else 0.0
            LATEST.put(TELEMETRY, TELEMETRY, Written(sample(rate)), "")


def sample(rate: float) -> dict[str, object]:
    said = {
        "connections": len(HUB.joined),
        "messagesPerSecond": round(rate, 1),
        "queued": sum(len(member.waiting) for member in HUB.joined),
        "dropped": COUNTS.dropped,
        "reconnects": METRICS.reconnects.total(),
        "roundTripMs": round(METRICS.round_trip_lately * 1000, 2),
    }
    now = int(time.time() * 1000)
    return {"type": "telemetry:sample", "channel": TELEMETRY, "data": said, "ts": now}
