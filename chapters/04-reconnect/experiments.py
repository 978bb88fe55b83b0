"""Experiments: the ends of a connection, to order. For a lesson only: no real server has this.

POST /api/cut {"code": 1012} closes every connection with that code; without a code, it resets them,
as a crash does. With {"awaySeconds": 5} new handshakes then get 503 for that long: a restart.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from closing import SOCKETS
from serving import check_origin

LONGEST = 60.0  # seconds a server may pretend to be away
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: TCP ends with RST in place of FIN

away_until = 0.0  # in the event loop's time


async def cut(request: web.Request) -> web.Response:
    """Cut every connection: the caller's own, and those of all others."""
    global away_until
    check_origin(request)
    try:
        wish = await request.json()
        code, away = wish.get("code"), float(wish.get("awaySeconds", 0))
        if not (code is None or 1000 <= int(code) <= 4999) or not 0 <= away <= LONGEST:
            raise ValueError
    except (ValueError, TypeError, AttributeError) as error:
        raise web.HTTPBadRequest(reason="code is a close code, awaySeconds 0 to 60") from error
    away_until = asyncio.get_running_loop().time() + away
    sockets = [one for one in SOCKETS if not one.transport.is_closing()]
    for one in sockets:
        if code is not None:
            await one.say_goodbye(int(code), b"you asked for it")
        else:
            tcp = one.transport.get_extra_info("socket")
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            one.transport.abort()
    return web.json_response({"cut": len(sockets)})


def unless_away(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler, or 503 for as long as the server pretends to be away."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if asyncio.get_running_loop().time() < away_until:
            raise web.HTTPServiceUnavailable(reason="away, as you asked")
        return await handler(request)

    return answer
