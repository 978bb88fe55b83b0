"""Limits: how much one address, or one user, may have and do.

Two kinds. A bucket is for what happens: it holds some tokens, each act takes one, and time refills
it. Seats are for what is held: so many at once. Both are counted per key in tables with a bound.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MAX_KEYS = 10_000  # in one table: keys such as names come from outside


class Full(Exception):
    """No seat is free for this key."""


@dataclass(slots=True)
class Buckets:
    """A token bucket for each key: `burst` at once, then `rate` a second."""

    rate: float
    burst: int
    levels: dict[str, tuple[float, float]] = field(default_factory=dict)  # tokens, and when

    def level(self, key: str, now: float) -> float:
        tokens, since = self.levels.get(key, (float(self.burst), now))
        return min(self.burst, tokens + (now - since) * self.rate)

    def take(self, key: str) -> float:
        """Take a token: 0.0, or the seconds after which there will be one."""
        now = time.monotonic()  # a clock that nobody sets
        if key not in self.levels and len(self.levels) >= MAX_KEYS:
            self.levels = {k: v for k, v in self.levels.items() if self.level(k, now) < self.burst}
            if len(self.levels) >= MAX_KEYS:
                return 1 / self.rate  # when we cannot count, we do not let in
        level = self.level(key, now)
        if level < 1:
            return (1 - level) / self.rate
        self.levels[key] = level - 1, now
        return 0.0


@dataclass(slots=True)
class Seats:
    """At most `limit` at once for each key. A key without any is not there."""

    limit: int
    taken: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def one(self, key: str) -> Iterator[None]:
        """Keep a seat for as long as the `with` block lasts. Raises Full."""
        if self.taken[key] >= self.limit:
            raise Full
        self.taken[key] += 1
        try:
            yield
        finally:
            self.taken[key] -= 1
            if not self.taken[key]:
                del self.taken[key]
