"""The library's admin UI: who may look, and how much there is to see.

Open https://admin.socket.io, server URL http://127.0.0.1:8080/monitor: the username is an admin's,
the password an access token. It would take the namespace /admin by itself, and share it with ours.
"""

from typing import Any

from engine import sio
from tokens import BadToken, read

NAMESPACE = "/monitor"


def is_admin(auth: Any) -> bool:
    """No await here: its statistics go to everybody in the namespace, also to those who are still
    being judged. To compare a password takes a while, to read a token none.
    """
    name = auth.get("username") if isinstance(auth, dict) else None
    token = auth.get("password") if isinstance(auth, dict) else None
    try:
        identity = read(token) if isinstance(token, str) else None
    except BadToken:
        return False
    return identity is not None and identity.role == "admin" and identity.user == name


def watch() -> None:
    """production: counts. development would send every event with its data, tokens too."""
    sio.instrument(auth=is_admin, namespace=NAMESPACE, mode="production", read_only=True)
