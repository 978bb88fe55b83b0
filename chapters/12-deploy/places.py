"""Places: where the folders are that this chapter starts from, as it has no server of its own.

A relative name is looked for in this folder and in those above it, so that a copy in work/ works.
"""

import sys
from pathlib import Path

import settings

HERE = Path(__file__).resolve().parent
SERVER, CONFIGURATION = "server.py", "nginx.conf"  # by which we know the folders
BOARD, ITS_SERVER = "vite-proxy/dist", "14-dashboard"


def find(name: str, needed: str) -> Path | None:
    """The folder of that name with this file in it, the nearest one."""
    places = (place / name for place in (HERE, *HERE.parents))
    return next((place for place in places if (place / needed).is_file()), None)


def folder(setting: str, needed: str) -> Path:
    """The folder that a setting names. Ends the program with one line if there is none."""
    name = str(vars(settings)[setting])
    return find(name, needed) or sys.exit(f"{setting}={name} is no folder with a {needed}")


def page() -> Path:
    """What is served at /: the setting's folder; the board, once it is built and its server runs
    behind; or our own page.
    """
    if settings.STATIC:
        return folder("STATIC", "index.html")
    built = find(BOARD, "index.html") if Path(settings.NATIVE).name == ITS_SERVER else None
    return built or HERE
