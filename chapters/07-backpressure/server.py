"""Chapter 7: backpressure. A room goes at the pace of the fast, and a slow reader costs little.

Each connection has a bounded queue; `publish` says what becomes of a message for a busy client.
Run: python server.py        then open http://127.0.0.1:8080/ and be a slow reader
"""

import asyncio
from pathlib import Path

from aiohttp import WSCloseCode, WSMsgType, web

from answers import HUB, LATEST, answer, send_event
from commands import Refused, read_publish
from envelope import BadMessage, encode, encode_error, read_object
from heartbeat import Heartbeat
from outbound import Connection
from serving import check_origin, serve
from settings import HEARTBEAT_SECONDS
from waiting import COUNTS

PAGE = Path(__file__).with_name("index.html")


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


async def ping(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


async def stats(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "connections": len(HUB.joined),
            "channels": HUB.sizes(),
            "queued": sum(len(connection.waiting) for connection in HUB.joined),
            "dropped": COUNTS.dropped,
            "coalesced": COUNTS.coalesced,
            "slowClosed": COUNTS.slow_closed,
        }
    )


async def publish_over_http(request: web.Request) -> web.Response:
    """Business code publishes like this: it is no member, and no channel is closed to it."""
    check_origin(request)  # or any web page could publish through its visitor's browser
    try:
        wanted = read_publish(read_object((await request.read()).decode()))
    except (BadMessage, Refused, UnicodeDecodeError) as error:
        body = {"error": {"code": "bad_request", "message": str(error)}}
        return web.json_response(body, status=400)
    return web.json_response({"receivers": send_event(wanted)}, status=202)


class Member(Connection):
    async def say_goodbye(self, code: int, reason: bytes = b"") -> None:
        """When the server stops, the values that wait for their deadline go out first."""
        if code == WSCloseCode.GOING_AWAY and self.close_code is None:
            LATEST.flush_all()
        await super().say_goodbye(code, reason)


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """One connection, from its handshake to its close: this runs once for each client."""
    check_origin(request)
    socket = Member(autoping=False)  # so that pings and pongs come to us: they are signs of life
    await socket.prepare(request)
    HUB.enter(socket)
    heartbeat = Heartbeat(HEARTBEAT_SECONDS)
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(drop_when_silent(socket, heartbeat))
            closing = tasks.create_task(socket.close_when_too_slow())
            try:
                await converse(socket, heartbeat)
            except ConnectionError:
                pass  # the client went away while we were answering it
            watching.cancel()
            closing.cancel()
    finally:
        HUB.leave_all(socket)  # closed, reset or dropped: nobody may stay in a room
    print(f"a connection ended: {await socket.hang_up()}", flush=True)
    return socket


async def drop_when_silent(socket: Connection, heartbeat: Heartbeat) -> None:
    """Cut a dead peer's connection. A polite close would wait for an answer that never comes."""
    try:
        silence = await heartbeat.watch(socket.ping)
    except ConnectionError:
        return  # it has ended by itself
    print(f"nothing heard for {silence:.1f} s: dropped", flush=True)
    socket.transport.abort()


async def converse(socket: Connection, heartbeat: Heartbeat) -> None:
    """Welcome the client, then answer what it says until it is gone."""
    await socket.reply(encode("welcome", data={"heartbeatMs": round(HEARTBEAT_SECONDS * 1000)}))
    async for message in socket:  # a broken frame ends the loop too, with an ERROR and no exception
        heartbeat.seen()
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is WSMsgType.TEXT:
            await socket.reply(await answer(socket, message.data))
        elif message.type is WSMsgType.BINARY:
            await socket.reply(encode_error("bad_message", "messages are JSON in text frames"))
        await asyncio.sleep(0)  # nothing above has to wait: let the others have their turn


if __name__ == "__main__":
    asyncio.run(
        serve(
            web.get("/", page),
            web.get("/api/ping", ping),
            web.get("/api/stats", stats),
            web.post("/api/publish", publish_over_http),
            web.get("/ws", websocket),
        )
    )
