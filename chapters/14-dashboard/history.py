"""History: each channel's events, numbered and kept for a while, so that who was away can catch up.

A stream counts its events 1, 2, 3 … `epoch` names the counting itself: a server that starts again
starts again from 1, and a position of the old counting must not be taken for one of the new.
"""

import asyncio
import json
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from envelope import encode
from settings import HISTORY

STREAM_CHARACTERS = 1_000_000  # that one channel keeps: of its events, and again of its state
ALL_CHARACTERS = 64_000_000  # that all channels keep together
MAX_STREAMS = 10_000
MAX_STATE = 1_000  # ids in a channel's state; the one unchanged for longest goes first


@dataclass(frozen=True, slots=True)
class Position:
    """How far somebody has read: event `seq` of the counting `epoch`."""

    epoch: str
    seq: int


class Stream:
    """One channel's past. Nothing here can suspend; `lock` is held by who may not be overtaken."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.epoch = secrets.token_hex(8)
        self.seq = 0  # of the newest event
        self.events: deque[str] = deque()  # as they were sent; the newest has `seq`
        self.state: OrderedDict[str, tuple[Any, int]] = OrderedDict()  # id → payload, its size
        self.events_size = self.state_size = 0  # characters
        self.lock = asyncio.Lock()

    @property
    def size(self) -> int:
        return self.events_size + self.state_size

    def add(self, event: str, payload: Any) -> str:
        """Give the event the next number and keep it; returns it as it is sent to everybody."""
        self.seq += 1
        fields = {"channel": self.channel, "seq": self.seq, "epoch": self.epoch, "data": payload}
        text = encode(event, **fields)
        self.events.append(text)
        self.events_size += len(text)
        while len(self.events) > HISTORY or self.events_size > STREAM_CHARACTERS:
            self.events_size -= len(self.events.popleft())
        if isinstance(payload, dict) and type(payload.get("id")) in (str, int):
            self.keep_state(str(payload["id"]), payload, len(text))
        return text

    def keep_state(self, key: str, payload: Any, size: int) -> None:
        """The state of a channel is the latest payload of each id."""
        _, old = self.state.pop(key, (None, 0))
        self.state[key] = payload, size
        self.state_size += size - old
        while len(self.state) > MAX_STATE or self.state_size > STREAM_CHARACTERS:
            self.state_size -= self.state.popitem(last=False)[1][1]

    def since(self, position: Position | None) -> list[Any] | None:
        """All events after this position, in order. None if they cannot be given *all*.

        The history may be too short, the position of another counting, or ahead of us.
        """
        if position is None or position.epoch != self.epoch:
            return None
        missing = self.seq - position.seq
        if not 0 <= missing <= len(self.events):
            return None
        return [json.loads(text) for text in list(self.events)[len(self.events) - missing :]]

    def snapshot(self) -> dict[str, Any]:
        """The state, and the position that it is the state of: read at one moment, or it lies."""
        state = {key: payload for key, (payload, _) in self.state.items()}
        return {"epoch": self.epoch, "seq": self.seq, "state": state}


class History:
    """The streams of all channels. One that is forgotten comes back under another epoch."""

    def __init__(self) -> None:
        self.streams: OrderedDict[str, Stream] = OrderedDict()  # the one used last is at the end
        self.size = 0  # characters

    def stream(self, channel: str) -> Stream:
        stream = self.streams.setdefault(channel, Stream(channel))
        self.streams.move_to_end(channel)
        self.forget_some()
        return stream

    def add(self, stream: Stream, event: str, payload: Any) -> str:
        """One more event of this stream; returns it as it is sent."""
        before = stream.size
        text = stream.add(event, payload)
        self.size += stream.size - before
        self.forget_some()
        return text

    def forget_some(self) -> None:
        """Make room. Whoever comes back to a forgotten stream is told so by its new epoch."""
        while self.size > ALL_CHARACTERS or len(self.streams) > MAX_STREAMS:
            oldest = next(iter(self.streams.values()))
            if oldest.lock.locked():
                return  # somebody is busy with it; the next call tries again
            self.size -= oldest.size
            del self.streams[oldest.channel]
