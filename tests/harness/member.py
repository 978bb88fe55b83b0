"""Members: clients that speak of rooms. A `Member` asks, gets its replies, and keeps its events.

On a connection replies and events come mixed. A reply carries the requestId of its request; what
carries none is an event, and waits in `events` until the check asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any

from course.frames import build
from tests.harness.peer import MASK, TEXT, WITHIN, Peer
from tests.harness.verdict import fail, require

DAY = 86_400_000  # milliseconds that the server's clock may be off

Envelope = dict[str, Any]


class Member:
    """One client of the rooms, on a peer that has been welcomed."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.events: deque[Envelope] = deque()  # came, and not yet asked for
        self.replies: dict[str, Envelope] = {}  # the same
        self.awaited: set[str] = set()  # the ids of the requests under way
        self.count = 0

    # Requests and their replies

    async def send(self, type: str, data: object = None) -> str:
        """Send a request without waiting; returns its requestId. Data of None is left out."""
        request_id, message = self._request(type, data)
        await self.peer.send_json(message)
        return request_id

    async def send_together(
        self, requests: Iterable[tuple[str, object]], text: str, within: float = WITHIN
    ) -> list[str]:
        """Send many requests in one write, cheaply; `text` says what they are."""
        ids, raw = [], []
        for type, data in requests:
            request_id, message = self._request(type, data)
            ids.append(request_id)
            raw.append(build(TEXT, json.dumps(message).encode(), mask=MASK))
        await self.peer.send_raw(b"".join(raw), text, within)
        return ids

    def _request(self, type: str, data: object) -> tuple[str, Envelope]:
        self.count += 1
        request_id = f"{type}-{self.count}"[:128]
        self.awaited.add(request_id)
        message: Envelope = {"type": type, "requestId": request_id}
        return request_id, message if data is None else message | {"data": data}

    async def reply(self, request_id: str, within: float = WITHIN) -> Envelope:
        """The one reply to a request; events that come before it are kept."""
        while request_id not in self.replies:
            await self._take(f"the reply to {request_id}", within)
        return self.replies.pop(request_id)

    async def all_replies(self, number: int, within: float = WITHIN) -> list[Envelope]:
        """Read on until there are so many replies nobody has asked for, and return them."""
        while len(self.replies) < number:
            await self._take(f"{number - len(self.replies)} more replies", within)
        replies, self.replies = list(self.replies.values()), {}
        return replies

    async def ask(self, type: str, data: object = None, within: float = WITHIN) -> Envelope:
        """Send a request and return its reply."""
        return await self.reply(await self.send(type, data), within)

    async def _take(self, expecting: str, within: float) -> None:
        """Read one message, and put it where it belongs."""
        message = await self.peer.json(expecting, within)
        request_id = message.get("requestId")
        if request_id is None and message.get("type") != "error":
            self.events.append(message)
            return
        if not isinstance(request_id, str) or request_id not in self.awaited:
            fail(
                "a reply comes that belongs to no request, or a second one to the same",
                expected=expecting,
                got=short(message),
            )
        self.awaited.discard(request_id)
        self.replies[request_id] = message

    # Rooms

    async def subscribe(self, channel: str) -> None:
        await self._done("subscribe", "subscribed", {"channel": channel})

    async def unsubscribe(self, channel: str) -> None:
        await self._done("unsubscribe", "unsubscribed", {"channel": channel})

    async def publish(
        self,
        channel: str,
        event: str = "check:said",
        payload: object = None,
        more: Envelope | None = None,
    ) -> int:
        """Publish, with `more` fields beside; returns to how many the server says it sent it."""
        data = {"channel": channel, "event": event, "payload": payload, **(more or {})}
        return receivers(await self.ask("publish", data), channel)

    async def _done(self, type: str, done: str, data: Envelope) -> None:
        reply = await self.ask(type, data)
        expected = f'{{"type":"{done}","data":{json.dumps(data)}}}'
        require(
            reply.get("type") == done, f"{type} is not granted", expected=expected, got=short(reply)
        )
        got = reply.get("data")
        right = isinstance(got, dict) and data.items() <= got.items()
        require(right, "the reply names another channel", expected=expected, got=short(reply))
        has_time(reply)

    async def refused(self, type: str, data: object, *codes: str) -> None:
        """A request that has to get one error of these codes."""
        is_error(await self.ask(type, data), *codes)

    # Events

    async def event(self, expecting: str, within: float = WITHIN) -> Envelope:
        """The next event."""
        while not self.events:
            await self._take(expecting, within)
        return self.events.popleft()

    async def hears(
        self, channel: str, event: str = "check:said", payload: object = None
    ) -> Envelope:
        """The next event, which has to be this one; returned whole."""
        expected = {"type": event, "channel": channel, "data": payload}
        got = await self.event(f"the event {short(expected)}")
        same = all(name in got and alike(got[name], value) for name, value in expected.items())
        require(same, "the event is another", expected=short(expected), got=short(got))
        return got

    async def hears_nothing(self, because: str) -> None:
        """No event has come, nor comes before the pong of a ping that is sent now."""
        await self.ask("ping")
        if self.events:
            fail(f"an event comes, though {because}", expected="none", got=short(self.events[0]))

    # Staying and leaving

    @contextlib.asynccontextmanager
    async def kept_alive(self, every: float) -> AsyncIterator[None]:
        """Ask now and then while the check waits for others: who reads nothing, answers no ping."""

        async def ask() -> None:
            while True:
                await self.ask("ping")
                await asyncio.sleep(every)

        asking = asyncio.create_task(ask())
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def close(self) -> None:
        """Leave with a closing handshake, and with the end of TCP after the server's."""
        await self.peer.send(0x8, (1000).to_bytes(2))
        await self.peer.ended("the closing handshake to be done to its end")
        await self.peer.close()

    def reset(self) -> None:
        self.peer.reset()


