"""A message over the server's limit: it ends with 1009, and the client sends the message again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.exceptions import ConnectionClosed

from course.doctor.visit import Options
from course.labs.stage import Scene, page_opens, server

FINDS = "size.too_big"
SHOWS = "code 1009"
SIZE = 100_000  # bytes of the client's message
LIMIT = 65_536  # of the server, before the cure


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    async with server(limit=2 * SIZE if cured else LIMIT) as backend:

        async def symptom() -> list[tuple[str, str]]:
            lines = []
            for _ in range(1 if cured else 3):  # after each reconnect its outbox goes out again
                connection = await page_opens(backend.url())
                assert not isinstance(connection, tuple), connection
                async with connection:
                    try:
                        await connection.send("x" * SIZE)
                        await connection.recv()
                    except ConnectionClosed:
                        lines.append(("browser", f"close event: code {connection.close_code}"))
                    else:
                        lines.append(("browser", "message event"))
            return lines

        yield Scene(backend.url(), symptom, Options(heartbeat=0, size=SIZE))
