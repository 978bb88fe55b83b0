"""The upgrade: the request that turns HTTP into WebSocket, and what each refusal means.

101 is success, and nothing else is. Some refusals have more than one cause; a second question tells
which it is.
"""

import base64
import hashlib
import json
import os
import time
from urllib.parse import parse_qsl, urlencode

from causes import STATUS, Sick
from hops import Line, Place, ask, connect

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


def engine_target(place: Place, transport: str) -> str:
    """The path and query of Engine.IO's handshake, by polling or by WebSocket."""
    path, _, query = place.target.partition("?")
    return f"{path}?{urlencode({'EIO': '4', **dict(parse_qsl(query)), 'transport': transport})}"


async def engine_version(place: Place) -> str:
    """Engine.IO: whether both sides are of one generation. Asked by polling, as its clients do."""
    line, target = await connect(place), engine_target(place, "polling")
    head, body = await ask(line, place, target, {"Connection": "close"})
    line[1].transport.abort()
    if head.split(" ")[1] == "400" and "version" in body:
        raise Sick("version-mismatch", body[:80])
    return "both speak the same Engine.IO"


async def upgrade(line: Line, place: Place, origin: str) -> str:
    """The upgrade. Only 101 is success, and only with the right Sec-WebSocket-Accept."""
    key = base64.b64encode(os.urandom(16))
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    headers |= {"Sec-WebSocket-Key": key.decode(), "Origin": origin}
    target = engine_target(place, "websocket") if place.is_engine else place.target
    head, _ = await ask(line, place, target, headers)
    first, *fields = head.split("\r\n")
    status = first.split(" ")[1]
    if status != "101":
        line[1].transport.abort()
        cause = STATUS.get(int(status) if status.isdecimal() else 0, "refused")
        raise Sick(await second_look(cause, place, origin), first[9:])
    pairs = (field.partition(":") for field in fields)
    given = [value.strip() for name, _, value in pairs if name.lower() == "sec-websocket-accept"]
    if given != [accept]:
        raise Sick("bad-accept", f"expected {accept}, got {', '.join(given) or 'none'}")
    return first[9:]


async def second_look(cause: str, place: Place, origin: str) -> str:
    """401, 403 and 400 have more than one cause. Which it is, the next question tells."""
    if cause == "unauthorized" and expired(place.target):
        return "expired-token"
    if cause in ("forbidden", "no-upgrade-headers") and origin:  # 400: that is Socket.IO's no
        try:
            line = await connect(place)
            await upgrade(line, place, "")
        except Sick:
            return cause
        line[1].transport.abort()
        return "origin-refused"
    return cause


def expired(target: str) -> bool:
    """Whether a JWT in the query is past its `exp`: read, not verified, and never printed."""
    for _, value in parse_qsl(target.partition("?")[2]):
        body = value.split(".")[1] if value.count(".") == 2 else ""
        try:
            claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
            return bool(claims["exp"] < time.time())
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return False