def receivers(reply: Envelope, channel: str) -> int:
    """What `published` says; `fail()` for another reply."""
    expected = f'{{"type":"published","data":{{"channel":"{channel}","receivers":…}}}}'
    got, data = short(reply), reply.get("data")
    if reply.get("type") != "published" or not isinstance(data, dict):
        fail("publish is not granted", expected=expected, got=got)
    number: Any = data.get("receivers")
    right = isinstance(number, int) and not isinstance(number, bool)
    require(
        right and data.get("channel") == channel, "the reply is wrong", expected=expected, got=got
    )
    has_time(reply)
    return int(number)


def is_error(reply: Envelope, *codes: str) -> None:
    """`fail()` unless the reply is an error of one of these codes, or of any if none is named."""
    expected = f'{{"type":"error","data":{{"code":"{" or ".join(codes) or "…"}","message":…}}}}'
    data = reply.get("data")
    if reply.get("type") != "error" or not isinstance(data, dict):
        fail("the reply is no error", expected=expected, got=short(reply))
    code, message = data.get("code"), data.get("message")
    if not (code in codes if codes else isinstance(code, str)):
        fail("the code is another", expected=expected, got=short(reply))
    if not (isinstance(message, str) and message):
        fail("an error says in words what is wrong", expected=expected, got=short(reply))
    has_time(reply)


def has_time(message: Envelope) -> None:
    """`fail()` unless the message has a `ts` of now."""
    ts = message.get("ts")
    if not isinstance(ts, int | float) or isinstance(ts, bool):
        fail("a message of the server has no ts", expected='"ts": milliseconds', got=short(message))
    now = time.time() * 1000
    require(abs(ts - now) < DAY, "ts is not now, in milliseconds", expected=int(now), got=ts)


def alike(one: object, other: object) -> bool:
    """Equal as JSON: true is not 1, whatever Python says."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def short(message: object) -> str:
    return json.dumps(message, ensure_ascii=False)[:200]
