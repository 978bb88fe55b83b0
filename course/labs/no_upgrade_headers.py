"""A proxy that does not pass Upgrade and Connection on: the server sees an ordinary request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from course.labs.stage import UPGRADE, Scene, nginx, opened, server

FINDS = "upgrade.no_headers"
SHOWS = "Unexpected response code: 400"
FORGOTTEN = "    proxy_http_version 1.1;\n    proxy_set_header Host $http_host;\n"


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    location = UPGRADE if cured else FORGOTTEN
    async with server() as backend, nginx(backend.port, location=location) as port:
        url = f"ws://127.0.0.1:{port}/ws"

        async def symptom() -> list[tuple[str, str]]:
            return [*await opened(url), ("server log", backend.log[-1] if backend.log else "-")]

        yield Scene(url, symptom)
