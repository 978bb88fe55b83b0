"""Business: what programs ask over HTTP: publish, count, and say whether this instance works."""

import re

from aiohttp import web

from answers import send_event
from bus import BusUnavailable
from commands import Refused, named, read_publish
from envelope import BadMessage, read_object
from fanout import HUB, THE_BUS
from serving import check_origin
from settings import ALLOWED_ORIGINS

NAME = re.compile(r"[\x21-\x7e]+")  # of a client, and of a request


async def stats(request: web.Request) -> web.Response:
    return web.json_response({"connections": len(HUB.joined), "channels": HUB.sizes()})


async def health(request: web.Request) -> web.Response:
    """For whoever decides where new clients go: 503 says not here, and why."""
    up = THE_BUS.why is None
    body = {"ok": up, "bus": THE_BUS.name} | ({} if up else {"why": THE_BUS.why})
    origin = request.headers.get("Origin")  # the page at one instance may ask the other one
    headers = {"Access-Control-Allow-Origin": origin} if origin in ALLOWED_ORIGINS else None
    return web.json_response(body, status=200 if up else 503, headers=headers)


async def publish_over_http(request: web.Request) -> web.Response:
    """Business code publishes like this: it is no member, and no channel is closed to it.

    A `requestId` of its own lets it ask again, here or at another instance, after a 503.
    """
    check_origin(request)  # or any web page could publish through its visitor's browser
    try:
        fields = read_object((await request.read()).decode())
        wanted = read_publish(fields)
        request_id = named(fields, "requestId", NAME) if "requestId" in fields else None
    except (BadMessage, Refused, UnicodeDecodeError) as error:
        body = {"error": {"code": "bad_request", "message": str(error)}}
        return web.json_response(body, status=400)
    try:
        result = await send_event(wanted, "over http", request_id)
    except BusUnavailable as error:
        body = {"error": {"code": "bus_unavailable", "message": str(error)}}
        return web.json_response(body, status=503)
    del result["channel"]
    return web.json_response(result, status=202)
