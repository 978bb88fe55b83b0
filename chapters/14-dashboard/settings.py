"""Settings: environment variables, each with a default you can see here.

A value that makes no sense stops the program at once, with one line that names the variable. These
are the settings of chapters 6, 7, 8 and 9, and at the end those of the board.
"""

import os
import sys


def whole_number(name: str, default: int, lowest: int, highest: int) -> int:
    """The variable `name` as an integer from `lowest` to `highest`."""
    text = os.environ.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
        sys.exit(f"{name} must be a whole number from {lowest} to {highest}, but it is {text!r}")
    return int(text)


def seconds(name: str, default: float, *, or_never: bool = False) -> float:
    """The variable `name` as a time in seconds, above 0 and at most a day; 0 may mean never."""
    text = os.environ.get(name, "").strip() or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 86400 and not (or_never and value == 0):  # this refuses NaN too
        least = "0 or more" if or_never else "above 0"
        sys.exit(f"{name} must be a number of seconds {least}, but it is {text!r}")
    return value


def one_of(name: str, default: str, *choices: str) -> str:
    """The variable `name` as one of these words."""
    text = os.environ.get(name, "").strip() or default
    if text not in choices:
        sys.exit(f"{name} must be {' or '.join(choices)}, but it is {text!r}")
    return text


HOST = os.environ.get("HOST", "") or "127.0.0.1"
PORT = whole_number("PORT", 8080, 1, 65535)
MAX_MESSAGE_BYTES = whole_number("MAX_MESSAGE_BYTES", 65536, 1, 2**31)
HEARTBEAT_SECONDS = seconds("HEARTBEAT_SECONDS", 20.0)

# Chapter 6: what is kept, for how long.
HISTORY = whole_number("HISTORY", 1000, 0, 2**31)  # events that a channel keeps
ACK_SECONDS = seconds("ACK_SECONDS", 5.0)  # without an ack a direct message is sent again
OUTBOX_LIMIT = whole_number("OUTBOX_LIMIT", 100, 1, 2**31)  # direct messages that wait for a client
DEDUPE_SECONDS = seconds("DEDUPE_SECONDS", 600.0)  # that a request id is remembered

# Chapter 7: what may wait for one client.
FLUSH_MS = whole_number("FLUSH_MS", 200, 1, 60_000)
QUEUE_LIMIT = whole_number("QUEUE_LIMIT", 256, 1, 2**31)  # messages
QUEUE_BYTES = whole_number("QUEUE_BYTES", 2**20, 1, 2**31)  # and their bytes

# Chapter 8: who may come in, and how much of it.
JWT_SECRET = os.environ.get("JWT_SECRET", "")  # no default: tokens.py refuses one that is short
USERS = os.environ.get("USERS", "") or "alice:wonderland:admin,bob:builder:user"
SCRYPT_LOG_N = whole_number("SCRYPT_LOG_N", 14, 10, 18)  # a password costs 2 to its power
TOKEN_SECONDS = seconds("TOKEN_SECONDS", 300.0)
TICKET_SECONDS = seconds("TICKET_SECONDS", 30.0)
AUDIT_LOG = os.environ.get("AUDIT_LOG", "")  # a path; unset: the lines go to standard output
HANDSHAKE_SECONDS = seconds("HANDSHAKE_SECONDS", 5.0)  # for a whole request to arrive
MAX_CONNECTIONS_PER_IP = whole_number("MAX_CONNECTIONS_PER_IP", 20, 1, 10**6)
MAX_CONNECTIONS_PER_USER = whole_number("MAX_CONNECTIONS_PER_USER", 5, 1, 10**6)
MESSAGE_RATE = whole_number("MESSAGE_RATE", 20, 1, 10**6)  # a second, all sockets of a user
MESSAGE_BURST = whole_number("MESSAGE_BURST", 40, 1, 10**6)
MAX_STRIKES = whole_number("MAX_STRIKES", 20, 1, 10**6)  # refused in a row, then 4429
LOGIN_ATTEMPTS = whole_number("LOGIN_ATTEMPTS", 10, 1, 10**6)  # a minute

# Which web pages may connect: a browser names the page's origin in every handshake, other programs
# name none. Unset means the pages of this very server, under the names it has on this computer.
ALLOWED_ORIGINS = [
    origin.strip() for origin in os.environ.get("ALLOWED_ORIGINS", "").split(",") if origin.strip()
] or [f"http://{name}:{PORT}" for name in dict.fromkeys((HOST, "127.0.0.1", "localhost"))]

# Chapter 9: several instances.
REDIS_URL = os.environ.get("REDIS_URL", "").strip()  # unset: one instance, and no bus but memory
if REDIS_URL and not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    sys.exit("REDIS_URL must begin with redis://, rediss:// or unix://")  # it may hold a password
BUS = one_of("BUS", "streams", "pubsub", "streams")
BUS_TIMEOUT = seconds("BUS_TIMEOUT", 2.0)

# The board: how often something happens by itself, and how often the server looks at itself.
BUSINESS_SECONDS = seconds("BUSINESS_SECONDS", 2.0, or_never=True)  # 0: nothing but what you do
BUSINESS_SEED = whole_number("BUSINESS_SEED", 14, 0, 2**31)
TELEMETRY_SECONDS = seconds("TELEMETRY_SECONDS", 0.1)  # and FLUSH_MS decides how many are sent
STATIC = os.environ.get("STATIC", "")  # the built front end's folder; unset: the page beside this
