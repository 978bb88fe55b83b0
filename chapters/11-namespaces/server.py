"""Chapter 11: namespaces, and who may do what in them; several instances.

"/" is for everybody with a token, "/admin" for admins, "/monitor" for the library's admin UI.
Run: JWT_SECRET=$(openssl rand -hex 32) python server.py     two instances: python together.py
"""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from admin import ADMIN, dismiss_everywhere, obey
from asking import NoAnswer, NobodyThere, TooManyQuestions, ask
from audit import writing
from background import background
from client_script import script
from commands import EVENT, Refused, named, read_publish
from engine import PATH, handle, sio
from instances import manager, require_bus
from leaving import watch_engines
from login import ADDRESSES, BUSY_SECONDS, audit, bearer, body, judge, login, refresh, too_many
from monitor import watch
from rooms import ROOMS
from serving import serve
from users import KNOWN, NAME

PAGE = Path(__file__).with_name("index.html")
STATUS = {"bus_unavailable": 503}


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


async def ping(request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


async def health(request: web.Request) -> web.Response:
    """For who decides where clients go: an instance without its bus hears half of what is said."""
    well = manager is None or manager.healthy
    return web.json_response({"ok": well}, status=200 if well else 503)


async def stats(request: web.Request) -> web.Response:
    bearer(request, role="admin")
    return web.json_response(ROOMS.stats())


async def publish_over_http(request: web.Request) -> web.Response:
    """Business code publishes like this: it is no member, and no channel is closed to it."""
    bearer(request, role="admin")
    try:
        wanted = read_publish(await body(request))
        receivers = await ROOMS.send_event(wanted)
    except Refused as refused:
        return refusal(refused)
    return web.json_response({"receivers": receivers}, status=202)


async def ask_over_http(request: web.Request) -> web.Response:
    """Ask a user something, and wait for the client's ack."""
    bearer(request, role="admin")
    fields = await body(request)
    try:
        user, event = named(fields, "user", NAME), named(fields, "event", EVENT)
        require_bus()
        answer = await ask(user, event, fields.get("payload"))
    except Refused as refused:
        return refusal(refused)
    except NobodyThere:
        return error(404, "not_connected", "this user is not here")
    except NoAnswer:
        return error(504, "no_answer", "this user does not answer")
    except TooManyQuestions:
        raise too_many("too many questions are open", BUSY_SECONDS) from None
    return web.json_response({"answer": answer})


async def logout(request: web.Request) -> web.Response:
    """The user's tokens are void from now on, and their connections end: at every instance."""
    user = bearer(request).user
    try:
        closed = await dismiss_everywhere(user, "logged_out", "logged out")
    except Refused as refused:
        return refusal(refused)
    return web.json_response({"closed": closed})


def refusal(refused: Refused) -> web.Response:
    return error(STATUS.get(refused.code, 400), refused.code, str(refused))


def error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


async def start(app: web.Application) -> None:
    """The manager listens from the start: else it would begin with the first client."""
    if manager is not None:
        manager.obey, manager.gap = obey, ROOMS.gap
        sio.manager_initialized = True
        manager.initialize()
        background(manager.probe())


ROUTES: list[Any] = [
    web.get("/", page),
    web.get("/socket.io.js", script),
    web.get("/api/ping", ping),
    web.get("/api/health", health),
    web.get("/api/stats", stats),
    web.get("/api/audit", audit),
    web.post("/api/login", login),
    web.post("/api/refresh", refresh),
    web.post("/api/logout", logout),
    web.post("/api/publish", publish_over_http),
    web.post("/api/ask", ask_over_http),
    web.route("*", PATH, handle),
]

if __name__ == "__main__":
    print(f"{len(KNOWN)} users from USERS (its default is for local use only)", flush=True)
    sio.register_namespace(ROOMS)
    sio.register_namespace(ADMIN)
    watch()
    watch_engines(ADDRESSES)
    with writing():
        asyncio.run(serve(*ROUTES, guards=[judge], start=start))
