"""Backoff: how long to wait before the next try, so that a thousand clients do not come at once.

Full jitter: a random part of a ceiling that doubles with each attempt, up to a cap. It begins anew
only after a connection that held: a server that accepts and hangs up must not reset it.
"""

import random

DOUBLINGS = 32  # more make no difference to any cap


class Backoff:
    """The delays of one client, all times in seconds."""

    def __init__(self, base: float, cap: float, stable: float) -> None:
        self.base, self.cap, self.stable = base, cap, stable
        self.attempt = 0  # tries since the last connection that held

    def next_delay(self, uptime: float) -> float:
        """The wait after a connection that was open for `uptime`; 0 for one that never opened."""
        if uptime >= self.stable:
            self.attempt = 0
        ceiling = min(self.cap, self.base * 2 ** min(self.attempt, DOUBLINGS))
        self.attempt += 1
        return random.random() * ceiling
