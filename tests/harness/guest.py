"""Guests: Socket.IO clients with a token of their own, in as many namespaces as they like.

One engine carries all namespaces of a client. What comes is sorted by namespace: acks are handed to
who asked, everything else waits in its order.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.harness import tokens
from tests.harness.door import User
from tests.harness.peer import CLOSE, WITHIN
from tests.harness.place import secret
from tests.harness.socketio_peer import SocketPeer
from tests.harness.subject import Subject
from tests.harness.verdict import CheckFailure, fail, require

PACKET = re.compile(r"4([0-6])(?:(/[^,]*),?)?(\d*)(.*)", re.DOTALL)
CONNECT, DISCONNECT, EVENT, ACK, REFUSED = "0", "1", "2", "3", "4"


@dataclass(frozen=True)
class Packet:
    """One packet of Socket.IO, read."""

    kind: str
    namespace: str
    number: int | None
    data: Any
    text: str  # as it came

    @property
    def name(self) -> str:
        return str(self.data[0]) if self.kind == EVENT else ""

    @property
    def said(self) -> dict[str, Any]:
        """The one argument of an event or an ack, or the body of another packet."""
        data = self.data
        if self.kind in (EVENT, ACK) and isinstance(data, list):
            data = data[-1] if data else None
        return data if isinstance(data, dict) else {}

    @property
    def code(self) -> Any:
        """Why a client was not let in."""
        data = self.said.get("data")
        return data.get("code") if self.kind == REFUSED and isinstance(data, dict) else None

    def __str__(self) -> str:
        return self.text[:200]


def read_packet(text: str) -> Packet:
    found = PACKET.fullmatch(text)
    try:
        require(found, "a packet comes that is none of Socket.IO's", got=text[:200])
        assert found is not None
        data = json.loads(found[4]) if found[4] else None
    except ValueError:
        fail("a packet holds no JSON", got=text[:200])
    number = int(found[3]) if found[3] else None
    return Packet(found[1], found[2] or "/", number, data, text)


class Guest:
    """One client. It answers what the server asks with what `answers` says, if that is set."""

    def __init__(self, subject: Subject, peer: SocketPeer) -> None:
        self.subject = subject
        self.peer = peer
        self.number = 0
        self.told_to_close = False  # by a packet of the engine's
        self.waiting: deque[Packet] = deque()  # came, and not yet asked for
        self.presence: deque[dict[str, Any]] = deque()  # who came and went, as admins hear
        self.gaps = 0  # how often the server has said that events may be missing
        self.acks: dict[int, Packet] = {}
        self.answers: Callable[[Packet], str] | None = None  # what stands in the ack: "[1,2]"

    async def send(self, packet: str) -> None:
        await self.peer.send_packets(packet)

    async def take(self, expecting: str, within: float = WITHIN) -> None:
        text = await self.peer.packet(expecting, within)
        if text == "6":  # a poll that ends with nothing in it
            return
        packet = read_packet(text)
        if packet.kind == ACK and packet.number is not None:
            self.acks[packet.number] = packet
            return
        if packet.name == "session:gap":
            self.gaps += 1
            return
        if packet.name == "admin:presence":
            self.presence.append(packet.said)
            return
        self.waiting.append(packet)
        if packet.kind == EVENT and packet.number is not None and self.answers:
            await self.send(f"43{prefix(packet.namespace)}{packet.number}{self.answers(packet)}")

    async def next(self, expecting: str, within: float = WITHIN) -> Packet:
        """The next packet that is no ack."""
        while not self.waiting:
            await self.take(expecting, within)
        return self.waiting.popleft()

    async def event(self, name: str, within: float = WITHIN) -> dict[str, Any]:
        """The next packet, which has to be this event; its argument."""
        packet = await self.next(f'42["{name}",…]', within)
        require(packet.name == name, "another packet comes", expected=f'42["{name}",…]', got=packet)
        return packet.said

    async def until(self, name: str, within: float = WITHIN, **fields: Any) -> dict[str, Any]:
        """The next event of this name with these fields; what comes before it is passed over."""
        while True:
            packet = await self.next(f'42["{name}",{json.dumps(fields)}…]', within)
            if packet.name == name and packet.said | fields == packet.said:
                return packet.said

    async def until_presence(self, user: str, change: str) -> dict[str, Any]:
        """Hear that this user came or went."""
        while True:
            while not self.presence:
                await self.take(
                    f'42/admin,["admin:presence",{{"user":"{user}","change":"{change}"}}]'
                )
            said = self.presence.popleft()
            if said.get("user") == user and said.get("change") == change:
                return said

    async def hears_nothing(self, because: str) -> None:
        """Nothing has come, nor comes before the ack of a ping that is sent now."""
        await self.ask("app:ping")
        if self.waiting:
            fail(f"something comes, though {because}", expected="nothing", got=self.waiting[0])

    # Namespaces

    async def knock(self, namespace: str = "/", auth: object = None) -> Packet:
        """Ask to be let in, and return the answer: `40…` or `44…`."""
        space = "" if namespace == "/" else f"{namespace},"
        await self.send(f"40{space}{'' if auth is None else json.dumps(auth)}")
        packet = await self.next(f"40{space}{{…}} or 44{space}{{…}}")
        right = packet.kind in (CONNECT, REFUSED) and packet.namespace == namespace
        about = f"the `40` of {namespace} is not answered"
        require(right, about, expected=f"40{space}… or 44{space}…", got=packet)
        return packet

    async def enter(self, namespace: str = "/", **auth: Any) -> None:
        """Ask, and be let in."""
        packet = await self.knock(namespace, auth)
        what = f"a right token is refused at {namespace}"
        require(packet.kind == CONNECT, what, expected="40…", got=packet)

    async def refused(self, namespace: str, auth: object, code: str, about: str) -> None:
        """Ask, and be refused with this code."""
        packet = await self.knock(namespace, auth)
        expected = f'44…{{"message":…,"data":{{"code":"{code}"}}}}'
        what = f"{about}: {namespace} answers wrongly"
        require(packet.kind == REFUSED and packet.code == code, what, expected=expected, got=packet)
        in_words = isinstance(packet.said.get("message"), str) and packet.said["message"]
        require(in_words, "a refusal says in words what is wrong", expected=expected, got=packet)

    # Events

    async def emit(self, name: str, *data: object, namespace: str = "/") -> int:
        self.number += 1
        event = json.dumps([name, *data])
        await self.send(f"42{prefix(namespace)}{self.number}{event}")
        return self.number

    async def ack(self, number: int, about: str, within: float = WITHIN) -> dict[str, Any]:
        while number not in self.acks:
            await self.take(f"43…{number}[…], the ack of {about}", within)
        answer = self.acks.pop(number).data
        right = isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], dict)
        right = right and answer[0].get("ok") in (True, False)
        expected = '[{"ok":true,"data":…}] or [{"ok":false,"error":…}]'
        require(right, f"the ack of {about} is of another form", expected=expected, got=answer)
        return dict(answer[0])

    async def ask(self, name: str, *data: object, namespace: str = "/") -> Any:
        """Emit, and be granted it; what the ack's data says."""
        answer = await self.ack(await self.emit(name, *data, namespace=namespace), name)
        require(answer["ok"] is True, f"{name} is not granted", expected='{"ok":true}', got=answer)
        return answer.get("data")

    async def denied(self, name: str, *data: object, code: str, namespace: str = "/") -> None:
        """Emit, and get an ack with an error of this code."""
        answer = await self.ack(await self.emit(name, *data, namespace=namespace), name)
        is_error(answer, code, name)

    async def close(self) -> None:
        await self.peer.send(CLOSE, (1000).to_bytes(2))
        await self.peer.close()

    async def until_end(self, within: float) -> list[Packet]:
        """What comes until the engine ends; `fail()` if it does not."""
        heard: list[Packet] = []
        until = asyncio.get_running_loop().time() + within
        while (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                text = await self.peer.packet("the end of the connection", left)
            except CheckFailure as failure:
                if failure.got == "nothing":
                    break
                return heard
            if text == "1":
                self.told_to_close = True
                return heard
            if text != "6":
                heard.append(read_packet(text))
        fail("the connection does not end", expected=f"its end within {within:g} s", got="nothing")


def prefix(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"


def is_error(answer: dict[str, Any], code: str, about: str) -> dict[str, Any]:
    error = answer.get("error")
    right = answer.get("ok") is False and isinstance(error, dict) and error.get("code") == code
    right = right and isinstance(error, dict) and isinstance(error.get("message"), str)
    expected = f'{{"ok":false,"error":{{"code":"{code}","message":…}}}}'
    require(right, f"the ack of {about} is wrong", expected=expected, got=json.dumps(answer)[:200])
    assert isinstance(error, dict)
    return error


async def token_of(subject: Subject, user: User) -> str:
    """What POST /api/login gives this user."""
    token = await subject.door.token(subject.host, subject.port, subject.door.who(user))
    return token or fail("there is no POST /api/login, so there are no tokens")


def forged(subject: Subject, user: User, **changes: Any) -> str:
    """A token made by hand with the program's secret."""
    who = subject.door.who(user)
    return tokens.sign(tokens.claims(who.name, who.role, **changes), secret(subject))


async def stranger(subject: Subject, transport: str = "websocket") -> Guest:
    """A client whose engine is open, and who has entered nothing."""
    peer = await subject.socket(transport, entered=False)
    peer.door = None  # what this client says is the check's own
    await peer.open()
    peer.start_reading()
    return Guest(subject, peer)


async def guest(
    subject: Subject,
    user: User,
    *namespaces: str,
    transport: str = "websocket",
    channels: tuple[str, ...] = (),
    **auth: Any,
) -> Guest:
    """A client of this user in these namespaces, or in "/"."""
    new = await stranger(subject, transport)
    for namespace in namespaces or ("/",):
        await new.enter(namespace, token=await token_of(subject, user), **auth)
    for channel in channels:
        await new.ask("subscribe", {"channel": channel})
    return new
