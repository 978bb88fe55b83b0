"""A client of Socket.IO 2 and a server of Socket.IO 4: their Engine.IO versions do not meet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from course.labs.stage import PAGE, Scene, not_loaded, socketio_server

FINDS = "engine.version"
SHOWS = "400 (Bad Request)"


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    async with socketio_server(PAGE) as (port, _log):
        url = f"http://127.0.0.1:{port}/socket.io/?EIO={4 if cured else 3}"

        async def symptom() -> list[tuple[str, str]]:
            asked = f"{url}&transport=polling"
            async with aiohttp.ClientSession() as session, session.get(asked) as answer:
                if answer.status == 200:
                    return [("browser", "connect event")]
                said = (await answer.text()).strip('"')
            return [
                not_loaded(answer.status, answer.reason),
                ("server says", said),
                ("browser", "connect_error, for ever"),
            ]

        yield Scene(url, symptom)
