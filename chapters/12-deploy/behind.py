"""Behind a proxy: run a server as it is, but let the proxy say who the client is.

To a server behind nginx every client has nginx's address: limits and audit would see one visitor.
Who runs it says which proxies are to be believed, as uvicorn and gunicorn have it; aiohttp's runner
has nothing of the kind. Run: python behind.py ../11-namespaces/server.py
"""

import os
import runpy
import sys
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web

TRUSTED_PROXIES = os.environ.get("TRUSTED_PROXIES", "") or "127.0.0.1"
KEY = "client address"


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def remote(request: web.BaseRequest) -> str | None:
    """The client's address. Only what a trusted proxy has added itself counts: the last one."""
    if KEY not in request:
        peer = request.transport and request.transport.get_extra_info("peername")
        address = str(peer[0]) if peer else None
        named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        if address in TRUSTED_PROXIES.split(",") and is_address(named):
            address = named
        request[KEY] = address  # it is asked for again when the connection has ended
    known: str | None = request[KEY]
    return known


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("say which server: python behind.py ../11-namespaces/server.py")
    program = Path(sys.argv[1]).resolve()
    setattr(web.BaseRequest, "remote", property(remote))  # noqa: B010 - a class of the library
    sys.argv = [str(program)]
    sys.path[0] = str(program.parent)  # as `python server.py` has it
    runpy.run_path(str(program), run_name="__main__")


if __name__ == "__main__":
    main()
