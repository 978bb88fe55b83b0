"""Native: a client over a plain WebSocket, from its handshake to its close.

The door is chapter 8's, the queue chapter 7's, the outbox chapter 6's.
"""

import asyncio
import secrets

from aiohttp import WSMsgType, web

from answers import OUTBOXES, answer
from commands import CLIENT, Refused, named
from door import PER_IP, PER_USER, address, admit, seat
from envelope import BadMessage, Message, decode, encode
from fanout import HUB
from heartbeat import Heartbeat
from metrics import METRICS
from natives import Client
from renewing import enter
from sessions import SESSIONS, Session, end_when_over
from settings import HEARTBEAT_SECONDS


def client_name(request: web.Request) -> str:
    """The name that a client gives itself: it proves nothing. Without one, a name for once."""
    if "client" not in request.query:
        return secrets.token_hex(16)
    try:
        return named(dict(request.query), "client", CLIENT)
    except Refused as refused:
        raise web.HTTPBadRequest(reason=str(refused)) from refused


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Judge a handshake; who is let in has a seat until the connection ends."""
    client, name = Client(), client_name(request)
    if not client.can_prepare(request):
        raise web.HTTPBadRequest(reason="this is no WebSocket handshake")  # and costs no ticket
    with seat(PER_IP, address(request)):
        identity = await admit(request)
        with seat(PER_USER, identity.user):
            await client.prepare(request)
            await serve_connection(client, Session(identity, address(request), name))
    return client


async def serve_connection(client: Client, session: Session) -> None:
    """One connection, from its 101 to its close: this runs once for each client."""
    SESSIONS[client] = session
    enter(client, session.identity)
    session.note("connect")
    METRICS.came(client.dialect, session.owner)
    heartbeat = Heartbeat(HEARTBEAT_SECONDS)
    try:
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(drop_when_silent(client, heartbeat)),
                tasks.create_task(end_when_over(client, session)),
                tasks.create_task(client.close_when_too_slow()),
                # It begins when `converse` waits for the first time: when the welcome is written.
                tasks.create_task(OUTBOXES.send_to(session.client, client)),
            ]
            try:
                await converse(client, session, heartbeat)
            except ConnectionError:
                pass  # the client went away while we were answering it
            for task in beside:
                task.cancel()
    finally:
        HUB.leave_all(client)  # closed, reset or dropped: nobody may stay in a room
        del SESSIONS[client]
        METRICS.went(client.dialect)
        session.note_end(await client.hang_up())


async def drop_when_silent(client: Client, heartbeat: Heartbeat) -> None:
    """Cut a dead peer's connection. A polite close would wait for an answer that never comes."""
    try:
        silence = await heartbeat.watch(client.beat)
    except ConnectionError:
        return  # it has ended by itself
    print(f"nothing heard for {silence:.1f} s: dropped", flush=True)
    client.cut()


async def converse(client: Client, session: Session, heartbeat: Heartbeat) -> None:
    """Welcome the client, then answer what it says until it is gone."""
    told = {"heartbeatMs": round(HEARTBEAT_SECONDS * 1000), **session.identity.public}
    await client.reply(encode("welcome", data=told))
    async for message in client:  # a broken frame ends the loop too, with an ERROR and no exception
        heartbeat.seen()
        if session.verdict:
            continue  # it is over; all that is still to come is the answer to our close frame
        if message.type is WSMsgType.PING:
            await client.pong(message.data)
        elif message.type is WSMsgType.PONG:
            client.beaten(bytes(message.data))
        elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            session.received += 1
            METRICS.received[client.dialect] += 1
            await client.reply(await answer(client, *read(message.data)))
        await asyncio.sleep(0)  # nothing above has to wait: let the others have their turn


def read(text: str | bytes) -> tuple[Message, str]:
    """The message, and what is wrong with it if it is none."""
    if isinstance(text, bytes):
        return Message(""), "messages are JSON in text frames"
    try:
        return decode(text), ""
    except BadMessage as error:
        return Message("", request_id=error.request_id), str(error)
