"""The guard: every client and every event of every namespace passes here, and gets an answer.

The base class of both namespaces. A connect goes through the namespace's checks, an event through
the rules of rules.py; what fails is a refusal with a code, or an ack with an error.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import socketio
from socketio.exceptions import ConnectionRefusedError

from audit import note
from background import background
from commands import Refused
from engine import sio
from leaving import Leaving
from middleware import Check, Knock, Visitor
from packets import NOT_AN_EVENT
from rules import TooFast, check_rules, struck_out
from slow import let_go, make_room

LOG = logging.getLogger("socketio")
AUTHED = "authed"  # everybody who was let in: to=None would reach those who were not, too
Command = Callable[[Visitor, Any], Awaitable[Any]]


class Guarded(socketio.AsyncNamespace, Leaving):
    """A namespace with checks at its door and a table of commands inside."""

    checks: tuple[Check, ...]
    commands: dict[str, Command]

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.visitors: dict[str, Visitor] = {}  # sid → who was let in

    async def came(self, visitor: Visitor) -> None:
        """It is in. What is emitted now comes after its `40`."""

    async def went(self, visitor: Visitor, reason: str) -> None:
        """It is gone, and out of its rooms."""

    async def trigger_event(self, event: str, *args: Any) -> Any:
        """The one door. No event of a client is called connect or disconnect: see packets.py."""
        if event == "connect":
            return await self.connect(*args)
        if event == "disconnect":
            return await self.leave(*args)
        sid, data = args[0], args[1] if len(args) > 1 else None
        visitor = self.visitors.get(sid)
        if visitor is None:  # on its way out
            return failure(Refused("unauthorized", "you are not in this namespace"))
        try:
            await make_room([sid], self.namespace)  # its acks wait in a queue too
            return await self.answer(visitor, event, data)
        except Refused as refused:
            if refused.code in ("forbidden", "rate_limited"):
                kind = "denied" if refused.code == "forbidden" else refused.code
                visitor.note_refusal(kind, name=event[:40], reason=str(refused))
            if struck_out(visitor):
                await self.dismiss(visitor, "rate_limited", "too many events, again and again")
            return failure(refused)
        except RecursionError:
            return failure(Refused("bad_message", "the message is nested too deeply"))
        except Exception:
            LOG.exception("the handler of %.40r failed", event)
            return failure(Refused("internal", "the server failed at this"))

    async def answer(self, visitor: Visitor, event: str, data: Any) -> dict[str, Any]:
        """Raises Refused."""
        check_rules(visitor, event)
        if event == NOT_AN_EVENT:
            raise Refused("bad_message", "an event is a list that begins with a name of yours")
        if event not in self.commands:
            raise Refused("unknown_type", f"there is no event {event[:40]!r}")
        return {"ok": True, "data": await self.commands[event](visitor, data)}

    async def connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Let in or refuse, aloud: any other exception would leave the client in between."""
        ip = environ["aiohttp.request"].remote or "unknown"
        knock = Knock(self.namespace, auth, self.visitors.values())
        try:
            for check in self.checks:
                await check(knock)
            await self.let_in(sid, ip, knock)
        except Refused as refused:
            kind = {"forbidden": "denied", "rate_limited": "rate_limited"}
            user = knock.identity.user if knock.identity else None
            about = {"ip": ip, "namespace": self.namespace, "user": user}
            note(kind.get(refused.code, "auth_failed"), **about, reason=str(refused))
            raise ConnectionRefusedError(str(refused), {"code": refused.code}) from None
        except Exception:
            LOG.exception("the connect handler failed")
            raise ConnectionRefusedError("the server failed", {"code": "internal"}) from None

    async def let_in(self, sid: str, ip: str, knock: Knock) -> None:
        """Nothing after the first room may wait: until the `40` is out, no event may reach it."""
        assert knock.identity is not None
        # A new one, whole: the library's session belongs to the engine, and outlives a 41.
        await self.save_session(sid, {})
        visitor = Visitor(sid, self.namespace, ip, knock.identity, knock.since)
        self.visitors[sid] = visitor
        self.end_with_the_token(visitor)
        for room in (AUTHED, *visitor.rooms):
            await self.enter_room(sid, room)
        visitor.note("connect")
        background(self.came(visitor))

    async def leave(self, sid: str, reason: str) -> None:
        if (visitor := self.visitors.pop(sid, None)) is None:
            return
        self.forget_the_token(visitor)
        seconds = round(time.monotonic() - visitor.began, 3)
        visitor.note("disconnect", reason=reason, seconds=seconds, refused=visitor.refused)
        if reason == sio.reason.PING_TIMEOUT:
            let_go(sid, self.namespace)
        await self.went(visitor, reason)


def failure(refused: Refused) -> dict[str, Any]:
    """What an ack says when the event was not granted."""
    error: dict[str, Any] = {"code": refused.code, "message": str(refused)}
    if isinstance(refused, TooFast):
        error |= {"retryAfter": refused.wait}
    return {"ok": False, "error": error}
