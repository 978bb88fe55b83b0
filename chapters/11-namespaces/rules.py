"""Rules for every event, in one place: how many, and by whom. JavaScript writes `socket.use(rule)`.

There, an error given to `next` reaches the server's side of the socket, and the client waits for
ever. Here it becomes the ack.
"""

from commands import Refused
from limits import Buckets
from middleware import Visitor
from settings import MAX_STRIKES, MESSAGE_BURST, MESSAGE_RATE

MESSAGES = Buckets(rate=MESSAGE_RATE, burst=MESSAGE_BURST)  # shared by all sockets of a user


class TooFast(Refused):
    def __init__(self, wait: float) -> None:
        super().__init__("rate_limited", "too many events")
        self.wait = wait


def not_too_many(visitor: Visitor, event: str) -> None:
    wait = MESSAGES.take(visitor.identity.user)
    visitor.strikes = visitor.strikes + 1 if wait else 0
    if wait:
        raise TooFast(round(wait, 3))


def admin_events_are_for_admins(visitor: Visitor, event: str) -> None:
    """`admin:` in a name is a promise, in whatever namespace it is used."""
    if event.startswith("admin:") and visitor.identity.role != "admin":
        raise Refused("forbidden", "admin: events need the role admin")


RULES = (not_too_many, admin_events_are_for_admins)


def check_rules(visitor: Visitor, event: str) -> None:
    """Raises Refused."""
    for rule in RULES:
        rule(visitor, event)


def struck_out(visitor: Visitor) -> bool:
    return visitor.strikes >= MAX_STRIKES
