"""A right server of one channel, played by the harness, with switches for what goes wrong.

It does what chapter 6 asks of a server, and keeps a record of what the client asked, sent and
acknowledged. The client under check has to come out of every fault with each event applied once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.harness.hostile import Connection
from tests.harness.verdict import CheckFailure, fail

CHANNEL = "room:check"
PATIENT = 60.0  # seconds for the client's next message: that it speaks is the check's to ask
HEARTBEAT_MS = 20_000

Envelope = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """One request of the client, and on which of its connections it came."""

    line: int  # from 1
    request_id: Any
    data: Any


class StreamServer:
    """The script of a `Hostile`: one channel with its history, state and remembered requests."""

    def __init__(self) -> None:
        self.epoch = "first"
        self.seq = 0
        self.events: list[Envelope] = []  # the history; the newest has `seq`
        self.state: dict[str, Any] = {}
        self.replies: dict[str, Envelope] = {}  # by requestId, of what took effect
        self.live: Connection | None = None  # the newest connection
        self.subscribed = False  # whether that one is
        # The record
        self.lines = 0  # connections so far
        self.names: list[str] = []  # the client's name on each
        self.asks: list[Sent] = []
        self.publishes: list[Sent] = []
        self.others: list[str] = []  # types of what else was said
        self.acks: list[str] = []
        self.snapshots = 0
        self.refused = 0  # connections that were closed because of a message that was too long
        # The switches
        self.answers_publishes = True
        self.longest = 0  # characters of a message that it takes; 0: any
        self.snapshot_fails = 0  # how many times it still will
        self.before_snapshot: Callable[[], Awaitable[None]] | None = None

    # What happens in the channel

    def happen(self, payload: Any) -> Envelope:
        """An event takes place; whether anybody hears of it is another question."""
        self.seq += 1
        event = {"type": "check:step", "ts": 0, "channel": CHANNEL, "seq": self.seq}
        event |= {"epoch": self.epoch, "data": payload}
        self.events.append(event)
        if isinstance(payload, dict) and "id" in payload:
            self.state[str(payload["id"])] = payload
        return event

    async def emit(self, payload: Any) -> Envelope:
        """An event takes place, and is sent to the client if it is there."""
        event = self.happen(payload)
        await self.send(event)
        return event

    async def send(self, event: Envelope) -> None:
        if self.live is not None and self.subscribed:
            await self.live.send_json(event)

    def forget(self, epoch: str = "") -> None:
        """The history is gone; with a new epoch, so is the counting."""
        self.events.clear()
        if epoch:
            self.epoch, self.seq = epoch, 0
            self.state.clear()

    # What is said to one connection

    async def __call__(self, connection: Connection) -> None:
        path = urlsplit(connection.path)
        if path.path.startswith("/api/channels/"):
            await self._answer_snapshot(connection)
            return
        await connection.accept(heartbeat_ms=HEARTBEAT_MS)
        self.lines += 1
        line = self.lines
        self.names.append("".join(parse_qs(path.query).get("client", [])))
        self.live, self.subscribed = connection, False
        try:
            while True:
                message = await connection.json("a message", PATIENT)
                if 0 < self.longest < len(json.dumps(message)):
                    self.refused += 1
                    connection.server.wake()
                    await connection.close(1009, "too big")
                    return
                await self._answer(connection, line, message)
                connection.server.wake()  # the record says more than before
        except CheckFailure:
            if connection.left is None:
                raise

    async def _answer(self, connection: Connection, line: int, message: Envelope) -> None:
        request_id, data = message.get("requestId"), message.get("data")
        sent = Sent(line, request_id, data)
        match message.get("type"):
            case "ping":
                await self._reply(connection, "pong", request_id, None)
            case "subscribe":
                self.asks.append(sent)
                await self._subscribe(connection, sent)
            case "publish":
                self.publishes.append(sent)
                await self._publish(connection, sent)
            case "ack":
                self.acks.append(str(data.get("deliveryId")) if isinstance(data, dict) else "")
                await self._reply(connection, "acked", request_id, data)
            case kind:
                self.others.append(str(kind))
                await self._reply(connection, str(kind), request_id, data)

    async def _reply(self, connection: Connection, kind: str, request_id: Any, data: Any) -> None:
        reply = {"type": kind, "ts": 0, "requestId": request_id, "data": data}
        await connection.send_json({k: v for k, v in reply.items() if v is not None})

    async def _subscribe(self, connection: Connection, sent: Sent) -> None:
        data = sent.data if isinstance(sent.data, dict) else {}
        if data.get("channel") != CHANNEL:
            fail("the client subscribes to a channel that nobody has named", got=sent.data)
        since = data.get("since")
        answer = {"channel": CHANNEL, "epoch": self.epoch, "seq": self.seq}
        answer |= {"recovered": False, "missed": []}
        if isinstance(since, dict) and since.get("epoch") == self.epoch:
            missing = self.seq - int(since.get("seq", -1))
            if 0 <= missing <= len(self.events):
                missed = self.events[len(self.events) - missing :]
                answer |= {"recovered": True, "missed": missed}
        if connection is self.live:
            self.subscribed = True
        await self._reply(connection, "subscribed", sent.request_id, answer)

    async def _publish(self, connection: Connection, sent: Sent) -> None:
        """Take effect once; the reply says so each time, unless it gets lost."""
        if sent.request_id is None or sent.request_id not in self.replies:
            await self.emit(sent.data["payload"])
            self.replies[str(sent.request_id)] = {"channel": CHANNEL, "receivers": 1}
        if self.answers_publishes:
            reply = self.replies[str(sent.request_id)]
            await self._reply(connection, "published", sent.request_id, reply)

    async def _answer_snapshot(self, connection: Connection) -> None:
        self.snapshots += 1
        status, body = "200 OK", b""
        if self.snapshot_fails:
            self.snapshot_fails -= 1
            status = "503 Service Unavailable"
        else:
            if self.before_snapshot is not None:
                await self.before_snapshot()
            state = {"epoch": self.epoch, "seq": self.seq, "state": self.state}
            body = json.dumps(state).encode()
        head = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close"]
        head += [f"Content-Length: {len(body)}", "", ""]
        connection.exchange.add(connection.name, "←", head[0])
        connection.writer.write("\r\n".join(head).encode() + body)
        await connection.writer.drain()
        connection.drop()


def subscribe(request_id: str = "follow") -> str:
    """The line that a client is told, to follow the channel."""
    return _line("subscribe", request_id, {"channel": CHANNEL})


def publish(request_id: str, payload: Any) -> str:
    """The line that a client is told, to publish to it."""
    data = {"channel": CHANNEL, "event": "check:step", "payload": payload}
    return _line("publish", request_id, data)


def _line(kind: str, request_id: str, data: Envelope) -> str:
    return json.dumps({"type": kind, "requestId": request_id, "data": data})
