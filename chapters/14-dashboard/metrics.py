"""Metrics: what this instance counts, as Prometheus reads it (text format 0.0.4).

Written by hand: the format is a line for each number, and a library would hide that. A counter only
grows, so a scrape that is missed loses nothing; a gauge is what is true now.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from typing import Any

from members import Member
from waiting import COUNTS

DIALECTS = ("native", "socketio")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds
MOST_NAMES = 10_000  # of clients that have been here, to know one that comes back
TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()  # by dialect, as all of these
        self.closed: Counter[str] = Counter()
        self.reconnects: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.trips = {dialect: [0] * (len(BUCKETS) + 1) for dialect in DIALECTS}
        self.trip_seconds: Counter[str] = Counter()
        self.lately: deque[float] = deque(maxlen=32)  # round trips, of both dialects
        self.known: OrderedDict[str, None] = OrderedDict()

    def came(self, dialect: str, owner: str) -> None:
        """A connection; `owner` says whose. Who was here before has come back."""
        self.opened[dialect] += 1
        self.reconnects[dialect] += owner in self.known
        self.known[owner] = None
        self.known.move_to_end(owner)
        if len(self.known) > MOST_NAMES:
            self.known.popitem(last=False)

    def went(self, dialect: str) -> None:
        self.closed[dialect] += 1

    def round_trip(self, dialect: str, seconds: float) -> None:
        """From a heartbeat's ping to its pong."""
        place = next((n for n, most in enumerate(BUCKETS) if seconds <= most), len(BUCKETS))
        self.trips[dialect][place] += 1
        self.trip_seconds[dialect] += seconds  # type: ignore[assignment]
        self.lately.append(seconds)

    @property
    def round_trip_lately(self) -> float:
        return sum(self.lately) / len(self.lately) if self.lately else 0.0

    def text(self, members: Iterable[Member]) -> str:
        """All of it, for GET /metrics."""
        now, queued = Counter({d: 0 for d in DIALECTS}), Counter({d: 0 for d in DIALECTS})
        for member in members:
            now[member.dialect] += 1
            queued[member.dialect] += len(member.waiting)
        lines: list[str] = []

        def family(name: str, kind: str, help: str, values: Any) -> None:
            lines.append(f"# HELP {name} {help}")
            lines.append(f"# TYPE {name} {kind}")
            if isinstance(values, int):
                lines.append(f"{name} {values}")
                return
            lines.extend(f'{name}{{dialect="{d}"}} {values[d]}' for d in DIALECTS)

        family("ws_connections", "gauge", "Connections that are open.", now)
        family("ws_queue_depth", "gauge", "Messages that wait for a busy client.", queued)
        family("ws_opened_total", "counter", "Connections that were let in.", self.opened)
        family("ws_closed_total", "counter", "Connections that have ended.", self.closed)
        family("ws_reconnects_total", "counter", "Those of a client seen before.", self.reconnects)
        family("ws_received_total", "counter", "Messages from clients.", self.received)
        family("ws_sent_total", "counter", "Messages for clients.", self.sent)
        family("ws_dropped_total", "counter", "Not sent: the client was busy.", COUNTS.dropped)
        family("ws_coalesced_total", "counter", "Replaced by a newer value.", COUNTS.coalesced)
        family("ws_slow_closed_total", "counter", "Clients too slow to keep.", COUNTS.slow_closed)
        name = "ws_heartbeat_round_trip_seconds"
        lines += [f"# HELP {name} From a ping to its pong.", f"# TYPE {name} histogram"]
        for dialect in DIALECTS:
            count = 0
            for most, number in zip((*BUCKETS, "+Inf"), self.trips[dialect], strict=True):
                count += number  # a bucket counts all that are not above it
                lines.append(f'{name}_bucket{{dialect="{dialect}",le="{most}"}} {count}')
            lines.append(f'{name}_sum{{dialect="{dialect}"}} {self.trip_seconds[dialect]:g}')
            lines.append(f'{name}_count{{dialect="{dialect}"}} {count}')
        return "\n".join(lines) + "\n"


METRICS = Metrics()
