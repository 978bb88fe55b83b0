"""Chapter 14: the live dashboard. All chapters in one server, both dialects on one port.

A plan of the house: answers.py is where the chapters meet, board.py what it is all for.
Run: JWT_SECRET=$(openssl rand -hex 32) python server.py        then open http://127.0.0.1:8080/
"""

import asyncio

from aiohttp import web

from accounts import ROUTES as ACCOUNTS
from audit import writing
from business import Business
from client_script import script
from door import judge
from engine import PATH, sio
from engines import knock, watch_engines
from fanout import LATEST, THE_BUS
from front import asset, page
from lobby import Lobby
from native import websocket
from rest import ROUTES as REST
from rest import refusals
from serving import serve
from telemetry import watch
from users import KNOWN

ROUTES = [
    web.get("/", page),
    web.get("/ws", websocket),  # native
    web.route("*", PATH, knock),  # Socket.IO
    web.get("/socket.io.js", script),
    *REST,
    *ACCOUNTS,
    web.get("/{path:.+}", asset),
]


async def main() -> None:
    print(f"{len(KNOWN)} users from USERS (its default is for local use only)", flush=True)
    sio.register_namespace(Lobby("/"))
    watch_engines()
    await serve(
        ROUTES,
        guards=[judge, refusals],
        beside=[THE_BUS.run, Business().run, watch],
        last_words=LATEST.flush_all,
    )


if __name__ == "__main__":
    with writing():
        asyncio.run(main())
