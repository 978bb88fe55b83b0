"""Serving: what every aiohttp chapter needs around its own idea. Chapters 8 and 11 in one.

The Origin check, errors as JSON, a start that fails with one line, and an end that tells the
clients of both dialects, after the values that wait for their deadline have gone out.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Middleware

from closing import CLOSE_SECONDS, SOCKETS
from engine import LIMIT, WEBSOCKETS, note_websocket, sio
from settings import ALLOWED_ORIGINS, HANDSHAKE_SECONDS, HOST, PORT

KEPT = ("Allow", "Retry-After", "WWW-Authenticate")  # the headers of an error that say what to do
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def check_origin(request: web.Request) -> None:
    """Let in the pages we know, and programs that are no browser. aiohttp itself does not ask.

    A browser lets any page open a WebSocket to any server and sends the visitor's cookies along,
    so the server has to look, before it answers the handshake. Raises HTTPForbidden.
    """
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
        headers = {name: error.headers[name] for name in KEPT if name in error.headers}
        return web.json_response(body, status=error.status, headers=headers)


async def say_goodbye_to_all() -> None:
    """Tell every client 1001, going away: it may come back. Cut off who does not answer."""
    code, reason = WSCloseCode.GOING_AWAY, b"the server is stopping"
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            goodbyes = [socket.say_goodbye(code, reason) for socket in SOCKETS]
            # Not Socket.IO's own farewell, `41`: its clients take that for good.
            guests = [socket.close(code=code, message=reason) for socket in WEBSOCKETS]
            await asyncio.gather(*goodbyes, *guests, return_exceptions=True)
            while not all(socket.transport.is_closing() for socket in SOCKETS):
                await asyncio.sleep(0.02)
    except TimeoutError:
        for socket in SOCKETS:
            socket.transport.abort()
        for request in list(WEBSOCKETS.values()):
            if request.transport is not None:
                request.transport.abort()


async def end_tasks() -> None:
    """Cancel what still runs, again if need be: a library may take it for a lost connection."""
    for _ in range(5):
        if not (left := asyncio.all_tasks() - {asyncio.current_task()}):
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CLOSE_SECONDS)


async def serve(
    routes: Iterable[web.AbstractRouteDef],
    *,
    guards: Iterable[Middleware],
    beside: Iterable[Callable[[], Coroutine[Any, Any, None]]],
    last_words: Callable[[], None],
) -> None:
    """Serve these routes until SIGINT or SIGTERM.

    `guards` judge every request; what runs `beside` runs as long as the server does, and should it
    fail in a way nobody knows, all ends; `last_words` go out before the clients are told goodbye.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = web.Application(middlewares=[errors_as_json, *guards])
    app.on_response_prepare.extend((note_websocket, sio.manager.note_websocket))
    app.add_routes(routes)
    # aiohttp's keep-alive limit holds for the first request of a connection too: whoever sends half
    # a request does not keep a place for the default of an hour. There is no access log, or every
    # ticket would stand in it. read_bufsize: a POST of Socket.IO packets is read when it is whole.
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=CLOSE_SECONDS,
        keepalive_timeout=HANDSHAKE_SECONDS,
        read_bufsize=max(LIMIT, 65536),
    )
    await runner.setup()
    site = web.TCPSite(runner, HOST, PORT)
    try:
        await site.start()
    except OSError as error:
        reason = str(error).rpartition(": ")[2]
        sys.exit(f"cannot listen on {HOST}:{PORT}: {reason}. Try another port: PORT=8081")
    print(f"listening on http://{HOST}:{PORT}/ and ws://{HOST}:{PORT}/ws", flush=True)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(work()) for work in beside]
        await stop.wait()
        await site.stop()  # nobody new; then goodbye, while aiohttp still reads what is answered
        last_words()
        await say_goodbye_to_all()
        for task in running:
            task.cancel()
    await sio.shutdown()  # its own tasks; it asks to be ended before the web server
    await runner.cleanup()
    await end_tasks()
