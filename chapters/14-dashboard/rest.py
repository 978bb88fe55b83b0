"""REST: what programs ask over HTTP: publish, notify, read the state, count, and be well.

Everything needs a token but the ping, the health and the metrics, which tell of numbers alone.
"""

from typing import Any

from aiohttp import web

from actions import check_open
from answers import OUTBOXES
from commands import CLIENT, RESERVED, Refused, named, read_channel, read_notify, read_publish
from door import bearer, body
from envelope import BadMessage, read_object
from event import BusUnavailable
from fanout import HUB, THE_BUS
from metrics import METRICS, TYPE
from permissions import check_subscribe
from publishing import send_event
from settings import ALLOWED_ORIGINS
from waiting import COUNTS

STATUS = {"forbidden": 403, "outbox_full": 503, "bus_unavailable": 503}  # any other is a 400


async def fields(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request by business code. Raises Refused."""
    bearer(request, role="admin")  # no channel is closed to it, so it has to be an admin
    try:
        return read_object((await body(request)).decode())
    except (BadMessage, UnicodeDecodeError) as error:
        raise Refused("bad_request", str(error)) from error


@web.middleware
async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """What is refused gets the same codes as over a socket."""
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except (Refused, BusUnavailable) as problem:
        code = problem.code if isinstance(problem, Refused) else "bus_unavailable"
        said = {"error": {"code": code, "message": str(problem)}}
        return web.json_response(said, status=STATUS.get(code, 400))


async def publish(request: web.Request) -> web.Response:
    """A `requestId` of its own lets business code ask again, at any instance, after a 503."""
    said = await fields(request)
    wanted = read_publish(said)
    check_open(wanted)
    request_id = f"over http {named(said, 'requestId', CLIENT)}" if "requestId" in said else ""
    result = await send_event(wanted, request_id)
    del result["channel"]
    return web.json_response(result, status=202)


async def notify(request: web.Request) -> web.Response:
    """Tell one client, now or when it comes back."""
    told = read_notify(await fields(request))
    delivery_id = OUTBOXES.add(told.client, told.event, told.payload)
    return web.json_response({"deliveryId": delivery_id}, status=202)


async def snapshot(request: web.Request) -> web.Response:
    """The state of a channel, for who comes too late for its history."""
    identity = bearer(request)
    channel = read_channel(dict(request.match_info))
    check_subscribe(identity, channel)
    return web.json_response(await THE_BUS.snapshot(channel))


async def stats(request: web.Request) -> web.Response:
    """How many there are. Who is there, which user: and role: rooms would tell, is left out."""
    bearer(request, role="admin")
    said = {
        "connections": len(HUB.joined),
        "channels": {room: n for room, n in HUB.sizes().items() if not room.startswith(RESERVED)},
        "queued": sum(len(member.waiting) for member in HUB.joined),
        "dropped": COUNTS.dropped,
        "coalesced": COUNTS.coalesced,
        "slowClosed": COUNTS.slow_closed,
    }
    return web.json_response(said)


async def health(request: web.Request) -> web.Response:
    """For whoever decides where new clients go: 503 says not here, and why."""
    up = THE_BUS.why is None
    said = {"ok": up, "bus": THE_BUS.name} | ({} if up else {"why": THE_BUS.why})
    origin = request.headers.get("Origin")  # the page at one instance may ask the other one
    headers = {"Access-Control-Allow-Origin": origin} if origin in ALLOWED_ORIGINS else None
    return web.json_response(said, status=200 if up else 503, headers=headers)


async def metrics(request: web.Request) -> web.Response:
    """For Prometheus, which has no ticket: keep the path inside (nginx does not pass it on)."""
    return web.Response(text=METRICS.text(HUB.joined), headers={"Content-Type": TYPE})


async def ping(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


ROUTES = [
    web.get("/api/ping", ping),
    web.get("/api/health", health),
    web.get("/api/stats", stats),
    web.post("/api/publish", publish),
    web.post("/api/notify", notify),
    web.get("/api/channels/{channel}/snapshot", snapshot),
    web.get("/metrics", metrics),
]
