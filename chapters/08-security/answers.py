"""Answers: the one reply to each message, and what it does on the way.

The rooms live here, in one hub for the whole process. New: who asks is known, may be too fast, and
may not be allowed to.
"""

import math
from typing import Any

from closing import Socket
from commands import MAX_CHANNELS, Publish, Refused, read_channel, read_publish
from envelope import BadMessage, Message, decode, encode, encode_error
from limits import Buckets
from permissions import check_publish, check_subscribe, own_rooms
from rooms import Hub
from sessions import SESSIONS, TOO_FAST, Session
from settings import MAX_STRIKES, MESSAGE_BURST, MESSAGE_RATE
from tokens import BadToken, Identity, read

HUB = Hub()
MESSAGES = Buckets(rate=MESSAGE_RATE, burst=MESSAGE_BURST)  # a bucket for each user, not socket


async def answer(socket: Socket, text: str | bytes) -> str:
    """The reply to one message: a result or an error, never both, never none."""
    session = SESSIONS[socket]
    problem = ""
    try:
        if isinstance(text, bytes):
            raise BadMessage("messages are JSON in text frames")
        message = decode(text)
    except BadMessage as error:
        message, problem = Message("", request_id=error.request_id), str(error)
    if wait := MESSAGES.take(session.identity.user):  # what nobody can read counts as well
        return too_fast(session, message.request_id, wait)
    session.strikes = 0
    if problem:
        return encode_error("bad_message", problem, message.request_id)
    try:
        return await carry_out(socket, session, message)
    except Refused as refused:
        if refused.code == "forbidden":
            session.note("denied", reason=str(refused))
        return encode_error(refused.code, str(refused), message.request_id)


def too_fast(session: Session, request_id: str | None, wait: float) -> str:
    """Refuse, and say when to come again. Whoever does not listen has to go."""
    session.strikes += 1
    if session.strikes == 1:  # the first of a row: a flood must not flood the log too
        session.note("rate_limited")
    if session.strikes >= MAX_STRIKES:
        session.end(TOO_FAST, f"too many messages: wait {MESSAGE_BURST / MESSAGE_RATE:.1f} s")
    data = {"code": "rate_limited", "message": "too many messages", "retryAfter": round(wait, 3)}
    return encode("error", request_id, data=data)


async def carry_out(socket: Socket, session: Session, message: Message) -> str:
    """Do what the client asks. Raises Refused."""
    match message.type:
        case "ping":
            return encode("pong", message.request_id)
        case "echo":
            return encode("echo", message.request_id, data=message.data)
        case "subscribe":
            channel = read_channel(message.data)
            subscribe(socket, session.identity, channel)
            return encode("subscribed", message.request_id, data={"channel": channel})
        case "unsubscribe":
            channel = read_channel(message.data)
            HUB.leave(socket, channel)
            return encode("unsubscribed", message.request_id, data={"channel": channel})
        case "publish":
            wanted = read_publish(message.data)
            check_publish(session.identity, wanted)
            if not HUB.is_member(socket, wanted.channel):
                raise Refused("not_subscribed", "subscribe before you publish")
            receivers = await send_event(wanted, skip=None if wanted.to_self else socket)
            result = {"channel": wanted.channel, "receivers": receivers}
            return encode("published", message.request_id, data=result)
        case "auth:refresh":
            refresh(socket, session, message.data)
            left = math.floor(session.identity.seconds_left)
            return encode("auth:refreshed", message.request_id, data={"expiresIn": left})
        case _:
            raise Refused("unknown_type", f"there is no type {message.type[:40]!r}")


def enter(socket: Socket, identity: Identity) -> None:
    """A new connection, in the rooms of its user and role."""
    HUB.enter(socket)
    for room in own_rooms(identity):
        HUB.join(socket, room)


def subscribe(socket: Socket, identity: Identity, channel: str) -> None:
    """Join, if this client may. Raises Refused."""
    check_subscribe(identity, channel)
    asked_for = HUB.joined[socket] - own_rooms(identity)
    if len(asked_for | {channel} - own_rooms(identity)) > MAX_CHANNELS:
        raise Refused("forbidden", f"at most {MAX_CHANNELS} channels on one connection")
    HUB.join(socket, channel)


def refresh(socket: Socket, session: Session, data: Any) -> None:
    """Let the connection live as long as the new token, in its role. Raises Refused."""
    token = data.get("token") if isinstance(data, dict) else None
    if not isinstance(token, str):
        raise Refused("bad_request", "token has to be a string")
    try:
        identity = read(token)
    except BadToken as bad:
        raise Refused("forbidden", str(bad)) from bad
    if identity.user != session.identity.user:
        raise Refused("forbidden", "this is somebody else's token")
    for room in own_rooms(session.identity) - own_rooms(identity):
        HUB.leave(socket, room)
    for room in own_rooms(identity):
        HUB.join(socket, room)
    session.renew(identity)


async def send_event(wanted: Publish, *, skip: Socket | None = None) -> int:
    """Write the event once, and send it to everybody in the channel; returns to how many."""
    text = encode(wanted.event, channel=wanted.channel, data=wanted.payload)
    return await HUB.deliver(wanted.channel, text, skip=skip)
