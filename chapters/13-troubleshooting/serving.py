"""Serving: what every aiohttp chapter needs around its own idea.

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


async def say_goodbye_to_all() -> None:
    """Tell every client 1001, going away: it may come back. Cut off who does not answer."""
    code, reason = WSCloseCode.GOING_AWAY, b"the server is stopping"
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            goodbyes = (socket.say_goodbye(code, reason) for socket in SOCKETS)
            await asyncio.gather(*goodbyes, return_exceptions=True)
            while not all(socket.transport.is_closing() for socket in SOCKETS):
                await asyncio.sleep(0.02)
    except TimeoutError:
        for socket in SOCKETS:
            socket.transport.abort()


async def serve(*routes: web.AbstractRouteDef) -> None:
    """Serve these routes until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = web.Application(middlewares=[errors_as_json])
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, HOST, PORT)
    try:
        await site.start()
    except OSError as error:
        reason = str(error).rpartition(": ")[2]
        sys.exit(f"cannot listen on {HOST}:{PORT}: {reason}. Try another port: PORT=8081")
    print(f"listening on http://{HOST}:{PORT}/ and ws://{HOST}:{PORT}/ws", flush=True)
    await stop.wait()
    await site.stop()  # nobody new; then goodbye, while aiohttp still reads what is answered
    await say_goodbye_to_all()
    await runner.cleanup()
