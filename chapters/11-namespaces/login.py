"""Level 1 of the middleware, and the login: what is HTTP, before there is any Socket.IO.

The engine's handshake is a plain request: Origin and address are judged here. Who it is, is not
known yet: the token comes later, in the `40` of each namespace.
"""

import math
from collections import Counter
from typing import Any

from aiohttp import web

from audit import RECENT, note
from engine import PATH
from limits import Buckets, Full, Seats
from packets import loads
from serving import Handler, check_origin
from settings import LOGIN_ATTEMPTS, MAX_CONNECTIONS_PER_IP
from tokens import BadToken, Identity, issue, read
from users import KNOWN, User, log_in

EVENTS = {401: "auth_failed", 403: "denied", 429: "rate_limited"}
BUSY_SECONDS = 5.0  # after which it may be worth to ask again
MAX_NAME = 128  # characters of a name that we look at
ADDRESSES: dict[str, str] = {}  # engine session → the address it came from
HASHING = Seats(50)  # logins that may wait for their hash; a queue without a bound fills by itself
LOGINS = Buckets(rate=LOGIN_ATTEMPTS / 60, burst=LOGIN_ATTEMPTS)


@web.middleware
async def judge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Look at Origin and address of every request, and write down every no."""
    asked = {"ip": request.remote or "unknown", "path": request.path}  # never the query
    try:
        check_origin(request)
    except web.HTTPForbidden:
        note("origin_refused", **asked, origin=request.headers["Origin"])
        raise
    try:
        opens = request.path == PATH and "sid" not in request.query
        if opens and Counter(ADDRESSES.values())[asked["ip"]] >= MAX_CONNECTIONS_PER_IP:
            raise too_many("too many connections from this address", BUSY_SECONDS)
        return await handler(request)
    except web.HTTPException as refused:
        if event := EVENTS.get(refused.status):
            note(event, **asked, user=request.get("user"), reason=refused.reason)
        raise


def bearer(request: web.Request, *, role: str | None = None) -> Identity:
    """Whose token came along, with this role if one is needed. Raises 401, 403."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise BadToken("a Bearer token is needed")
        identity = read(token.strip())
    except BadToken as bad:
        headers = {"WWW-Authenticate": "Bearer"}
        raise web.HTTPUnauthorized(reason=str(bad), headers=headers) from bad
    request["user"] = identity.user
    if role and identity.role != role:
        raise web.HTTPForbidden(reason=f"this needs the role {role}")
    return identity


def too_many(reason: str, wait: float) -> web.HTTPTooManyRequests:
    return web.HTTPTooManyRequests(reason=reason, headers={"Retry-After": str(math.ceil(wait))})


async def body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request. Raises 400."""
    try:
        fields = loads((await request.read()).decode())
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise web.HTTPBadRequest(reason="the body has to be a JSON object")
    return fields


def grant(user: User) -> web.Response:
    token = issue(user)
    left = math.floor(read(token).seconds_left)
    return web.json_response({"accessToken": token, "expiresIn": left})


async def login(request: web.Request) -> web.Response:
    """A name and a password for a token that lives for minutes."""
    fields = await body(request)
    name, password = fields.get("user"), fields.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        raise web.HTTPBadRequest(reason="user and password have to be strings")
    request["user"] = name if name in KNOWN else None  # or a password, typed too early, is logged
    for key in (f"ip {request.remote}", f"user {name[:MAX_NAME]}"):
        if wait := LOGINS.take(key):
            raise too_many("too many attempts", wait)
    try:
        with HASHING.one("all"):
            user = await log_in(name, password)
    except Full:
        raise too_many("too many at once", BUSY_SECONDS) from None
    if user is None:
        raise web.HTTPUnauthorized(reason="wrong name or password")
    return grant(user)


async def refresh(request: web.Request) -> web.Response:
    """A new token for one that is still good, with the role that the user has now."""
    user = KNOWN.get(bearer(request).user)
    if user is None:
        raise web.HTTPUnauthorized(reason="there is no such user any more")
    return grant(user)


async def audit(request: web.Request) -> web.Response:
    """The last lines of the audit log, for those who may read it."""
    bearer(request, role="admin")
    return web.json_response({"lines": list(RECENT)})
