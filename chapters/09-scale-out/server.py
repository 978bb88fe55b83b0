"""Chapter 9: several instances. An event published at one reaches the members at all of them.

REDIS_URL=redis://… joins the instances (BUS=streams or pubsub); without it there is one, as before.
Run: python together.py      which starts Valkey and two of these
"""

import asyncio
import secrets
from pathlib import Path

from aiohttp import WSMsgType, web

from answers import answer
from business import NAME, health, publish_over_http, stats
from closing import Socket
from commands import Refused, named
from envelope import encode, encode_error
from fanout import HUB, THE_BUS
from heartbeat import Heartbeat
from serving import check_origin, serve
from settings import HEARTBEAT_SECONDS

PAGE = Path(__file__).with_name("index.html")


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


async def ping(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


def client_name(request: web.Request) -> str:
    """The name that a client gives itself: it proves nothing. Without one, a name for once.

    Request ids are told apart by it, and it is the same at whichever instance the client arrives.
    """
    if "client" not in request.query:
        return secrets.token_hex(16)
    try:
        return named(dict(request.query), "client", NAME)
    except Refused as refused:
        raise web.HTTPBadRequest(reason=str(refused)) from refused


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """One connection, from its handshake to its close: this runs once for each client."""
    check_origin(request)
    client = client_name(request)
    socket = Socket(autoping=False)  # so that pings and pongs come to us: they are signs of life
    await socket.prepare(request)
    HUB.enter(socket)
    heartbeat = Heartbeat(HEARTBEAT_SECONDS)
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(drop_when_silent(socket, heartbeat))
            try:
                await converse(socket, client, heartbeat)
            except ConnectionError:
                pass  # the client went away while we were answering it
            watching.cancel()
    finally:
        HUB.leave_all(socket)  # closed, reset or dropped: nobody may stay in a room
    print(f"a connection ended: {await socket.hang_up()}", flush=True)
    return socket


async def drop_when_silent(socket: Socket, heartbeat: Heartbeat) -> None:
    """Cut a dead peer's connection. A polite close would wait for an answer that never comes."""
    try:
        silence = await heartbeat.watch(socket.ping)
    except ConnectionError:
        return  # it has ended by itself
    print(f"nothing heard for {silence:.1f} s: dropped", flush=True)
    socket.transport.abort()


async def converse(socket: Socket, client: str, heartbeat: Heartbeat) -> None:
    """Welcome the client, then answer what it says until it is gone."""
    await socket.send_str(encode("welcome", data={"heartbeatMs": round(HEARTBEAT_SECONDS * 1000)}))
    async for message in socket:  # a broken frame ends the loop too, with an ERROR and no exception
        heartbeat.seen()
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is WSMsgType.TEXT:
            await answer(socket, client, message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_str(encode_error("bad_message", "messages are JSON in text frames"))


async def main() -> None:
    """Serve, and listen to the bus. Should the bus break in a way we do not know, all ends."""
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(THE_BUS.run())
        await serve(
            web.get("/", page),
            web.get("/api/ping", ping),
            web.get("/api/health", health),
            web.get("/api/stats", stats),
            web.post("/api/publish", publish_over_http),
            web.get("/ws", websocket),
        )
        listening.cancel()


if __name__ == "__main__":
    asyncio.run(main())
