"""A server that sends text back as bytes: the page gets a Blob, and cannot parse it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from course.labs.stage import Scene, echo, page_opens, server

FINDS = "messages.binary"
SHOWS = "[object Blob]"


async def as_bytes(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is web.WSMsgType.TEXT:
            await socket.send_bytes(message.data.encode())  # the mistake


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    async with server(echo if cured else as_bytes) as backend:

        async def symptom() -> list[tuple[str, str]]:
            connection = await page_opens(backend.url())
            assert not isinstance(connection, tuple), connection
            async with connection:
                await connection.send('{"type":"hello"}')
                came = await connection.recv()
            if isinstance(came, bytes):  # what a page gets of a binary frame is a Blob
                error = "Unexpected token 'o', \"[object Blob]\" is not valid JSON"
                return [("browser", f"Uncaught SyntaxError: {error}")]
            return [("browser", f"message: {json.loads(came)}")]

        yield Scene(backend.url(), symptom)
