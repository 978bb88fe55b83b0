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
from one_encoding import OneEncoding
from settings import ALLOWED_ORIGINS, HEARTBEAT_SECONDS, MAX_MESSAGE_BYTES

PATH = "/socket.io/"
BEAT = max(1, math.ceil(HEARTBEAT_SECONDS))  # whole seconds: the library announces 0.3 s as 0
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
    client_manager=OneEncoding(),  # the library's own needs a task for each member of a room
    async_handlers=False,  # True starts a task for each event: one client's events overtake
    cors_allowed_origins=ALLOWED_ORIGINS,  # never []: an empty list switches the check off
    ping_interval=BEAT,
    ping_timeout=BEAT,
    max_http_buffer_size=LIMIT,
    serializer=packets.EventPacket,
    json=packets,
    logger=line_logger("socketio"),
    engineio_logger=line_logger("engineio"),
)


# Every WebSocket that is open, with the request it was: the library keeps them to itself.
WEBSOCKETS: weakref.WeakKeyDictionary[web.WebSocketResponse, web.Request] = (
    weakref.WeakKeyDictionary()
)


async def note_websocket(request: web.Request, response: web.StreamResponse) -> None:
    """aiohttp tells of each WebSocket before its 101."""
    if isinstance(response, web.WebSocketResponse):
        WEBSOCKETS[response] = request


def websocket_request(sid: str) -> web.Request | None:
    """The request that became this client's WebSocket; its first one, if it began with that."""
    session = sio.manager.eio_sid_from_sid(sid, "/")
    upgrades = (request for request in WEBSOCKETS.values() if request.query.get("sid") == session)
    first: web.Request | None = (sio.get_environ(sid) or {}).get("aiohttp.request")
    return next(upgrades, first)


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
        if sid := sio.manager.sid_from_eio_sid(request.query.get("sid"), "/"):
            await sio.disconnect(sid)  # the library would close it too, and wait for its next poll
        raise web.HTTPRequestEntityTooLarge(LIMIT, length)
    try:
        async with asyncio.timeout(BEAT):
            await request.content.wait_eof()
    except TimeoutError:
        raise web.HTTPRequestTimeout() from None
