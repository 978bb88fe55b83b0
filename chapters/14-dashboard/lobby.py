"""The lobby: the Socket.IO namespace, where every guest comes in and every event is answered.

It is an adapter and decides nothing: an event becomes a message, answers.py answers it, and the
reply becomes the ack. A requestId stands beside the event's other data.
"""

import asyncio
import logging
from contextlib import ExitStack
from typing import Any

import socketio

from acks import ack, message, refusal, who
from answers import OUTBOXES, answer
from audit import note
from background import TASKS, background
from commands import Refused
from door import PER_USER
from engine import sio
from engines import INSIDE, look_later
from envelope import encode_error
from fanout import HUB
from guests import Guest
from limits import Full
from metrics import METRICS
from renewing import enter
from sessions import SESSIONS, Session, end_when_over

LOG = logging.getLogger("socketio")
GUESTS: dict[str, tuple[Guest, ExitStack]] = {}  # sid → who was let in, and what it holds


class Lobby(socketio.AsyncNamespace):
    async def trigger_event(self, event: str, *args: Any) -> Any:
        """The one door. No event of a client is called connect or disconnect: see packets.py."""
        if event == "connect":
            return await self.come(*args)
        if event == "disconnect":
            return self.go(*args)
        sid, data = args[0], args[1] if len(args) > 1 else None
        guest, _ = GUESTS.get(sid, (None, None))
        if guest is None or SESSIONS[guest].verdict:  # on its way out
            return ack(encode_error("unauthorized", "you are not in this namespace"))
        await guest.has_room()
        SESSIONS[guest].received += 1
        METRICS.received[guest.dialect] += 1
        METRICS.sent[guest.dialect] += 1  # its ack
        try:
            reply = await answer(guest, *message(event, data))
        except Exception:
            LOG.exception("the handler of %.40r failed", event)
            reply = encode_error("internal", "the server failed at this")
        guest.make_way()
        return ack(reply)

    async def come(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Let in or refuse, aloud: any other exception would leave the client in between."""
        ip, held = environ["aiohttp.request"].remote or "unknown", ExitStack()
        try:
            identity, client = who(auth)
            held.enter_context(PER_USER.one(identity.user))
        except Full:
            note("rate_limited", ip=ip, path="/socket.io/", reason="too many at once")
            raise refusal("rate_limited", "too many at once") from None
        except Refused as refused:
            note("auth_failed", ip=ip, path="/socket.io/", reason=str(refused))
            raise refusal(refused.code, str(refused)) from None
        guest = Guest(sid)
        session = SESSIONS[guest] = Session(identity, ip, client)
        GUESTS[sid] = guest, held
        INSIDE.add(guest.engine_sid)
        background(self.stay(guest, session))

    async def stay(self, guest: Guest, session: Session) -> None:
        """From its `40` to its end."""
        if guest.sid not in GUESTS:
            return  # it has left already
        held = GUESTS[guest.sid][1]
        enter(guest, session.identity)  # the `40` is out: what is told now comes after it
        session.note("connect")
        METRICS.came(guest.dialect, session.owner)
        ending = asyncio.create_task(end_when_over(guest, session))
        sending = asyncio.create_task(OUTBOXES.send_to(session.client, guest))
        TASKS.add(ending)
        ending.add_done_callback(TASKS.discard)
        held.callback(lambda: session.verdict or ending.cancel())  # a goodbye is said to its end
        held.callback(sending.cancel)
        held.callback(METRICS.went, guest.dialect)
        held.callback(HUB.leave_all, guest)

    def go(self, sid: str, reason: str) -> None:
        if sid not in GUESTS:
            return
        guest, held = GUESTS.pop(sid)
        INSIDE.discard(guest.engine_sid)
        held.close()
        session = SESSIONS.pop(guest)
        session.note_end(reason)
        if reason == sio.reason.PING_TIMEOUT:
            guest.cut()
        look_later(guest.engine_sid)  # whoever left the namespace alone still holds an engine
