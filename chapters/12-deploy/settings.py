"""Settings: environment variables, each with a default you can see here.

A value that makes no sense stops the program at once, with one line that names the variable.
"""

import os
import sys


def whole_number(name: str, default: int, lowest: int, highest: int) -> int:
    """The variable `name` as an integer from `lowest` to `highest`."""
    text = os.environ.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
        sys.exit(f"{name} must be a whole number from {lowest} to {highest}, but it is {text!r}")
    return int(text)


def seconds(name: str, default: float) -> float:
    """The variable `name` as a time in seconds, above 0 and at most a day."""
    text = os.environ.get(name, "").strip() or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86400:  # this refuses NaN too
        sys.exit(f"{name} must be a number of seconds above 0, but it is {text!r}")
    return value


HOST = os.environ.get("HOST", "") or "127.0.0.1"
HTTP_PORT = whole_number("HTTP_PORT", 8080, 1, 65535)
HTTPS_PORT = whole_number("HTTPS_PORT", 8443, 1, 65535)

# What runs behind nginx: folders with a server.py each, and how many instances of it.
NATIVE = os.environ.get("NATIVE", "") or "chapters/09-scale-out"
SOCKETIO = os.environ.get("SOCKETIO", "") or "chapters/11-namespaces"
INSTANCES = whole_number("INSTANCES", 2, 2, 8)  # of each
REDIS_URL = os.environ.get("REDIS_URL", "").strip()  # unset: a Valkey of our own

# nginx: its program, its configuration, its certificate, and the page at /.
NGINX = os.environ.get("NGINX", "")  # unset: the one from the wheel, else the system's
TEMPLATES = os.environ.get("TEMPLATES", "") or "nginx"
CERTIFICATE = os.environ.get("CERTIFICATE", "")  # certificate and key in one file; unset: made here
STATIC = os.environ.get("STATIC", "")  # unset: the board, if it is built and its server runs
HSTS_SECONDS = whole_number("HSTS_SECONDS", 31_536_000, 0, 10**9)  # a year

# Limits, for one address.
HANDSHAKE_RATE = whole_number("HANDSHAKE_RATE", 20, 1, 10**6)  # a second
HANDSHAKE_BURST = whole_number("HANDSHAKE_BURST", 40, 1, 10**6)
LINKS_PER_ADDRESS = whole_number("LINKS_PER_ADDRESS", 100, 1, 65535)
MAX_BODY_BYTES = whole_number("MAX_BODY_BYTES", 1 << 20, 1, 2**31)

# Three heartbeats of silence, and at least three seconds: Socket.IO's beats are whole seconds.
HEARTBEAT_SECONDS = seconds("HEARTBEAT_SECONDS", 20.0)
LINK_SECONDS = seconds("LINK_SECONDS", max(3 * HEARTBEAT_SECONDS, 3.0))
