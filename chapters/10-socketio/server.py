"""Chapter 10: the same rooms on Socket.IO. The library brings packets, acks, rooms and heartbeats.

`subscribe`, `unsubscribe` and `publish` are events with acks now; what is published arrives as an
event of its own name. The rules of chapter 5 stay ours, and so do the guards in guard.py.
Run: python server.py        then open http://127.0.0.1:8080/ in two tabs
"""

import asyncio
from pathlib import Path

from aiohttp import web

from client_script import script
from commands import Refused, read_publish
from engine import PATH, handle, sio
from packets import loads
from rooms import Rooms
from serving import check_origin, serve

PAGE = Path(__file__).with_name("index.html")
ROOMS = Rooms()


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


async def ping(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


async def stats(request: web.Request) -> web.Response:
    return web.json_response(ROOMS.stats())


async def publish_over_http(request: web.Request) -> web.Response:
    """Business code publishes like this: it is no member, and no channel is closed to it."""
    check_origin(request)  # or any web page could publish through its visitor's browser
    try:
        wanted = read_publish(loads((await request.read()).decode()))
        receivers = await ROOMS.send_event(wanted)
    except (Refused, ValueError, RecursionError) as error:
        body = {"error": {"code": "bad_request", "message": str(error)}}
        return web.json_response(body, status=400)
    return web.json_response({"receivers": receivers}, status=202)


if __name__ == "__main__":
    sio.register_namespace(ROOMS)
    asyncio.run(
        serve(
            web.get("/", page),
            web.get("/socket.io.js", script),
            web.get("/api/ping", ping),
            web.get("/api/stats", stats),
            web.post("/api/publish", publish_over_http),
            web.route("*", PATH, handle),
        )
    )
