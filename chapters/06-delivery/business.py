"""Business: what other programs of yours ask over HTTP: publish, notify, read the state."""

from typing import Any

from aiohttp import web

from answers import PAST, send_direct, send_event
from commands import RESERVED, Refused, read_channel, read_notify, read_publish
from envelope import BadMessage, read_object
from serving import check_origin

STATUS = {"forbidden": 403, "outbox_full": 503}  # any other refusal is a 400


async def read_body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request by business code. Raises Refused."""
    check_origin(request)  # or any web page could publish through its visitor's browser
    try:
        return read_object((await request.read()).decode())
    except (BadMessage, UnicodeDecodeError) as error:
        raise Refused("bad_request", str(error)) from error


def refusal(refused: Refused) -> web.Response:
    body = {"error": {"code": refused.code, "message": str(refused)}}
    return web.json_response(body, status=STATUS.get(refused.code, 400))


async def publish_over_http(request: web.Request) -> web.Response:
    """Business code publishes like this: it is no member, and no channel is closed to it."""
    try:
        wanted = read_publish(await read_body(request))
    except Refused as refused:
        return refusal(refused)
    return web.json_response({"receivers": await send_event(wanted)}, status=202)


async def notify_over_http(request: web.Request) -> web.Response:
    """Tell one client, now or when it comes back."""
    try:
        delivery_id = send_direct(read_notify(await read_body(request)))
    except Refused as refused:
        return refusal(refused)
    return web.json_response({"deliveryId": delivery_id}, status=202)


async def snapshot(request: web.Request) -> web.Response:
    """The state of a channel, for who comes too late for its history."""
    try:
        channel = read_channel(dict(request.match_info))
        if channel.startswith(RESERVED):
            raise Refused("forbidden", "user: and role: channels are not public")
    except Refused as refused:
        return refusal(refused)
    return web.json_response(PAST.stream(channel).snapshot())
