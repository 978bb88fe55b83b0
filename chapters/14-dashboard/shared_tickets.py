"""Shared tickets: one that was given out here may be used at another instance, and still once.

Behind a load balancer the handshake goes wherever it goes. So the tickets of chapter 8 are kept in
Valkey, if there is one: it forgets them in time, and takes one away in the moment it is looked at.
"""

import json
import secrets

from event import BusUnavailable
from fanout import THE_BUS
from settings import REDIS_URL, TICKET_SECONDS
from tickets import Tickets
from tokens import Identity


class SharedTickets:
    def __init__(self) -> None:
        self.here = Tickets()

    async def issue(self, identity: Identity) -> str:
        """A new ticket. Raises BusUnavailable."""
        if not REDIS_URL:
            return self.here.issue(identity)
        ticket = secrets.token_urlsafe(32)
        said = [identity.user, identity.role, identity.issued, identity.expires]
        await THE_BUS.keep(f"ticket:{ticket}", json.dumps(said), TICKET_SECONDS)
        return ticket

    async def redeem(self, ticket: str) -> Identity | None:
        """Whose ticket it was; None if it is unknown, used or old."""
        if not REDIS_URL:
            return self.here.redeem(ticket)
        try:
            said = await THE_BUS.take_away(f"ticket:{ticket[:100]}")
        except BusUnavailable:
            return None  # who cannot be known is not let in
        identity = Identity(*json.loads(said)) if said else None
        if identity is None or identity.logged_out or identity.seconds_left <= 0:
            return None
        return identity
