"""The library's admin UI: what it would show of the server to whom, and how much of that it may.

Open https://admin.socket.io, server URL http://127.0.0.1:8080/monitor, name and password of an
admin. It takes the namespace /admin unless told otherwise, and would share ours.
"""

from typing import Any

from engine import sio
from limits import Buckets
from settings import LOGIN_ATTEMPTS
from users import log_in

NAMESPACE = "/monitor"
LOGINS = Buckets(rate=LOGIN_ATTEMPTS / 60, burst=LOGIN_ATTEMPTS)  # a login like any other


async def is_admin(auth: Any) -> bool:
    """What its form sends: a name and a password. Anything else is a no, never an exception."""
    name = auth.get("username") if isinstance(auth, dict) else None
    password = auth.get("password") if isinstance(auth, dict) else None
    if not isinstance(name, str) or not isinstance(password, str):
        return False
    if LOGINS.take("all"):  # the library tells us no address
        return False
    try:
        user = await log_in(name, password)
    except ValueError:  # half a character is no UTF-8
        return False
    return user is not None and user.role == "admin"


def watch() -> None:
    """production: counts. development would send every event with its data, tokens too."""
    sio.instrument(auth=is_admin, namespace=NAMESPACE, mode="production", read_only=True)
