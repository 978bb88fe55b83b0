"""A Socket.IO server that does not know the page's origin: polling fails by CORS."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from course.doctor.visit import Options
from course.labs.stage import PAGE, Scene, socketio_server

FINDS = "cors.missing"
ALSO = ("origin.refused",)  # and so does WebSocket, for it is the same list
SHOWS = "blocked by CORS policy"


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    origins = PAGE if cured else "https://app.example"
    async with socketio_server(origins) as (port, log):
        url = f"http://127.0.0.1:{port}/socket.io/"

        async def symptom() -> list[tuple[str, str]]:
            asked = f"{url}?EIO=4&transport=polling"
            async with (
                aiohttp.ClientSession() as session,
                session.get(asked, headers={"Origin": PAGE}) as answer,
            ):
                if answer.headers.get("Access-Control-Allow-Origin") == PAGE:
                    return [("browser", "connect event")]
            blocked = (
                f"Access to XMLHttpRequest at '{asked}' from origin '{PAGE}' has been blocked by "
                "CORS policy: No 'Access-Control-Allow-Origin' header is present on the requested "
                "resource."
            )
            return [("browser", blocked), ("server log", log[-1])]

        yield Scene(url, symptom, Options(heartbeat=0, origin=PAGE))
