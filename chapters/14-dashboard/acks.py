"""Acks: what Socket.IO says in its own way, put as an envelope, and back.

A request is an event with an ack; its requestId stands beside the other data, and who it is stands
in `auth`.
"""

import json
import secrets
from typing import Any

from socketio.exceptions import ConnectionRefusedError

from commands import CLIENT, Refused, named
from envelope import MAX_REQUEST_ID, Message, check_writable
from packets import NOT_AN_EVENT
from tokens import BadToken, Identity, read

NAMES = {"app:ping": "ping", "ping": "(none)"}  # the engine has a ping of its own


def who(auth: Any) -> tuple[Identity, str]:
    """What `auth: {token, client?}` says. Raises Refused."""
    token = auth.get("token") if isinstance(auth, dict) else None
    if not isinstance(token, str):
        raise Refused("unauthorized", 'log in, and send auth {"token":"…"}')
    client = named(auth, "client", CLIENT) if "client" in auth else secrets.token_hex(16)
    try:
        return read(token), client
    except BadToken as bad:
        raise Refused("unauthorized", str(bad)) from bad


def refusal(code: str, reason: str) -> ConnectionRefusedError:
    return ConnectionRefusedError(reason, {"code": code})


def message(event: str, data: Any) -> tuple[Message, str]:
    """The event as a message, and what is wrong with it if it is none."""
    request_id = data.get("requestId") if isinstance(data, dict) else None
    if event == NOT_AN_EVENT:
        return Message(""), "an event is a list that begins with a name of yours"
    if request_id is not None and not (
        isinstance(request_id, str) and len(request_id) <= MAX_REQUEST_ID
    ):
        return Message(""), f"requestId is a string of at most {MAX_REQUEST_ID} characters"
    try:
        check_writable(data)
    except (ValueError, RecursionError) as error:
        return Message(""), str(error)
    return Message(NAMES.get(event, event), data, request_id), ""


def ack(reply: str) -> dict[str, Any]:
    """A reply's envelope as the ack of an event."""
    said = json.loads(reply)
    if said["type"] == "error":
        return {"ok": False, "error": said["data"]}
    return {"ok": True, "data": said.get("data", {"ts": said["ts"]})}
