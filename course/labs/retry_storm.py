"""A server that accepts and gives up at once, and a client that takes `open` for success.

It starts its backoff anew at each `open`, so it never waits. One client is enough for a storm.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from course.labs.stage import Scene, echo, page_opens, server

FINDS = "open.closed"
SHOWS = "connections in 1 s"
BASE, CAP = 0.1, 2.0  # seconds of the backoff
STABLE = 0.5  # seconds of an open connection after which the cured client calls it a success
FAILS = 3  # connections until the cured server has found its database again
STORM = 15  # connections of one client in a second that nobody calls a few


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    taken = 0

    async def handler(socket: web.WebSocketResponse) -> None:
        nonlocal taken
        taken += 1
        if cured and taken > FAILS:
            return await echo(socket)
        await socket.close(code=1011, message=b"no database")
        return None

    async with server(handler) as backend:
        url = backend.url()

        async def symptom() -> list[tuple[str, str]]:
            before, codes = taken, []
            try:
                async with asyncio.timeout(1):
                    attempt = 0
                    while True:
                        connection = await page_opens(url)
                        assert not isinstance(connection, tuple), connection
                        if not cured:
                            attempt = 0  # the mistake
                        async with connection:
                            began = asyncio.get_running_loop().time()
                            await connection.wait_closed()
                        codes.append(connection.close_code)
                        if asyncio.get_running_loop().time() - began > STABLE:
                            attempt = 0
                        await asyncio.sleep(wait(attempt) if attempt else 0)
                        attempt += 1
            except TimeoutError:
                pass
            count = taken - before
            if count < STORM:
                return [
                    (
                        "server log",
                        f"{count} connections in the first second, each after a longer wait",
                    )
                ]
            return [
                ("server log", f"{count} connections in 1 s, all of one client"),
                ("browser", f"close event: code {codes[-1]} no database, {len(codes)} times"),
            ]

        yield Scene(url, symptom)


def wait(attempt: int) -> float:
    """Full jitter: at most base × 2ⁿ seconds, at most the cap."""
    return random.uniform(0, min(CAP, BASE * 2.0**attempt))
