"""Commands: what a client may ask of the rooms, and in which words.

What comes in is checked here, field by field, before it becomes a key of a dict. What is wrong is
`Refused`, with a code for programs and a sentence for people.
"""

import re
from dataclasses import dataclass
from typing import Any

CHANNEL = re.compile(r"[a-z0-9]+(:[a-z0-9_-]+)+")
EVENT = re.compile(r"[^\s:]+(:[^\s:]+)+")  # with a colon: names without one are the protocol's own
MAX_NAME = 128  # characters, for both
MAX_CHANNELS = 100  # that one connection may be in
RESERVED = ("user:", "role:")  # the server alone decides who is in these


class Refused(Exception):
    """The request cannot be granted. `code` is one of the contract's error codes."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Publish:
    channel: str
    event: str
    payload: Any
    to_self: bool  # whether the sender, if it is a member, gets the event too


def named(data: Any, field: str, pattern: re.Pattern[str]) -> str:
    """The field of a request that has to be a name of this pattern. Raises Refused."""
    value = data.get(field) if isinstance(data, dict) else None
    if not isinstance(value, str) or len(value) > MAX_NAME or not pattern.fullmatch(value):
        raise Refused("bad_request", f"{field} has to be a name like order:42")
    return value


def read_channel(data: Any) -> str:
    """The channel that a request is about. Raises Refused."""
    return named(data, "channel", CHANNEL)


def read_publish(data: Any) -> Publish:
    """What to publish, and where. Raises Refused."""
    channel, event = read_channel(data), named(data, "event", EVENT)
    to_self = data.get("self", True)
    if "payload" not in data:
        raise Refused("bad_request", "payload is missing; it may be any JSON, null too")
    if not isinstance(to_self, bool):
        raise Refused("bad_request", "self has to be true or false")
    return Publish(channel, event, data["payload"], to_self)
