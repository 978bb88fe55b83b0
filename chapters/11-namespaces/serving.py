"""Serving: the start, the errors as JSON, and an end after which the clients come back.

Socket.IO's own farewell, the packet `41`, is final for a browser: it never returns after one. So
the WebSockets get the close code 1001, and who polls finds nobody for a while.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSCloseCode, web

from engine import CLOSE_SECONDS, LIMIT, WEBSOCKETS, note_websocket, sio
from settings import ALLOWED_ORIGINS, HOST, PORT

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def check_origin(request: web.Request) -> None:
    """For our own routes; the library does the same for its own. Raises HTTPForbidden."""
    origin = request.headers.get("Origin")
    if origin is not None and origin not in ALLOWED_ORIGINS:
        raise web.HTTPForbidden(reason="Origin not allowed")


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A program asked, so the error is for a program: JSON in place of aiohttp's plain text."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        body = {"error": {"code": error.status, "message": error.reason}}
        kept = ("Allow", "Retry-After", "WWW-Authenticate")
        headers = {name: error.headers[name] for name in kept if name in error.headers}
        return web.json_response(body, status=error.status, headers=headers)


async def say_goodbye_to_all() -> None:
    """Close with 1001, going away; cut off who does not answer."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            code, reason = WSCloseCode.GOING_AWAY, b"the server is stopping"
            goodbyes = [socket.close(code=code, message=reason) for socket in WEBSOCKETS]
            await asyncio.gather(*goodbyes, return_exceptions=True)
    except TimeoutError:
        for request in list(WEBSOCKETS.values()):
            if request.transport is not None:
                request.transport.abort()


async def end_tasks() -> None:
    """Cancel what still runs, again if need be: on its way through a library that tries again for
    ever a cancellation may be taken for one more lost connection.
    """
    for _ in range(5):
        if not (left := asyncio.all_tasks() - {asyncio.current_task()}):
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CLOSE_SECONDS)


async def serve(
    *routes: web.AbstractRouteDef,
    guards: list[Any],
    start: Callable[[web.Application], Awaitable[None]],
) -> None:
    """Serve these routes until SIGINT or SIGTERM; `guards` judge every request."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = web.Application(middlewares=[errors_as_json, *guards])
    app.on_startup.append(start)
    app.on_response_prepare.extend((note_websocket, sio.manager.note_websocket))
    app.add_routes(routes)
    # read_bufsize: a POST of packets has to fit, for it is read when it is all there.
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=CLOSE_SECONDS, read_bufsize=max(LIMIT, 65536)
    )
    await runner.setup()
    site = web.TCPSite(runner, HOST, PORT)
    try:
        await site.start()
    except OSError as error:
        reason = str(error).rpartition(": ")[2]
        sys.exit(f"cannot listen on {HOST}:{PORT}: {reason}. Try another port: PORT=8081")
    print(f"listening on http://{HOST}:{PORT}/ and Socket.IO on the same port", flush=True)
    await stop.wait()
    await site.stop()  # nobody new; then goodbye, while aiohttp still reads what is answered
    await say_goodbye_to_all()
    await sio.shutdown()  # its own tasks; it asks to be ended before the web server
    await runner.cleanup()
    await end_tasks()
