"""One room on aiohttp, sent to in the way that WAY names.

floor     the frame made once, and written to each transport: nothing can do with less
loop      `await send_str` for one member after the other; the text made once
naive     the same, and the text made anew for each member
gather    `asyncio.gather` over all members: a task for each of them
deflate   the loop, with permessage-deflate: aiohttp's default when the client offers it
"""

import asyncio
import json
import os
import time
from typing import Any

from aiohttp import web

WAY = os.environ["WAY"]
ROOM: list[tuple[web.WebSocketResponse, asyncio.Transport]] = []


def text_of(data: dict[str, Any]) -> str:
    message = {"type": data["event"], "ts": int(time.time() * 1000), "channel": data["channel"]}
    return json.dumps(message | {"data": data["payload"]}, separators=(",", ":"))


def frame(text: str) -> bytes:
    payload = text.encode()
    if len(payload) < 126:
        return bytes((0x81, len(payload))) + payload
    if len(payload) < 65536:
        return b"\x81\x7e" + len(payload).to_bytes(2) + payload
    return b"\x81\x7f" + len(payload).to_bytes(8) + payload


async def publish(data: dict[str, Any]) -> None:
    if WAY == "floor":
        raw = frame(text_of(data))
        for _, transport in ROOM:
            transport.write(raw)
    elif WAY == "naive":
        for socket, _ in ROOM:
            await socket.send_str(text_of(data))
    elif WAY == "gather":
        text = text_of(data)
        await asyncio.gather(*(socket.send_str(text) for socket, _ in ROOM))
    else:
        text = text_of(data)
        for socket, _ in ROOM:
            await socket.send_str(text)


async def websocket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=WAY == "deflate", max_msg_size=1 << 20)
    await socket.prepare(request)
    assert request.transport is not None
    me = (socket, request.transport)
    try:
        async for message in socket:
            asked = json.loads(message.data)
            if asked["type"] == "subscribe":
                ROOM.append(me)
            else:
                await publish(asked["data"])
            await socket.send_str(json.dumps({"type": "done", "requestId": asked["requestId"]}))
    finally:
        if me in ROOM:
            ROOM.remove(me)
    return socket


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.get("/ws", websocket)])
    web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
