"""A journey: many publishes from one client to another, each over a wire that cuts again and again.

How much the two do about it is a rung of the ladder of promises: nothing, sending again what was
not acknowledged, or that under the same requestId while the reader asks for what it has missed.
What came is for the oracle to judge.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from course.wire import Wire
from tests.harness.exchange import Exchange
from tests.harness.oracle import Judgement, judge
from tests.harness.peer import TEXT, Peer
from tests.harness.verdict import CheckFailure, fail

WINDOW = 20  # publishes under way at once
BETWEEN = (5, 50)  # frames, of either side, after which a connection is cut
LONGEST = 50.0  # seconds for the whole journey
MOST_CONNECTIONS = 2_000  # a bound for a server that gets nowhere


@dataclass(frozen=True)
class Promise:
    """What publisher and reader do about a cut."""

    resend: bool = True  # what was not acknowledged is sent again, in order
    same_id: bool = True  # … under the requestId that it had
    catch_up: bool = True  # the reader says how far it has read


AT_MOST_ONCE = Promise(resend=False, same_id=False, catch_up=False)
AT_LEAST_ONCE = Promise(resend=True, same_id=False, catch_up=True)
EFFECTIVELY_ONCE = Promise()


@dataclass
class Journey:
    """One run; `run()` returns how it went."""

    exchange: Exchange
    host: str
    port: int
    path: str = "/ws"
    publishes: int = 1_000
    seed: int = 0
    promise: Promise = EFFECTIVELY_ONCE
    name: str = "journey"  # of the channel and the two clients: another one for each journey
    came: list[int] = field(default_factory=list)
    connections: int = 0  # that were made, by both
    judgement: Judgement = field(default_factory=lambda: Judgement(0))  # once it is over
    not_recovered: int = 0  # how often the server could not give all that was missed

    async def run(self) -> Judgement:
        """Publish 0, 1, 2 … and let the reader listen until nothing more can come."""
        self.channel = f"room:{self.name}"
        self.listening, self.all_sent = asyncio.Event(), asyncio.Event()
        self.exchange.add("wire", "·", f"cuts behind {BETWEEN[0]}-{BETWEEN[1]} frames: {self}")
        async with (
            Wire(self.host, self.port, seed=self.seed) as near,
            Wire(self.host, self.port, seed=self.seed + 1) as far,
        ):
            near.cut_randomly(BETWEEN)
            far.cut_after(BETWEEN, "server", reset=True)  # its reader says next to nothing
            try:
                async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._read(far))
                    tasks.create_task(self._publish(near))
            except TimeoutError:
                fail(
                    f"after {LONGEST:g} s of cuts the publisher or the reader is not done; {self}",
                    expected=f"{self.publishes} events",
                    got=f"{len(self.came)} events over {self.connections} connections",
                )
            except ExceptionGroup as group:
                raise _first(group) from group
        return judge(range(self.publishes), self.came)

    def __str__(self) -> str:
        return f"seed {self.seed}"

    # The two ends

    async def _publish(self, wire: Wire) -> None:
        """Publish everything, a window at a time, over as many connections as it takes."""
        await self.listening.wait()
        under_way: dict[str, int] = {}  # by requestId, oldest first
        begun = 0
        while begun < self.publishes or under_way:
            line = await self._connect(wire, "publisher", {})
            if line is None:
                continue
            kept = under_way.values() if self.promise.resend else ()
            under_way = {self._request_id(number): number for number in kept}
            for request_id, number in under_way.items():
                await self._send_publish(line, request_id, number)
            while begun < self.publishes or under_way:
                while begun < self.publishes and len(under_way) < WINDOW:
                    under_way[self._request_id(begun)] = begun
                    await self._send_publish(line, self._request_id(begun), begun)
                    begun += 1
                message = await anext(line.messages, None)
                if message is None:
                    break
                self._acknowledged(message, under_way)
            await line.close()
        self.all_sent.set()

    def _request_id(self, number: int) -> str:
        """Of the publish of this number: always the same, or another on each connection."""
        return f"{number}" if self.promise.same_id else f"{number}-{self.connections}"

    async def _send_publish(self, line: _Line, request_id: str, number: int) -> None:
        wanted = {"channel": self.channel, "event": "journey:step", "payload": {"n": number}}
        await line.send_json({"type": "publish", "requestId": request_id, "data": wanted})

    def _acknowledged(self, message: dict[str, Any], under_way: dict[str, int]) -> None:
        if message.get("type") == "error":
            fail("a publish is refused", expected="published", got=json.dumps(message)[:200])
        if message.get("type") == "published":
            under_way.pop(str(message.get("requestId")), None)

    async def _read(self, wire: Wire) -> None:
        """Note what comes, until a ping behind everything has its pong."""
        position: dict[str, Any] | None = None
        while True:
            since = {"since": position} if position and self.promise.catch_up else {}
            line = await self._connect(wire, "reader", since)
            if line is None:
                continue
            assert line.subscribed is not None
            data = line.subscribed["data"]
            if since and data.get("recovered") is not True:
                self.not_recovered += 1
            for event in data.get("missed") or []:
                self.came.append(event["data"]["n"])
            position = {"epoch": data.get("epoch"), "seq": data.get("seq")}
            self.listening.set()
            done = asyncio.create_task(self._ask_whether_that_is_all(line))
            try:
                async for message in line.messages:
                    if message.get("type") == "journey:step":
                        self.came.append(message["data"]["n"])
                        position = {"epoch": message.get("epoch"), "seq": message.get("seq")}
                    elif message.get("requestId") == "all":
                        return
            finally:
                done.cancel()
                await asyncio.gather(done, return_exceptions=True)
                await line.close()

    async def _ask_whether_that_is_all(self, line: _Line) -> None:
        await self.all_sent.wait()
        await line.send_json({"type": "ping", "requestId": "all"})

    async def _connect(self, wire: Wire, who: str, since: dict[str, Any]) -> _Line | None:
        """A new connection that has subscribed; None if it was cut before that."""
        self.connections += 1
        if self.connections > MOST_CONNECTIONS:
            fail(f"{MOST_CONNECTIONS} connections were not enough; {self}")
        line = _Line(self.exchange, who)
        await line.dial("127.0.0.1", wire.port)
        await line.request(f"{self.path}?client={who}-{self.name}")
        line.messages = line.all_messages()
        wanted = {"channel": self.channel, **since}
        await line.send_json({"type": "subscribe", "requestId": "subscribe", "data": wanted})
        async for message in line.messages:
            if message.get("requestId") == "subscribe":
                if message.get("type") != "subscribed" or not isinstance(message["data"], dict):
                    fail("subscribe is refused", got=json.dumps(message)[:200])
                line.subscribed = message
                return line
        await line.close()
        return None


class _Line(Peer):
    """A connection that may end at any moment: that is what the journey is about."""

    subscribed: dict[str, Any] | None = None
    messages: AsyncIterator[dict[str, Any]]

    async def all_messages(self) -> AsyncIterator[dict[str, Any]]:
        """Every message until the connection ends, however it does."""
        parts = b""
        while (frame := await self.next_frame()) is not None:
            if frame.opcode in (0, TEXT):
                parts += frame.payload
                if frame.fin:
                    message, parts = json.loads(parts), b""
                    yield message


def _first(group: ExceptionGroup[Exception]) -> BaseException:
    """What went wrong first: the word of a check, if there is one."""
    leaves: list[BaseException] = []

    def collect(error: BaseException) -> None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                collect(inner)
        else:
            leaves.append(error)

    collect(group)
    return next((error for error in leaves if isinstance(error, CheckFailure)), leaves[0])
