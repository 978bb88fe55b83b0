"""Chapter 13: a consulting room. Its page shows one sick deployment after the other: what is it?

`/ws` is chapter 3's server, and healthy. The patients stand on ports of their own; see rounds.py.
Run: python server.py        then open http://127.0.0.1:8080/
"""

import asyncio
from pathlib import Path

from aiohttp import ClientConnectionResetError, WSMsgType, web

from closing import Socket
from consulting import ConsultingRoom
from envelope import BadMessage, decode, encode, encode_error
from heartbeat import Heartbeat
from serving import check_origin, serve
from settings import HEARTBEAT_SECONDS

PAGE = Path(__file__).with_name("index.html")


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


async def ping(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """One connection, from its handshake to its close: this runs once for each client."""
    check_origin(request)
    socket = Socket(autoping=False)  # so that pings and pongs come to us: they are signs of life
    await socket.prepare(request)
    heartbeat = Heartbeat(HEARTBEAT_SECONDS)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(drop_when_silent(socket, heartbeat))
        try:
            await converse(socket, heartbeat)
        except ClientConnectionResetError:
            pass  # the client went away while we were answering it
        watching.cancel()
    print(f"a connection ended: {await socket.hang_up()}", flush=True)
    return socket


async def drop_when_silent(socket: Socket, heartbeat: Heartbeat) -> None:
    """Cut a dead peer's connection. A polite close would wait for an answer that never comes."""
    try:
        silence = await heartbeat.watch(socket.ping)
    except ClientConnectionResetError:
        return  # it has ended by itself
    print(f"nothing heard for {silence:.1f} s: dropped", flush=True)
    socket.transport.abort()


async def converse(socket: Socket, heartbeat: Heartbeat) -> None:
    """Welcome the client, then answer what it says until it is gone."""
    await socket.send_str(encode("welcome", data={"heartbeatMs": round(HEARTBEAT_SECONDS * 1000)}))
    async for message in socket:  # a broken frame ends the loop too, with an ERROR and no exception
        heartbeat.seen()
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(answer(message.data))
        elif message.type is WSMsgType.BINARY:
            await socket.send_str(encode_error("bad_message", "messages are JSON in text frames"))


def answer(text: str) -> str:
    """The one reply to one message."""
    try:
        message = decode(text)
    except BadMessage as error:
        return encode_error("bad_message", str(error), error.request_id)
    match message.type:
        case "ping":
            return encode("pong", message.request_id)
        case "echo":
            return encode("echo", message.request_id, data=message.data)
        case _:
            reason = f"there is no type {message.type[:40]!r}"
            return encode_error("unknown_type", reason, message.request_id)


async def main() -> None:
    room = ConsultingRoom()
    print(f"the patients come in the order of SEED={room.rounds.seed}", flush=True)
    try:
        mine = (web.get("/", page), web.get("/api/ping", ping), web.get("/ws", websocket))
        await serve(*mine, *room.routes())
    finally:
        await room.rounds.close()


if __name__ == "__main__":
    asyncio.run(main())
