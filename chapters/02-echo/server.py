"""Chapter 2: HTTP and WebSocket on one port, with aiohttp.

`GET /` is the page, `GET /api/ping` a REST route, `/ws` the WebSocket of chapter 1.
Run: python server.py        then open http://127.0.0.1:8080/
"""

import asyncio
import time
from pathlib import Path

from aiohttp import ClientConnectionResetError, WSMsgType, web

from closing import Socket
from serving import check_origin, serve

PAGE = Path(__file__).with_name("index.html")


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


async def ping(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """One connection, from its handshake to its close: this runs once for each client."""
    check_origin(request)
    socket = Socket()
    await socket.prepare(request)
    try:
        await converse(socket)
    except ClientConnectionResetError:
        pass  # the client went away while we were answering it
    print(f"a connection ended: {await socket.hang_up()}", flush=True)
    return socket


async def converse(socket: Socket) -> None:
    """Welcome the client, then send back what it says until it is gone."""
    await socket.send_json({"type": "welcome", "ts": int(time.time() * 1000)})
    async for message in socket:  # a broken frame ends the loop too, with an ERROR and no exception
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)


if __name__ == "__main__":
    asyncio.run(serve(web.get("/", page), web.get("/api/ping", ping), web.get("/ws", websocket)))
