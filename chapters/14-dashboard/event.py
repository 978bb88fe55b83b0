"""An event on its way over the bus: what is published, and on which condition."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from positions import Position


class BusUnavailable(Exception):
    """No answer: the event may take effect or not. Asking again with the same id settles it."""


class Changed(Exception):
    """The state is not what it was when you looked. Look again."""


@dataclass(slots=True)
class Event:
    """What is published. `number` is None until the bus has given it one."""

    channel: str
    body: dict[str, Any]  # the envelope as the members get it, but for the number
    skip: str = ""  # the name of the connection that wants no copy
    request: str = ""  # who asked, and its requestId: the same again is the same event
    token: str = field(default_factory=lambda: secrets.token_hex(16))  # of this one attempt
    number: Position | None = None
    policy: str = "queue"  # any other is told and forgotten: it has no number
    key: str = ""
    # What the state of `data.id` has to be for this to take effect: see Bus.entry. None: whatever.
    version: str | None = None

    @property
    def state_id(self) -> str:
        """Of what this is the new state; "" if of nothing."""
        data = self.body["data"]
        key = data.get("id") if isinstance(data, dict) else None
        return str(key) if type(key) in (str, int) else ""

    def message(self) -> dict[str, Any]:
        """What the members get."""
        number = {"epoch": self.number.epoch, "seq": self.number.seq} if self.number else {}
        return self.body | number
