"""Engines: what a Socket.IO client has before it has come in, and what becomes of those who do not.

An engine costs memory and a heartbeat, and asks for no token. So each takes a seat of its address,
has to be inside in time, and may not send nonsense for ever.
"""

import asyncio
from collections import Counter
from contextlib import ExitStack
from typing import Any

from aiohttp import web

from audit import note
from background import background
from door import BUSY_SECONDS, PER_IP, address, too_many
from engine import handle, sio
from settings import HANDSHAKE_SECONDS, MAX_STRIKES

INSIDE: set[str] = set()  # engines of those who were let in
HELD: dict[str, ExitStack] = {}  # engine → its seat
STRIKES: Counter[str] = Counter()  # engine → packets that are none


async def knock(request: web.Request) -> web.StreamResponse:
    """All of Engine.IO. A handshake without a free seat is refused before it has an effect."""
    if "sid" not in request.query and PER_IP.taken[address(request)] >= PER_IP.limit:
        raise too_many("too many at once", BUSY_SECONDS)
    return await handle(request)


def watch_engines() -> None:
    """Keep book of them: from the handshake to the end, and of each message."""
    library = dict(sio.eio.handlers)

    async def opened(engine_sid: str, environ: dict[str, Any]) -> Any:
        HELD[engine_sid] = ExitStack()
        HELD[engine_sid].enter_context(PER_IP.one(address(environ["aiohttp.request"])))
        look_later(engine_sid)
        return await library["connect"](engine_sid, environ)

    async def message(engine_sid: str, data: Any) -> Any:
        """The library logs a packet that is none, and keeps its sender."""
        try:
            return await library["message"](engine_sid, data)
        except Exception:
            STRIKES[engine_sid] += 1
            if STRIKES[engine_sid] == MAX_STRIKES:
                background(sio.eio.disconnect(engine_sid))
            raise

    async def closed(engine_sid: str, reason: str) -> Any:
        STRIKES.pop(engine_sid, None)
        if held := HELD.pop(engine_sid, None):
            held.close()
        return await library["disconnect"](engine_sid, reason)

    sio.eio.on("connect", opened)
    sio.eio.on("message", message)
    sio.eio.on("disconnect", closed)


def look_later(engine_sid: str) -> None:
    """Who is not inside in time, or has left the namespace and stays away, loses the engine."""

    def look() -> None:
        if engine_sid in sio.eio.sockets and engine_sid not in INSIDE:
            note("auth_failed", reason="did not come in in time")
            background(sio.eio.disconnect(engine_sid))

    asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, look)
