"""The door of a server that asks for a ticket: how the clients of every check get in.

Where a chapter says `entry = "ticket"`, each handshake needs one; where it says "token", the `40`
of Socket.IO does. A check of frames or rooms should not have to know: its peers fetch it on the
way. A server without a login is entered as it is.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.harness import peer as peers
from tests.harness.exchange import Exchange
from tests.harness.verdict import NotAsked, fail


@dataclass(frozen=True)
class User:
    name: str
    password: str
    role: str

    def __str__(self) -> str:
        return f"{self.name}:{self.password}:{self.role}"


MEMBER = User("member", "dovetail-lantern", "user")  # who opens the WebSockets
ADMIN = User("admin", "granite-harbour", "admin")  # who asks REST: business code, say
VISITOR = User("visitor", "window-october", "user")  # for what would disturb the member
DEFAULT_USERS = "alice:wonderland:admin,bob:builder:user"  # of a server that is running already
OPEN = {"/api/ping", "/api/login"}  # what nobody needs a token for
# Other checks open hundreds of connections and send thousands of messages.
ROOMY = {
    "MAX_CONNECTIONS_PER_IP": "100000",
    "MAX_CONNECTIONS_PER_USER": "100000",
    "MESSAGE_RATE": "1000000",
    "MESSAGE_BURST": "1000000",
    "MAX_STRIKES": "1000000",
    "LOGIN_ATTEMPTS": "100000",
}


class Door:
    """Logs in once for each server and user, and fetches a ticket for each handshake."""

    environment: ClassVar[dict[str, str]] = {**ROOMY, "USERS": f"{MEMBER},{ADMIN},{VISITOR}"}

    def __init__(self, path: str, users: str = "") -> None:
        self.path = path  # of the WebSocket
        self.people = chosen(users) if users else {user: user for user in (MEMBER, ADMIN, VISITOR)}
        self.tokens: dict[tuple[int, str], tuple[str | None, float]] = {}
        self.turn = asyncio.Lock()  # one ticket after the other, each used before many wait

    def who(self, user: User) -> User:
        """Who plays this part with the server under check. Raises NotAsked."""
        if user not in self.people:
            raise NotAsked(f"USERS names nobody who could be the {user.name}")
        return self.people[user]

    async def let_in(
        self, host: str, port: int, path: str, headers: dict[str, str] | None
    ) -> tuple[str, dict[str, str]]:
        """The path and the headers with what the server wants to see, unless it is there."""
        bare, _, query = path.partition("?")
        if bare == self.path and "ticket=" not in query:
            ticket = await self.ticket(host, port)
            if ticket is None:
                return path, {}
            return f"{path}{'&' if query else '?'}ticket={ticket}", {}
        if bare.startswith("/api/") and bare not in OPEN and "Authorization" not in (headers or {}):
            token = await self.token(host, port, self.who(ADMIN))
            return path, {"Authorization": f"Bearer {token}"} if token else {}
        return path, {}

    async def auth(self, host: str, port: int) -> str:
        """What stands behind the `40` of a Socket.IO client that says nothing itself."""
        async with self.turn:
            token = await self.token(host, port, self.who(MEMBER))
        return json.dumps({"token": token}) if token else ""

    async def ticket(self, host: str, port: int, user: User | None = None) -> str | None:
        """A fresh ticket, the member's unless it is for another; None where there is no login."""
        user = self.who(user or MEMBER)
        async with self.turn:
            for attempt in (1, 2):
                token = await self.token(host, port, user)
                if token is None:
                    return None
                status, said = await post(
                    host, port, "/api/ticket", headers={"Authorization": f"Bearer {token}"}
                )
                if status == 200 and isinstance(said.get("ticket"), str):
                    return str(said["ticket"])
                if attempt == 1:  # another server on the same port, perhaps
                    del self.tokens[port, user.name]
            fail(
                "POST /api/ticket with the token of the login gives no ticket, so nobody gets in",
                expected='200 {"ticket":…,"expiresIn":…}',
                got=f"{status} {json.dumps(said)[:200]}",
            )

    async def token(self, host: str, port: int, user: User) -> str | None:
        """A token that is good for a while yet; None where there is no login."""
        token, until = self.tokens.get((port, user.name), (None, 0.0))
        if until > time.monotonic():
            return token
        login = {"user": user.name, "password": user.password}
        status, said = await post(host, port, "/api/login", login)
        if status in (404, 405):
            token, seconds = None, 3600.0
        elif status == 200 and isinstance(said.get("accessToken"), str):
            token, seconds = said["accessToken"], float(said.get("expiresIn") or 0)
        else:
            fail(
                "POST /api/login with a right password fails, so nobody gets in",
                expected='200 {"accessToken":…,"expiresIn":…}',
                got=f"{status} {json.dumps(said)[:200]}",
            )
        self.tokens[port, user.name] = token, time.monotonic() + seconds / 2
        return token


def chosen(users: str) -> dict[User, User]:
    """Who plays which part, of those that `name:password:role,…` names."""
    known = []
    for part in users.split(","):
        name, _, rest = part.strip().partition(":")
        password, _, role = rest.rpartition(":")
        known.append(User(name, password, role))
    members = [user for user in known if user.role != ADMIN.role]
    admins = [user for user in known if user.role == ADMIN.role]
    return {
        **dict(zip((MEMBER, VISITOR), members, strict=False)),
        **dict(zip((ADMIN,), admins, strict=False)),
    }


async def post(
    host: str,
    port: int,
    path: str,
    said: object = None,
    *,
    headers: dict[str, str] | None = None,
    exchange: Exchange | None = None,
) -> tuple[int, dict[str, Any]]:
    """POST something as JSON on a connection of its own; the status and the answer's JSON object.

    It is on no record unless an `exchange` is given.
    """
    body = b"" if said is None else json.dumps(said).encode()
    peer = peers.Peer(exchange or Exchange())
    peer.door = None
    await peer.dial(host, port)
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    response = await peer.request(
        path, method="POST", upgrade=False, body=body, headers={**fields, **(headers or {})}
    )
    await peer.close()
    try:
        answer = json.loads(response.body or b"{}")
    except ValueError:
        answer = {}
    return response.status, answer if isinstance(answer, dict) else {}
