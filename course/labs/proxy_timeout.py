"""A proxy that cuts what is silent, before a server that has no heartbeat.

nginx waits 60 s if nothing is said; here it waits one second, so that you need not.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection

from course.doctor.visit import Options
from course.labs.stage import UPGRADE, WITHIN, Scene, nginx, page_opens, server

FINDS = "idle.cut"
ALSO = ("heartbeat.none",)
SHOWS = "close event: code 1006"
IDLE = 1  # seconds: proxy_read_timeout of the lab
WATCHED = 1.6  # seconds that the cured connection is watched


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    location = f"{UPGRADE}    proxy_read_timeout {IDLE}s;\n"
    heartbeat = IDLE * 0.4 if cured else None
    async with (
        server(heartbeat=heartbeat) as backend,
        nginx(backend.port, location=location) as port,
    ):
        url = f"ws://127.0.0.1:{port}/ws"

        async def symptom() -> list[tuple[str, str]]:
            connection = await page_opens(url)
            if isinstance(connection, tuple):
                return [connection]
            began = time.monotonic()
            lines = [("browser", "open event")]
            async with connection:
                await connection_ends(connection, WATCHED if cured else WITHIN)
                passed = time.monotonic() - began
                if connection.close_code is None:
                    return [*lines, ("browser", f"still open after {passed:.1f} s")]
            code = connection.close_code
            return [
                *lines,
                ("browser", f"close event: code {code}, after {passed:.1f} s of silence"),
            ]

        yield Scene(url, symptom, Options(heartbeat=4))


async def connection_ends(connection: ClientConnection, seconds: float) -> None:
    """Wait for the end of a connection, or for so long."""
    try:
        await asyncio.wait_for(connection.wait_closed(), seconds)
    except TimeoutError:
        pass
