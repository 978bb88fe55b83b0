"""The door: whatever is judged before anything has an effect, and long before the 101.

First the Origin, then the seats of the address, then the ticket, then the seats of the user. Every
no is an HTTP status that the client gets and a line in the audit log.
"""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from audit import note
from limits import Full, Seats
from serving import Handler, check_origin
from settings import HANDSHAKE_SECONDS, MAX_CONNECTIONS_PER_IP, MAX_CONNECTIONS_PER_USER
from shared_tickets import SharedTickets
from tokens import BadToken, Identity, read

TICKETS = SharedTickets()
PER_IP = Seats(MAX_CONNECTIONS_PER_IP)
PER_USER = Seats(MAX_CONNECTIONS_PER_USER)
EVENTS = {401: "auth_failed", 403: "denied", 429: "rate_limited"}
BUSY_SECONDS = 5.0  # after which it may be worth to ask for a seat again


@web.middleware
async def judge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Look at the Origin of every request, and write down every no."""
    asked = {"ip": address(request), "path": request.path}  # never the query: tickets stand there
    try:
        check_origin(request)
    except web.HTTPForbidden:
        note("origin_refused", **asked, origin=request.headers["Origin"])
        raise
    try:
        return await handler(request)
    except web.HTTPException as refused:
        if event := EVENTS.get(refused.status):
            note(event, **asked, user=request.get("user"), reason=refused.reason)
        raise
    except Exception as problem:
        note("error", **asked, kind=type(problem).__name__)
        raise


def address(request: web.Request) -> str:
    """Where the TCP connection comes from. X-Forwarded-For is what a client says of itself."""
    return request.remote or "unknown"


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


async def admit(request: web.Request) -> Identity:
    """Whose connection this will be: one ticket, used up by this very look. Raises 401."""
    tickets = request.query.getall("ticket", [])
    identity = await TICKETS.redeem(tickets[0]) if len(tickets) == 1 else None
    if identity is None:  # bad, used or old: one answer, which helps nobody to tell them apart
        raise web.HTTPUnauthorized(reason="the ticket is not valid")
    request["user"] = identity.user
    return identity


@contextmanager
def seat(seats: Seats, key: str) -> Iterator[None]:
    """Keep a seat while the block lasts. Raises 429."""
    try:
        with seats.one(key):
            yield
    except Full as full:
        raise too_many("too many at once", BUSY_SECONDS) from full


def too_many(reason: str, wait: float) -> web.HTTPTooManyRequests:
    return web.HTTPTooManyRequests(reason=reason, headers={"Retry-After": str(math.ceil(wait))})


async def body(request: web.Request) -> bytes:
    """The whole body, which has to come soon. Raises 408, 413."""
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
