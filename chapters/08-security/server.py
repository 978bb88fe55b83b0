"""Chapter 8: security. Who are you, may you do this, and how often?

Log in over HTTP, fetch a ticket with the token, open the WebSocket with the ticket.
Run: JWT_SECRET=$(openssl rand -hex 32) python server.py        then open http://127.0.0.1:8080/
"""

import asyncio
from pathlib import Path

from aiohttp import WSMsgType, web

from accounts import ROUTES
from answers import HUB, answer, enter, send_event
from audit import writing
from closing import Socket
from commands import RESERVED, Refused, read_publish
from door import PER_IP, PER_USER, address, admit, bearer, body, judge, seat
from envelope import BadMessage, encode, read_object
from heartbeat import Heartbeat
from serving import serve
from sessions import SESSIONS, Session, end_when_over
from settings import HEARTBEAT_SECONDS
from tokens import Identity
from users import KNOWN

PAGE = Path(__file__).with_name("index.html")


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


async def ping(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


async def stats(request: web.Request) -> web.Response:
    """How many there are. Who is there, which user: and role: rooms would tell, is left out."""
    bearer(request, role="admin")
    sizes = {room: n for room, n in HUB.sizes().items() if not room.startswith(RESERVED)}
    return web.json_response({"connections": len(HUB.joined), "channels": sizes})


async def publish_over_http(request: web.Request) -> web.Response:
    """Business code publishes like this: no channel is closed to it, so it has to be an admin."""
    bearer(request, role="admin")
    try:
        wanted = read_publish(read_object((await body(request)).decode()))
    except (BadMessage, Refused, UnicodeDecodeError) as error:
        refused = {"error": {"code": "bad_request", "message": str(error)}}
        return web.json_response(refused, status=400)
    return web.json_response({"receivers": await send_event(wanted)}, status=202)


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Judge a handshake; who is let in has a seat until the connection ends."""
    socket = Socket(autoping=False)  # so that pings and pongs come to us: they are signs of life
    if not socket.can_prepare(request):
        raise web.HTTPBadRequest(reason="this is no WebSocket handshake")  # and costs no ticket
    with seat(PER_IP, address(request)):
        identity = admit(request)
        with seat(PER_USER, identity.user):
            await socket.prepare(request)
            await serve_connection(socket, identity, address(request))
    return socket


async def serve_connection(socket: Socket, identity: Identity, ip: str) -> None:
    """One connection, from its 101 to its close: this runs once for each client."""
    session = SESSIONS[socket] = Session(identity, ip)
    enter(socket, identity)
    session.note("connect")
    heartbeat = Heartbeat(HEARTBEAT_SECONDS)
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(drop_when_silent(socket, heartbeat))
            ending = tasks.create_task(end_when_over(socket, session))
            try:
                await converse(socket, session, heartbeat)
            except ConnectionError:
                pass  # the client went away while we were answering it
            watching.cancel()
            ending.cancel()
    finally:
        HUB.leave_all(socket)  # closed, reset or dropped: nobody may stay in a room
        del SESSIONS[socket]
        session.note_end(await socket.hang_up())


async def drop_when_silent(socket: Socket, heartbeat: Heartbeat) -> None:
    """Cut a dead peer's connection. A polite close would wait for an answer that never comes."""
    try:
        silence = await heartbeat.watch(socket.ping)
    except ConnectionError:
        return  # it has ended by itself
    print(f"nothing heard for {silence:.1f} s: dropped", flush=True)
    socket.transport.abort()


async def converse(socket: Socket, session: Session, heartbeat: Heartbeat) -> None:
    """Welcome the client, then answer what it says until it is gone."""
    told = {"heartbeatMs": round(HEARTBEAT_SECONDS * 1000), **session.identity.public}
    await socket.send_str(encode("welcome", data=told))
    async for message in socket:  # a broken frame ends the loop too, with an ERROR and no exception
        heartbeat.seen()
        if session.verdict:
            continue  # it is over; all that is still to come is the answer to our close frame
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            session.received += 1
            await socket.send_str(await answer(socket, message.data))


async def main() -> None:
    print(f"{len(KNOWN)} users from USERS (its default is for local use only)", flush=True)
    await serve(
        web.get("/", page),
        web.get("/api/ping", ping),
        web.get("/api/stats", stats),
        web.post("/api/publish", publish_over_http),
        web.get("/ws", websocket),
        *ROUTES,
        guards=[judge],
    )


if __name__ == "__main__":
    with writing():
        asyncio.run(main())
