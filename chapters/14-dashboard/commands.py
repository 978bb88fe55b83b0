"""Commands: what a client may ask of the rooms, and in which words. Chapters 6 and 7 in one.

What comes in is checked here, field by field, before it becomes a key of a dict. What is wrong is
`Refused`, with a code for programs and a sentence for people.
"""

import re
from dataclasses import dataclass
from typing import Any

CHANNEL = re.compile(r"[a-z0-9]+(:[a-z0-9_-]+)+")
EVENT = re.compile(r"[^\s:]+(:[^\s:]+)+")  # with a colon: names without one are the protocol's own
CLIENT = re.compile(r"[A-Za-z0-9_-]+")  # a name that a client gives itself, for example a UUID
MAX_NAME = 128  # characters, for all of them
MAX_CHANNELS = 100  # that one connection may be in
RESERVED = ("user:", "role:")  # the server alone decides who is in these
POLICIES = ("queue", "latest", "drop")  # what becomes of a message for somebody who is busy


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
    to_self: bool = True  # whether the sender, if it is a member, gets the event too
    policy: str = "queue"
    key: str = ""  # of what this is the latest value


@dataclass(frozen=True, slots=True)
class Notify:
    client: str
    event: str
    payload: Any


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
    """What to publish, where, and what becomes of it for a busy member. Raises Refused."""
    channel, event, payload = read_channel(data), named(data, "event", EVENT), read_payload(data)
    to_self, policy, key = data.get("self", True), data.get("policy", "queue"), data.get("key", "")
    if not isinstance(to_self, bool):
        raise Refused("bad_request", "self has to be true or false")
    if policy not in POLICIES:
        raise Refused("bad_request", f"policy has to be one of: {', '.join(POLICIES)}")
    if not isinstance(key, str) or len(key) > MAX_NAME or (policy == "latest" and not key):
        raise Refused("bad_request", "key says of what this is the latest value: a string")
    return Publish(channel, event, payload, to_self, policy, key)


def read_payload(data: dict[str, Any]) -> Any:
    """What is to be sent. Raises Refused."""
    if "payload" not in data:
        raise Refused("bad_request", "payload is missing; it may be any JSON, null too")
    return data["payload"]


def read_notify(data: Any) -> Notify:
    """What to tell one client. Raises Refused."""
    client, event = named(data, "client", CLIENT), named(data, "event", EVENT)
    return Notify(client, event, read_payload(data))
