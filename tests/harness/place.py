"""A place to knock at: a server with a door, seen by strangers and by users who have logged in.

What the checks of security stand on. Nobody fetches a ticket for these clients: they do it
themselves, or come without.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.again import ask_again
from tests.harness.door import ADMIN, User, post
from tests.harness.exchange import Exchange
from tests.harness.peer import Peer, Response
from tests.harness.subject import Process, Subject
from tests.harness.verdict import fail, require


@dataclass
class Place:
    """A program to knock at: the subject's own process, or one with settings of its own."""

    subject: Subject
    port: int
    exchange: Exchange = field(default_factory=Exchange)
    process: Process | None = None
    log: Path = Path()

    async def knock(self, query: str = "", **request: Any) -> tuple[Peer, Response]:
        """A handshake by a stranger: nobody fetches a ticket for them."""
        peer = Peer(self.exchange)
        peer.door = None
        await peer.dial(self.subject.host, self.port)
        return peer, await peer.request(f"{self.subject.path}{query}", **request)

    def who(self, user: User) -> User:
        return self.subject.door.who(user)

    async def ticket(self, user: User) -> str:
        ticket = await self.subject.door.ticket(self.subject.host, self.port, user)
        return ticket or fail("there is no POST /api/login, so there are no tickets")

    async def token(self, user: User) -> str:
        token = await self.subject.door.token(self.subject.host, self.port, self.who(user))
        return token or fail("there is no POST /api/login, so there are no tokens")

    async def enter(self, user: User) -> Peer:
        """A connection of this user, welcomed."""
        peer, response = await self.knock(f"?ticket={await self.ticket(user)}")
        require(response.status == 101, "a fresh ticket is refused", expected=101, got=response)
        await peer.welcome()
        return peer

    async def post(
        self, path: str, said: object = None, *, token: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await post(
            self.subject.host, self.port, path, said, headers=headers, exchange=self.exchange
        )

    async def login(self, user: str, password: str) -> tuple[int, dict[str, Any]]:
        return await self.post("/api/login", {"user": user, "password": password})

    async def quiet(self) -> None:
        """Wait until nobody is connected any more: earlier checks have just left."""
        token = await self.token(ADMIN)

        async def connected() -> int:
            peer = Peer(Exchange())
            peer.door = None
            await peer.dial(self.subject.host, self.port)
            response = await peer.request(
                "/api/stats", upgrade=False, headers={"Authorization": f"Bearer {token}"}
            )
            await peer.close()
            return int(json.loads(response.body)["connections"]) if response.status == 200 else 0

        if await ask_again(connected, lambda number: number == 0, 5):
            fail("GET /api/stats still counts connections that have ended")


def at(subject: Subject) -> Place:
    """The subject's own process."""
    return Place(subject, subject.port, subject.exchange)


def secret(subject: Subject) -> str:
    """What the program signs its tokens with. Raises NotAsked where we did not say it."""
    subject.need_process()
    return subject.environment["JWT_SECRET"]


async def ask(peer: Peer, kind: str, data: object, request_id: str = "q") -> dict[str, Any]:
    """Ask, and return the reply; what else comes meanwhile is passed over."""
    await peer.send_json({"type": kind, "data": data, "requestId": request_id})
    while True:
        reply = await peer.json(f"the reply to {kind}")
        if reply.get("requestId") == request_id:
            return reply


def is_error(reply: dict[str, Any], code: str, what: str) -> None:
    data = reply.get("data")
    got = data.get("code") if reply.get("type") == "error" and isinstance(data, dict) else None
    shown = json.dumps(reply, ensure_ascii=False)[:200]
    require(got == code, what, expected=f"an error {code}", got=shown)


async def hears_nothing(peer: Peer, what: str) -> None:
    """The next thing that comes is the answer to a ping: nothing was before it."""
    await peer.send_json({"type": "ping", "requestId": "nothing-before"})
    got = await peer.json("the pong")
    require(got.get("type") == "pong", what, expected="nothing", got=json.dumps(got)[:200])


@contextlib.asynccontextmanager
async def place_with(subject: Subject, **settings: str) -> AsyncIterator[Place]:
    """One more run of the program with these settings, and an audit log."""
    subject.need_process()
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        log = Path(folder) / "audit.log"
        process = subject.new_process(AUDIT_LOG=str(log), **settings)
        async with process.up():
            yield Place(subject, process.port, process=process, log=log)
