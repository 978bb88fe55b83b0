"""Chapter 6: delivery. Whoever was away catches up; what is sent twice takes effect once.

Events are numbered and kept (history.py), requests remembered (dedupe.py), direct messages sent
until they are acknowledged (outbox.py). A client names itself: /ws?client=<its own id>.
Run: python server.py        then open http://127.0.0.1:8080/ in two tabs
"""

import asyncio
import secrets
from pathlib import Path

from aiohttp import WSMsgType, web

from answers import HUB, OUTBOXES, answer
from business import notify_over_http, publish_over_http, snapshot
from closing import Socket
from commands import CLIENT, Refused, named
from envelope import encode, encode_error
from heartbeat import Heartbeat
from serving import check_origin, serve
from settings import HEARTBEAT_SECONDS

PAGE = Path(__file__).with_name("index.html")


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


async def ping(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


async def stats(request: web.Request) -> web.Response:
    return web.json_response({"connections": len(HUB.joined), "channels": HUB.sizes()})


def client_name(request: web.Request) -> str:
    """The name that a client gives itself: it proves nothing. Without one, a name for once."""
    if "client" not in request.query:
        return secrets.token_hex(16)
    try:
        return named(dict(request.query), "client", CLIENT)
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
            # It begins when `converse` waits for the first time: when the welcome is written.
            sending = tasks.create_task(OUTBOXES.send_to(client, socket))
            try:
                await converse(socket, client, heartbeat)
            except ConnectionError:
                pass  # the client went away while we were answering it
            watching.cancel()
            sending.cancel()
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


if __name__ == "__main__":
    asyncio.run(
        serve(
            web.get("/", page),
            web.get("/api/ping", ping),
            web.get("/api/stats", stats),
            web.post("/api/publish", publish_over_http),
            web.post("/api/notify", notify_over_http),
            web.get("/api/channels/{channel}/snapshot", snapshot),
            web.get("/ws", websocket),
        )
    )
