"""Positions: how far a channel has come, and up to where a client has heard it.

A channel's events are numbered 1, 2, 3 … by Valkey. The `epoch` names the counter: should it be
lost and begin again, old positions are known to be worthless and never taken for new ones.
"""

from dataclasses import dataclass
from typing import Any

from commands import Refused

MAX_EPOCH = 128  # characters
MAX_SEQ = 2**53  # as far as JavaScript counts


@dataclass(frozen=True, slots=True)
class Position:
    epoch: str  # "" before the channel's first event
    seq: int

    def covers(self, other: "Position | None") -> bool:
        """Whether who is here has heard `other` already."""
        return other is not None and self.epoch == other.epoch and other.seq <= self.seq


def read_since(data: Any) -> Position | None:
    """Up to where the client has heard the channel, if it says so. Raises Refused."""
    if not isinstance(data, dict) or data.get("since") is None:
        return None
    since = data["since"]
    if isinstance(since, dict):
        epoch, seq = since.get("epoch"), since.get("seq")
        named = isinstance(epoch, str) and len(epoch) <= MAX_EPOCH
        if named and type(seq) is int and 0 <= seq <= MAX_SEQ:  # True is an int too, in Python
            return Position(str(epoch), seq)
    raise Refused("bad_request", 'since has to be {"epoch":string,"seq":number}')
