"""Two Socket.IO instances behind a proxy that takes turns, and clients that begin by polling."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from course.labs.stage import PAGE, UPGRADE, Scene, nginx, not_loaded, socketio_server

FINDS = "stickiness.lost"
SHOWS = "400 (Bad Request)"
STICKY = "sticky cookie instance path=/;"


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        instances = [await stack.enter_async_context(socketio_server(PAGE)) for _ in range(2)]
        ports = [port for port, _ in instances]
        balance = STICKY if cured else ""
        port = await stack.enter_async_context(nginx(*ports, balance=balance, location=UPGRADE))
        url = f"http://127.0.0.1:{port}/socket.io/"

        async def symptom() -> list[tuple[str, str]]:
            """What a client does first: open a session by polling, then use it."""
            asked = f"{url}?EIO=4&transport=polling"
            jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address too
            async with aiohttp.ClientSession(cookie_jar=jar) as session:
                async with session.get(asked) as answer:
                    sid = (await answer.text()).partition('"sid":"')[2].partition('"')[0]
                async with session.post(f"{asked}&sid={sid}", data="40") as answer:
                    if answer.status == 200:
                        return [("browser", "connect event")]
                    said = (await answer.text()).strip('"').replace(sid, "…")
            return [
                not_loaded(answer.status, answer.reason),
                ("server says", said),
                ("browser", "connect_error, again and again"),
            ]

        yield Scene(url, symptom)
