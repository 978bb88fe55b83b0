"""The front: the built front end if STATIC names its folder, else a page that needs no build."""

import mimetypes
from pathlib import Path

from aiohttp import web

from settings import STATIC

PAGE = Path(__file__).with_name("index.html")
FOLDER = Path(STATIC).resolve() if STATIC else None


async def page(request: web.Request) -> web.FileResponse:
    """The one page; its script decides what is seen."""
    return web.FileResponse(FOLDER / "index.html" if FOLDER else PAGE)


async def asset(request: web.Request) -> web.FileResponse:
    """A file of the build, and nothing outside of it."""
    if FOLDER is None:
        raise web.HTTPNotFound
    path = (FOLDER / request.match_info["path"]).resolve()
    if not path.is_relative_to(FOLDER) or not path.is_file():
        raise web.HTTPNotFound
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return web.FileResponse(path, headers={"Content-Type": kind})
