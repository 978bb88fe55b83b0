"""Middleware at the connection: small checks in a row, each of which lets pass or refuses.

JavaScript writes `io.use(check)`. Here a namespace has one connect handler, so it goes through a
list. A namespace without its list is open to everybody: the checks of "/" guard "/" alone.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from audit import note
from commands import MAX_CHANNELS, Refused, read_channel
from history import Position, read_position
from settings import MAX_CONNECTIONS_PER_USER
from tokens import BadToken, Identity, read

MOST_LINES = 50  # in the audit log, of one client's refusals


@dataclass(slots=True)
class Visitor:
    """One client in one namespace. It exists only after every check has let it pass."""

    sid: str
    namespace: str
    ip: str
    identity: Identity
    since: dict[str, Position] = field(default_factory=dict)  # where it stopped, last time
    channels: set[str] = field(default_factory=set)
    strikes: int = 0  # events refused in a row because there were too many
    refused: int = 0  # events, in all
    began: float = field(default_factory=time.monotonic)

    @property
    def rooms(self) -> tuple[str, str]:
        """Those that the server alone puts a client into."""
        return f"user:{self.identity.user}", f"role:{self.identity.role}"

    def note(self, event: str, **fields: Any) -> None:
        """A line in the audit log."""
        who = {**self.identity.public, "ip": self.ip, "namespace": self.namespace}
        note(event, **who, **fields)

    def note_refusal(self, event: str, **fields: Any) -> None:
        """The first of them one by one; one client must not fill the log."""
        self.refused += 1
        if self.refused <= MOST_LINES:
            self.note(event, **fields)


@dataclass(slots=True)
class Knock:
    """Somebody who wants in, and what the checks have found out so far."""

    namespace: str
    auth: Any  # any JSON that the client likes
    others: Iterable[Visitor]  # in this namespace
    identity: Identity | None = None
    since: dict[str, Position] = field(default_factory=dict)


Check = Callable[[Knock], Awaitable[None]]


async def token_is_good(knock: Knock) -> None:
    """`auth: {token}` says who it is; a query would stand in every log. Raises Refused."""
    token = knock.auth.get("token") if isinstance(knock.auth, dict) else None
    if not isinstance(token, str):
        raise Refused("unauthorized", 'log in, and send auth {"token":"…"}')
    try:
        knock.identity = read(token)
    except BadToken as bad:
        raise Refused("unauthorized", str(bad)) from bad


async def is_admin(knock: Knock) -> None:
    if knock.identity is None or knock.identity.role != "admin":
        raise Refused("forbidden", f"{knock.namespace} needs the role admin")


async def has_a_seat(knock: Knock) -> None:
    theirs = [v for v in knock.others if knock.identity and v.identity.user == knock.identity.user]
    if len(theirs) >= MAX_CONNECTIONS_PER_USER:
        raise Refused("rate_limited", f"at most {MAX_CONNECTIONS_PER_USER} connections each")


async def positions_are_good(knock: Knock) -> None:
    """`auth: {since: {channel: position}}`: what a client knew before it was away."""
    since = knock.auth.get("since")
    if since is None:
        return
    if not isinstance(since, dict) or len(since) > MAX_CHANNELS:
        raise Refused("bad_request", "since has to be an object of channels and positions")
    for channel, position in since.items():
        knock.since[read_channel({"channel": channel})] = read_position(position)


FOR_EVERYBODY: tuple[Check, ...] = (token_is_good, has_a_seat, positions_are_good)
FOR_ADMINS: tuple[Check, ...] = (token_is_good, is_admin, has_a_seat)
