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
PORT = whole_number("PORT", 8080, 1, 65535)
MAX_MESSAGE_BYTES = whole_number("MAX_MESSAGE_BYTES", 65536, 1, 2**31)
HEARTBEAT_SECONDS = seconds("HEARTBEAT_SECONDS", 20.0)
HISTORY = whole_number("HISTORY", 1000, 1, 10**6)  # events of a channel that are kept
ASK_SECONDS = seconds("ASK_SECONDS", 5.0)  # for a client to answer what the server asks

# Who may come in. The users' default is for local use: the server says so when it starts.
JWT_SECRET = os.environ.get("JWT_SECRET", "")  # no default: tokens.py refuses one that is short
USERS = os.environ.get("USERS", "") or "alice:wonderland:admin,bob:builder:user"
SCRYPT_LOG_N = whole_number("SCRYPT_LOG_N", 14, 10, 18)  # a password costs 2 to its power
TOKEN_SECONDS = seconds("TOKEN_SECONDS", 300.0)
AUDIT_LOG = os.environ.get("AUDIT_LOG", "")  # a path; unset: the lines go to standard output

# How much of it.
HANDSHAKE_SECONDS = seconds("HANDSHAKE_SECONDS", 5.0)  # from the engine's open to a namespace
MAX_CONNECTIONS_PER_IP = whole_number("MAX_CONNECTIONS_PER_IP", 20, 1, 10**6)
MAX_CONNECTIONS_PER_USER = whole_number("MAX_CONNECTIONS_PER_USER", 5, 1, 10**6)
MESSAGE_RATE = whole_number("MESSAGE_RATE", 20, 1, 10**6)  # a second, all sockets of a user
MESSAGE_BURST = whole_number("MESSAGE_BURST", 40, 1, 10**6)
MAX_STRIKES = whole_number("MAX_STRIKES", 20, 1, 10**6)  # refused in a row, then out
LOGIN_ATTEMPTS = whole_number("LOGIN_ATTEMPTS", 10, 1, 10**6)  # a minute

# Several instances: what they have between them, and how long it may take to answer.
REDIS_URL = os.environ.get("REDIS_URL", "").strip()  # unset: one instance, and no bus but memory
if REDIS_URL and not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    sys.exit("REDIS_URL must begin with redis://, rediss:// or unix://")  # it may hold a password
BUS_TIMEOUT = seconds("BUS_TIMEOUT", 2.0)

# Which web pages may connect: a browser names the page's origin in every handshake, other programs
# name none. Unset means the pages of this very server, under the names it has on this computer.
ALLOWED_ORIGINS = [
    origin.strip() for origin in os.environ.get("ALLOWED_ORIGINS", "").split(",") if origin.strip()
] or [f"http://{name}:{PORT}" for name in dict.fromkeys((HOST, "127.0.0.1", "localhost"))]
