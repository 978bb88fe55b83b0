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
CONNECT_TIMEOUT = seconds("CONNECT_TIMEOUT", 5.0)  # for each hop of the doctor

# Which web pages may connect: a browser names the page's origin in every handshake, other programs
# name none. Unset means the pages of this very server, under the names it has on this computer.
ALLOWED_ORIGINS = [
    origin.strip() for origin in os.environ.get("ALLOWED_ORIGINS", "").split(",") if origin.strip()
] or [f"http://{name}:{PORT}" for name in dict.fromkeys((HOST, "127.0.0.1", "localhost"))]

# What the doctor is told of the client it stands for; unset means nothing.
ORIGIN = os.environ.get("ORIGIN", "").strip()  # of the page that will connect
EXPECT = os.environ.get("EXPECT", "").strip()  # a type that has to come
SEND_BYTES = whole_number("SEND_BYTES", 0, 0, 2**24)  # the size of its biggest message

# The exercise: which patients in which order, else all of them, shuffled.
ROUNDS = [name.strip() for name in os.environ.get("ROUNDS", "").split(",") if name.strip()]
SEED = whole_number("SEED", 0, 0, 2**31)  # of the shuffling; 0 is another one each time
