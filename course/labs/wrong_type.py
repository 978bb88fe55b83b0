"""The server says `order_update`, the page waits for `order:update`: no error, and no order."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from course.doctor.visit import Options
from course.labs.stage import Scene, echo, page_opens, server

FINDS = "messages.type"
SHOWS = "0 of 3 messages shown"
WANTED = "order:update"


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    kind = WANTED if cured else "order_update"

    async def orders(socket: web.WebSocketResponse) -> None:
        for number in range(3):
            await socket.send_str(json.dumps({"type": kind, "data": {"id": number}}))
        await echo(socket)

    async with server(orders) as backend:

        async def symptom() -> list[tuple[str, str]]:
            connection = await page_opens(backend.url())
            assert not isinstance(connection, tuple), connection
            async with connection:
                came = [json.loads(await connection.recv()) for _ in range(3)]
            shown = sum(message["type"] == WANTED for message in came)
            lines = [("browser", f"{shown} of 3 messages shown, and no error")]
            return [*lines, ("network tab", json.dumps(came[0]))]

        yield Scene(backend.url(), symptom, Options(heartbeat=0, patience=1, expect=WANTED))
