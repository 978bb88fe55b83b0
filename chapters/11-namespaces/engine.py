"""The engine: one Socket.IO server, with its switches set, and what it needs around it.

Each switch answers to a default that lost something here; the lesson shows which.
"""

import asyncio
import logging
import math
import sys
import weakref

import socketio
from aiohttp import web

import packets
from background import background
from instances import manager
from one_encoding import OneEncoding
from settings import ALLOWED_ORIGINS, HEARTBEAT_SECONDS, MAX_MESSAGE_BYTES

PATH = "/socket.io/"
BEAT = max(1, math.ceil(HEARTBEAT_SECONDS))  # whole seconds: the library announces 0.3 s as 0
CLOSE_SECONDS = 1.0  # for the other side of a closing handshake
LIMIT = MAX_MESSAGE_BYTES + 1  # aiohttp refuses messages from its limit on, not beyond it


class OneLine(logging.Formatter):
    """An error of the library in one line: what a client sends must not fill the log."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        why = f": {type(error).__name__}: {error}" if error else ""
        return f"{record.getMessage()}{why}".replace("\n", " ")[:200]


def line_logger(name: str) -> logging.Logger:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(OneLine())
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    return logger


sio = socketio.AsyncServer(
    async_mode="aiohttp",
    async_handlers=False,  # True starts a task for each event: one client's events overtake
    cors_allowed_origins=ALLOWED_ORIGINS,  # never []: an empty list switches the check off
    ping_interval=BEAT,
    ping_timeout=BEAT,
    max_http_buffer_size=LIMIT,
    serializer=packets.EventPacket,
    json=packets,
    logger=line_logger("socketio"),
    engineio_logger=line_logger("engineio"),
    client_manager=manager or OneEncoding(),  # without a bus this is the only process
)


# Every WebSocket that is open, with the request it was: the library keeps them to itself.
WEBSOCKETS: weakref.WeakKeyDictionary[web.WebSocketResponse, web.Request] = (
    weakref.WeakKeyDictionary()
)


async def note_websocket(request: web.Request, response: web.StreamResponse) -> None:
    """aiohttp tells of each WebSocket before its 101."""
    if isinstance(response, web.WebSocketResponse):
        WEBSOCKETS[response] = request


def websocket_request(session: str) -> web.Request | None:
    """The request that became this engine's WebSocket; its first one, if it began with that."""
    upgrades = (request for request in WEBSOCKETS.values() if request.query.get("sid") == session)
    first: web.Request | None = sio.environ.get(session, {}).get("aiohttp.request")
    return next(upgrades, first)


async def hang_up(session: str, code: int, reason: str) -> None:
    """End the engine so that its client comes back: a WebSocket by a close frame, of ours.

    The library would say `1` in it first. Python's client takes that for good, as it does `41`.
    """
    request = websocket_request(session)
    line = next((socket for socket, its in WEBSOCKETS.items() if its is request), None)
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            if line is not None:
                await line.close(code=code, message=reason.encode())
            else:
                await sio.eio.disconnect(session)
    except TimeoutError:
        let_go_of(session)


def let_go_of(session: str) -> None:
    """End TCP under a WebSocket that takes nothing: a polite close would wait for ever."""
    request = websocket_request(session)
    if request is not None and request.transport is not None:
        request.transport.abort()


async def handle(request: web.Request) -> web.StreamResponse:
    """All of Engine.IO: a handshake, a poll, a POST of packets, or a WebSocket."""
    if request.method == "POST":
        await check_body(request)
    response: web.StreamResponse = await sio.handle_request(request)
    return response


async def check_body(request: web.Request) -> None:
    """Wait until the body is here: the library reads once, and takes what came for the whole."""
    length = request.content_length
    if length is None:
        raise web.HTTPLengthRequired()
    if length > LIMIT:
        if (session := request.query.get("sid")) in sio.eio.sockets:
            background(sio.eio.disconnect(session))  # waits for the next poll: we do not
        raise web.HTTPRequestEntityTooLarge(LIMIT, length)
    try:
        async with asyncio.timeout(BEAT):
            await request.content.wait_eof()
    except TimeoutError:
        raise web.HTTPRequestTimeout() from None
