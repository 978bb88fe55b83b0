"""The browser's half of Socket.IO, served from this machine: a page may not depend on a CDN.

It comes with npm (package socket.io-client), so it is looked for in `node_modules` here and in the
folders above; SOCKETIO_CLIENT names a file elsewhere.
"""

import os
from pathlib import Path

from aiohttp import web

WHERE = Path("node_modules", "socket.io-client", "dist", "socket.io.min.js")


def find() -> Path | None:
    """The script, if it is on this machine."""
    if named := os.environ.get("SOCKETIO_CLIENT", ""):
        return Path(named) if Path(named).is_file() else None
    folders = Path(__file__).resolve().parents
    return next((folder / WHERE for folder in folders if (folder / WHERE).is_file()), None)


async def script(request: web.Request) -> web.FileResponse:
    """The script, or 404: the page then says what to install."""
    if (path := find()) is None:
        raise web.HTTPNotFound(reason="socket.io-client is not here: npm install socket.io-client")
    return web.FileResponse(path)
