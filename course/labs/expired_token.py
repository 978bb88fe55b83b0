"""A client that keeps the URL of its first connection: after `exp` every reconnect is refused."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
from aiohttp import web

from course.labs.stage import Scene, opened, server

FINDS = "upgrade.expired"
SHOWS = "HTTP Authentication failed"
AGE = 120  # seconds since the token of the page has expired


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    secret = secrets.token_hex(32)

    def admit(request: web.Request) -> None:
        try:
            options = {"require": ["exp"]}
            jwt.decode(request.query.get("token", ""), secret, ["HS256"], options=options)  # type: ignore[arg-type]
        except jwt.PyJWTError as error:
            raise web.HTTPUnauthorized from error

    def token(expires: float) -> str:
        return jwt.encode({"sub": "alice", "exp": round(time.time() + expires)}, secret)

    async with server(admit=admit) as backend:
        url = f"{backend.url()}?token={token(600 if cured else -AGE)}"

        async def symptom() -> list[tuple[str, str]]:
            """The reconnect, long after the page was loaded."""
            lines = await opened(url)
            shown = url.partition("?")[0] + "?token=…"
            told = [(who, text.replace(url, shown)) for who, text in lines]
            return [*told, ("server log", backend.log[-1] if backend.log else "-")]

        yield Scene(url, symptom)
