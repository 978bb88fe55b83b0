"""Members: what the rooms need of a client, whatever it speaks.

natives.py and guests.py each have one kind. Nothing else in this program knows the difference.
"""

from collections.abc import Hashable
from typing import Protocol

from waiting import Waiting
from written import Written


class Member(Protocol):
    """A client that is connected. A plain object: it is a key of dicts, and equal to itself."""

    dialect: str  # "native" or "socketio"
    name: str  # of this connection: no two alike on all instances
    waiting: Waiting  # what it could not be sent yet

    @property
    def gone(self) -> bool:
        """Whether nothing reaches it any more."""

    def tell(self, event: Written, slot: Hashable = None) -> bool:
        """Send, or let wait; in the same slot the newer takes the older one's place."""

    def tell_or_drop(self, event: Written) -> bool:
        """Send if it is idle; what is worth nothing later does not wait."""

    async def say_goodbye(self, code: int, reason: bytes = b"") -> None:
        """Tell it why the connection ends, once."""

    def cut(self) -> None:
        """End it without a word."""
