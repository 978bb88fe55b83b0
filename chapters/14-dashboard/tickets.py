"""Tickets: one handshake each.

A browser cannot send a header with a WebSocket's handshake, so something has to stand in the
address, and addresses end up in logs. A ticket that is used up by its first use, and old after half
a minute, does no harm there. A token would.
"""

import secrets
import time
from dataclasses import dataclass, field

from settings import TICKET_SECONDS
from tokens import Identity

MAX_TICKETS = 100  # that one user may have waiting: the oldest makes room


@dataclass(slots=True)
class Tickets:
    """Those that are waiting to be used, oldest first. Nothing here suspends."""

    waiting: dict[str, tuple[Identity, float]] = field(default_factory=dict)

    def issue(self, identity: Identity) -> str:
        """A new ticket: 256 random bits that nobody guesses."""
        now = time.monotonic()
        self.waiting = {t: held for t, held in self.waiting.items() if held[1] > now}
        theirs = [t for t, (who, _) in self.waiting.items() if who.user == identity.user]
        if len(theirs) >= MAX_TICKETS:
            del self.waiting[theirs[0]]
        ticket = secrets.token_urlsafe(32)
        self.waiting[ticket] = identity, now + TICKET_SECONDS
        return ticket

    def redeem(self, ticket: str) -> Identity | None:
        """Whose ticket it was; None if it is unknown, used or old.

        Looked up and taken away in one step: of twenty that come at once with it, one gets in.
        """
        identity, deadline = self.waiting.pop(ticket, (None, 0.0))
        if identity is None or deadline <= time.monotonic():
            return None
        return None if identity.logged_out or identity.seconds_left <= 0 else identity
