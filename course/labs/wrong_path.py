"""The page connects to a path that the server does not serve."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from course.labs.stage import Scene, opened, server

FINDS = "upgrade.not_found"
SHOWS = "Unexpected response code: 404"


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    async with server() as backend:
        url = backend.url("/ws" if cured else "/socket")

        async def symptom() -> list[tuple[str, str]]:
            return [*await opened(url), ("server log", backend.log[-1] if backend.log else "-")]

        yield Scene(url, symptom)
