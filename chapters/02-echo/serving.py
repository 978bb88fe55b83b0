"""Serving: what every aiohttp chapter needs around its own idea. No chapter after this changes it.

The Origin check, errors as JSON, a start that fails with one line, an end that tells the clients.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, web

from closing import CLOSE_SECONDS, SOCKETS
from settings import ALLOWED_ORIGINS, HOST, PORT


def check_origin(request: web.Request) -> None:
    """Let in the pages we know, and programs that are no browser. aiohttp itself does not ask.

    A browser lets any page open a WebSocket to any server and sends the visitor's cookies along,
    so the server has to look, before it answers the handshake. Raises HTTPForbidden.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin not in ALLOWED_ORIGINS:
        raise web.HTTPForbidden(reason="Origin not allowed")


@web.middleware
async def errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A program asked, so the error is for a program: JSON in place of aiohttp's plain text."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        body = {"error": {"code": error.status, "message": error.reason}}
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.json_response(body, status=error.status, headers=headers)


async def say_goodbye_to_all(app: web.Application) -> None:
    """Tell every client 1001, going away: it may come back. Their handlers see to the rest."""
    code, reason = WSCloseCode.GOING_AWAY, b"the server is stopping"
    goodbyes = (socket.say_goodbye(code, reason) for socket in SOCKETS)
    await asyncio.wait_for(asyncio.gather(*goodbyes, return_exceptions=True), CLOSE_SECONDS)


async def serve(*routes: web.AbstractRouteDef) -> None:
    """Serve these routes until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = web.Application(middlewares=[errors_as_json])
    app.add_routes(routes)
    app.on_shutdown.append(say_goodbye_to_all)
    # shutdown_timeout: a handler whose client does not answer our close frame is cancelled then.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, PORT).start()
    except OSError as error:
        sys.exit(f"cannot listen on {HOST}:{PORT} ({error.strerror}); is it taken? Try PORT=8081")
    print(f"listening on http://{HOST}:{PORT}/ and ws://{HOST}:{PORT}/ws", flush=True)
    await stop.wait()
    await runner.cleanup()
