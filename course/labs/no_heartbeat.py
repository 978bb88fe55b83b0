"""A server without a heartbeat keeps clients that are long gone: their cable was pulled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from course.doctor.visit import Options
from course.labs.stage import Scene, page_opens, server
from course.wire import Wire

FINDS = "heartbeat.none"
SHOWS = "1 connection of nobody"
BEAT = 0.4  # seconds, so that the cure shows at once
WATCHED = 1.5  # seconds after the cable was pulled


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    async with server(heartbeat=BEAT if cured else None) as backend:

        async def symptom() -> list[tuple[str, str]]:
            async with Wire("127.0.0.1", backend.port) as wire:
                connection = await page_opens(wire.url("/ws"))
                assert not isinstance(connection, tuple), connection
                wire.blackhole()  # from here on neither side hears the other, or of an end
                for _ in range(round(WATCHED / 0.1)):
                    await asyncio.sleep(0.1)
                    if not backend.sockets:
                        break
                count = len(backend.sockets)
                connection.transport.abort()
            if not count:
                return [("server log", "nobody is there, after the cable was pulled")]
            said = "1 connection of nobody, long after the cable was pulled"
            return [("server log", said), ("page of a friend", "still shows them as online")]

        yield Scene(backend.url(), symptom, Options(heartbeat=1))
