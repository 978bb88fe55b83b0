"""Listening: hand on what arrives, and find out when nothing ever will again.

When nothing comes for one heartbeat, ask; after 2.5 of them, give the line up for dead. Asking is
an application ping, as a page has to do it: a browser cannot send control pings.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection

from envelope import BadMessage, read_object
from settings import HEARTBEAT_SECONDS

PATIENCE = 2.5  # heartbeats of silence before the line is taken for dead


def parse(message: str | bytes) -> Any:
    """What a message holds. What is no JSON object stays a text; bytes are shown in hex."""
    if isinstance(message, bytes):
        return message.hex()
    try:
        return read_object(message)
    except BadMessage:
        return message


def announced_heartbeat(data: Any) -> float | None:
    """The interval in seconds that a welcome names, if this is one and it does."""
    match data:
        case {"type": "welcome", "data": {"heartbeatMs": int() | float() as milliseconds}}:
            return milliseconds / 1000 if milliseconds > 0 else None
    return None


async def listen(connection: ClientConnection, on_message: Callable[[Any], None]) -> float:
    """Listen until the line is dead; return the silence in seconds. Raises ConnectionClosed."""
    heartbeat = HEARTBEAT_SECONDS  # until the welcome says better
    now = asyncio.get_running_loop().time
    last_seen = last_ping = now()
    while (deadline := last_seen + PATIENCE * heartbeat) > now():
        next_ping = max(last_seen, last_ping) + heartbeat
        try:
            async with asyncio.timeout_at(min(deadline, next_ping)):
                message = await connection.recv()
        except TimeoutError:
            if now() >= next_ping:
                last_ping = now()
                async with asyncio.timeout_at(deadline):
                    await connection.send(json.dumps({"type": "ping"}))
            continue
        last_seen = now()
        data = parse(message)
        heartbeat = announced_heartbeat(data) or heartbeat
        on_message(data)
    return now() - last_seen
