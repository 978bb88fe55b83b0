"""The board's visitors: clients of either dialect, as a user or as an admin, and what they see.

A server of chapter 14 speaks native WebSocket and Socket.IO on one port. Its checks ask both at
once, so these clients do not ask the subject which dialect it is of.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from tests.harness.device import Device
from tests.harness.door import MEMBER, User
from tests.harness.exchange import Exchange
from tests.harness.member import Envelope, short
from tests.harness.peer import Peer, Response
from tests.harness.socketio_peer import SocketMember, WebSocketPeer
from tests.harness.subject import Process, Subject
from tests.harness.verdict import fail, require

ORDERS, RESERVATIONS, TELEMETRY = "board:orders", "board:reservations", "board:telemetry"
NATIVE, SOCKETIO = "native", "socketio"
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"')


@dataclass
class Place:
    """One server with a board, seen by the checks."""

    subject: Subject  # with the port of this server, and the record of the check
    process: Process | None = None

    def see(self, exchange: Exchange) -> Place:
        return Place(self.subject.seen(exchange), self.process)

    async def native(self, user: User = MEMBER, name: str = "", ticket: str = "") -> Device:
        """A native client of this user, welcomed."""
        name, subject = name or f"device-{secrets.token_hex(4)}", self.subject
        ticket = ticket or await self.ticket(user)
        peer = Peer(subject.exchange)
        await peer.dial(subject.host, subject.port)
        response = await peer.request(f"/ws?client={name}&ticket={ticket}")
        require(response.status == 101, "a fresh ticket is refused", expected=101, got=response)
        await peer.welcome()
        return Device(peer, name)

    async def guest(self, user: User = MEMBER, name: str = "") -> SocketMember:
        """A Socket.IO client of this user, let in."""
        subject = self.subject
        peer = WebSocketPeer(subject.exchange, subject.exchange.next_name())
        await peer.dial(subject.host, subject.port)
        auth = {"token": await self.token(user), "client": name or f"guest-{secrets.token_hex(4)}"}
        packet = await peer.enter(json.dumps(auth))
        require(packet[:3] == "40{", "a guest is not let in", expected="40{…}", got=packet[:200])
        return SocketMember(peer)

    async def ticket(self, user: User) -> str:
        door, subject = self.subject.door, self.subject
        return await door.ticket(subject.host, subject.port, user) or fail("nobody can log in")

    async def token(self, user: User) -> str:
        door, subject = self.subject.door, self.subject
        token = await door.token(subject.host, subject.port, door.who(user))
        return token or fail("nobody can log in")

    async def snapshot(self, channel: str) -> dict[str, Any]:
        """The state of a channel, and its position."""
        response = await self.subject.http("GET", f"/api/channels/{channel}/snapshot")
        require(response.status == 200, "GET …/snapshot fails", expected=200, got=response)
        said = json.loads(response.body)
        right = isinstance(said.get("state"), dict) and type(said.get("seq")) is int
        require(right, "the snapshot is wrong", expected='{"epoch","seq","state"}', got=short(said))
        return dict(said)

    async def metrics(self) -> Metrics:
        return Metrics(await self.subject.http("GET", "/metrics"))


class Metrics:
    """GET /metrics, read as Prometheus does: text format 0.0.4. `fail()` if it is none."""

    def __init__(self, response: Response) -> None:
        require(response.status == 200, "GET /metrics fails", expected=200, got=response)
        kind = response.headers.get("content-type", "")
        require(
            kind.startswith("text/plain") and "0.0.4" in kind,
            "the Content-Type is not that of Prometheus' text format",
            expected="text/plain; version=0.0.4",
            got=kind,
        )
        text = response.body.decode()
        require(text.endswith("\n"), "the last line of /metrics has no line feed", got=text[-40:])
        self.values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self.types: dict[str, str] = {}
        for line in text.splitlines():
            self._read(line)

    def _read(self, line: str) -> None:
        if line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            require(name not in self.types, "a metric has two TYPE lines", got=line)
            self.types[name] = kind
        if not line or line.startswith("#"):
            return
        sample = SAMPLE.fullmatch(line)
        if sample is None:
            fail("a line of /metrics is no sample", expected='name{label="value"} 1', got=line)
        name, labels, value = sample[1], sample[2] or "", sample[3]
        pairs = tuple(sorted(LABEL.findall(labels)))
        rebuilt = ",".join(f'{label}="{said}"' for label, said in LABEL.findall(labels))
        require(labels.rstrip(",") == rebuilt, "the labels of a sample", got=line)
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        known = name in self.types or family in self.types
        require(known, "a sample comes before its TYPE line", expected=f"# TYPE {name} …", got=line)
        require((name, pairs) not in self.values, "a sample comes twice", got=line)
        try:
            self.values[name, pairs] = float(value)
        except ValueError:
            fail("the value of a sample is no number", got=line)

    def get(self, name: str, **labels: str) -> float:
        """One value; `fail()` if it is not there."""
        key = name, tuple(sorted(labels.items()))
        if key not in self.values:
            fail("/metrics lacks a number", expected=f"{name}{labels or ''}", got=self.names())
        return self.values[key]

    def names(self) -> str:
        return ", ".join(sorted({name for name, _ in self.values}))


@contextlib.asynccontextmanager
async def place_with(program: Subject, **settings: str) -> AsyncIterator[Place]:
    """One more run of the program with these settings."""
    program.need_process()
    async with program.new_process(**settings).up() as process:
        subject = program.seen(Exchange())
        subject.host, subject.port = "127.0.0.1", process.port
        yield Place(subject, process)


async def join(member: Device | SocketMember, channel: str, since: object = None) -> Envelope:
    """Subscribe; what `subscribed` says."""
    reply = await member.ask(
        "subscribe", {"channel": channel} | ({"since": since} if since else {})
    )
    data = reply.get("data")
    if reply.get("type") != "subscribed" or not isinstance(data, dict):
        fail("subscribe is not granted", expected='{"type":"subscribed",…}', got=short(reply))
    return data


def done(reply: Envelope, id: object = None, status: str = "") -> Envelope:
    """What an action's reply says; `fail()` if it is refused, or says something else."""
    data = reply.get("data") if isinstance(reply.get("data"), dict) else {}
    assert isinstance(data, dict)
    right = reply.get("type") != "error" and data.get("status") == status
    right = right and (isinstance(data.get("id"), str) if id is None else data.get("id") == id)
    expected = f'{{"id":{json.dumps(id) if id else "…"},"status":"{status}"}}'
    require(right, "an action is answered otherwise", expected=expected, got=short(reply))
    return data
