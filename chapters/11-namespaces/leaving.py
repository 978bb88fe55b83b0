"""Leaving: the ends that the server decides on, and what each of them means to the client.

`41` is final: a browser's client stays away after it, so it is for who logged out or was thrown
out. A transport that is closed is an accident: the client comes back, with a new token in `auth`.
"""

import asyncio
from collections import Counter
from typing import Any

from audit import note
from background import background
from engine import hang_up, sio
from instances import manager
from middleware import Visitor
from settings import HANDSHAKE_SECONDS, MAX_STRIKES
from tokens import Identity

NONSENSE, TOO_LATE, EXPIRED = 4400, 4408, 4410  # close codes: stop · again · with a new token
LONGEST_SLEEP = 30.0  # seconds: somebody may set the clock that `exp` is read on


class Leaving:
    """Part of a guarded namespace."""

    namespace: str
    visitors: dict[str, Visitor]

    def end_with_the_token(self, visitor: Visitor) -> None:
        """A token is judged at the door, once; its client could stay for days. Look again."""
        left = visitor.identity.seconds_left
        loop = asyncio.get_running_loop()
        self.forget_the_token(visitor)
        if left <= 0:
            visitor.note("expired")
            session = sio.manager.eio_sid_from_sid(visitor.sid, self.namespace)
            background(hang_up(session, EXPIRED, "the token has expired"))
            return
        delay = min(left, LONGEST_SLEEP)
        TIMERS[visitor.sid] = loop.call_later(delay, self.end_with_the_token, visitor)

    def forget_the_token(self, visitor: Visitor) -> None:
        if timer := TIMERS.pop(visitor.sid, None):
            timer.cancel()

    def renew(self, visitor: Visitor, identity: Identity) -> None:
        visitor.identity = identity
        self.end_with_the_token(visitor)

    async def dismiss(self, visitor: Visitor, code: str, reason: str) -> None:
        """Say why, then `41`: the client will not come back by itself."""
        told = {"code": code, "reason": reason}
        session = sio.manager.eio_sid_from_sid(visitor.sid, self.namespace)
        here = {"to": visitor.sid, "namespace": self.namespace, "ignore_queue": True}
        await sio.emit("session:ended", told, **here)
        await sio.disconnect(visitor.sid, self.namespace)
        look_later(session)  # the engine is still open

    async def dismiss_user(self, user: str, code: str, reason: str) -> int:
        """Every client of this user, at this instance; returns how many."""
        theirs = [one for one in self.visitors.values() if one.identity.user == user]
        for visitor in theirs:
            await self.dismiss(visitor, code, reason)
        return len(theirs)


TIMERS: dict[str, asyncio.TimerHandle] = {}  # sid → when its token ends


async def announce(visitor: Visitor, change: str, **more: Any) -> None:
    """All admins hear who comes and who goes: namespaces share a server, and no room."""
    said = {**visitor.identity.public, "change": change, **more}
    alone = manager is not None and not manager.healthy  # then do not wait for the bus
    to = {"to": "role:admin", "namespace": "/admin", "ignore_queue": alone}
    await sio.emit("admin:presence", said, **to)


def look_later(session: str) -> None:
    """An engine costs memory and a heartbeat. Who has entered no namespace in time, loses it."""

    def look() -> None:
        namespaces = list(sio.manager.get_namespaces())
        inside = any(sio.manager.sid_from_eio_sid(session, name) for name in namespaces)
        if session in sio.eio.sockets and not inside:
            note("auth_failed", reason="entered no namespace in time")
            background(hang_up(session, TOO_LATE, "no namespace in time"))

    asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, look)


def watch_engines(addresses: dict[str, str]) -> None:
    """Keep book of the engines: from which address each comes, and whether it gets anywhere."""
    library = dict(sio.eio.handlers)
    strikes: Counter[str] = Counter()

    async def opened(session: str, environ: dict[str, Any]) -> Any:
        addresses[session] = environ["aiohttp.request"].remote or "unknown"
        look_later(session)
        return await library["connect"](session, environ)

    async def message(session: str, data: Any) -> Any:
        """The library logs a packet that is none, and keeps its sender: no rule sees it."""
        try:
            return await library["message"](session, data)
        except Exception:
            strikes[session] += 1
            if strikes[session] == MAX_STRIKES:
                background(hang_up(session, NONSENSE, "too many packets that are none"))
            raise

    async def closed(session: str, reason: str) -> Any:
        addresses.pop(session, None)
        strikes.pop(session, None)
        return await library["disconnect"](session, reason)

    sio.eio.on("connect", opened)
    sio.eio.on("message", message)
    sio.eio.on("disconnect", closed)
