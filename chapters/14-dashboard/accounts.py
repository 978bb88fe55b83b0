"""Accounts: log in, refresh, get a ticket, log out. Ordinary HTTP, where headers can be sent."""

import math

from aiohttp import web

from audit import RECENT
from door import TICKETS, bearer, body, seat, too_many
from envelope import BadMessage, read_object
from event import BusUnavailable
from fanout import order_logout
from limits import Buckets, Seats
from settings import LOGIN_ATTEMPTS, TICKET_SECONDS
from tokens import issue, read
from users import KNOWN, User, log_in

MAX_NAME = 128  # characters of a name that we look at
HASHING = Seats(50)  # logins that may wait for their hash; a queue without a bound fills by itself
LOGINS = Buckets(rate=LOGIN_ATTEMPTS / 60, burst=LOGIN_ATTEMPTS)


def grant(user: User) -> web.Response:
    token = issue(user)
    left = math.floor(read(token).seconds_left)
    return web.json_response({"accessToken": token, "expiresIn": left})


async def login(request: web.Request) -> web.Response:
    """A name and a password for a token that lives for minutes."""
    try:
        fields = read_object((await body(request)).decode())
    except (BadMessage, UnicodeDecodeError) as error:
        raise web.HTTPBadRequest(reason="the body has to be a JSON object") from error
    name, password = fields.get("user"), fields.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        raise web.HTTPBadRequest(reason="user and password have to be strings")
    request["user"] = (
        name if name in KNOWN else None
    )  # or else a password, typed too early, is logged
    for key in (f"ip {request.remote}", f"user {name[:MAX_NAME]}"):
        if wait := LOGINS.take(key):
            raise too_many("too many attempts", wait)
    with seat(HASHING, "all"):
        user = await log_in(name, password)
    if user is None:
        raise web.HTTPUnauthorized(reason="wrong name or password")
    return grant(user)


async def refresh(request: web.Request) -> web.Response:
    """A new token for one that is still good, with the role that the user has now."""
    user = KNOWN.get(bearer(request).user)
    if user is None:
        raise web.HTTPUnauthorized(reason="there is no such user any more")
    return grant(user)


async def ticket(request: web.Request) -> web.Response:
    """What stands in the address of the next handshake, and is worth nothing after it."""
    identity = bearer(request)
    try:
        told = {"ticket": await TICKETS.issue(identity), "expiresIn": TICKET_SECONDS}
    except BusUnavailable as error:
        raise web.HTTPServiceUnavailable(reason=str(error)) from error
    return web.json_response(told, headers={"Cache-Control": "no-store"})


async def logout(request: web.Request) -> web.Response:
    """The user's tokens and tickets are void from now on, and their connections end, everywhere."""
    user = bearer(request).user
    try:
        closed = await order_logout(user)
    except BusUnavailable as error:
        raise web.HTTPServiceUnavailable(reason=str(error)) from error
    return web.json_response({"closed": closed})


async def audit(request: web.Request) -> web.Response:
    """The last lines of the audit log, for those who may read it."""
    bearer(request, role="admin")
    return web.json_response({"lines": list(RECENT)})


ROUTES = [
    web.post("/api/login", login),
    web.post("/api/refresh", refresh),
    web.post("/api/ticket", ticket),
    web.post("/api/logout", logout),
    web.get("/api/audit", audit),
]
