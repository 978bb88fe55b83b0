"""A handler that blocks the event loop: while one client is served, everybody waits.

Run as a program it is the server: python -m course.labs.blocked_handler PORT blocking|threads
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from course import tools
from course.labs.stage import PAGE, Scene, page_opens, program

FINDS = "answer.slow"
SHOWS = "pong after 1."
WORK = 1.4  # seconds that a report takes


async def handle(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Origin") not in (None, PAGE):
        raise web.HTTPForbidden
    socket = web.WebSocketResponse(heartbeat=20)
    await socket.prepare(request)
    reports: set[asyncio.Task[None]] = set()
    async for message in socket:
        if request.app["blocking"]:
            time.sleep(WORK)  # noqa: ASYNC251  # the mistake
            await socket.send_str(message.data)
        else:
            task = asyncio.create_task(report(socket, message.data))
            reports.add(task)
            task.add_done_callback(reports.discard)
    for task in list(reports):
        task.cancel()
    return socket


async def report(socket: web.WebSocketResponse, data: str) -> None:
    """The cure: the work is done in a thread, and the loop goes on reading."""
    await asyncio.to_thread(time.sleep, WORK)
    if not socket.closed:
        await socket.send_str(data)


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    port = tools.free_port()
    how = "threads" if cured else "blocking"
    command = (sys.executable, "-m", "course.labs.blocked_handler", str(port), how)
    async with program(*command):
        url = f"ws://127.0.0.1:{port}/ws"

        async def symptom() -> list[tuple[str, str]]:
            busy, other = await page_opens(url), await page_opens(url)
            assert not isinstance(busy, tuple), busy
            assert not isinstance(other, tuple), other
            async with busy, other:
                await busy.send("report")
                await asyncio.sleep(0.1)
                began = time.monotonic()
                await (await other.ping())
                took = time.monotonic() - began
            return [("another client", f"pong after {took:.1f} s, though it asked for nothing")]

        yield Scene(url, symptom)


def main(port: str, how: str) -> None:
    app = web.Application()
    app["blocking"] = how == "blocking"
    app.router.add_get("/ws", handle)
    started = f"listening on {port}"
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(port),
        access_log=None,
        shutdown_timeout=0.1,
        print=lambda *_: print(started, flush=True),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
