"""Answers: the one reply to each request, whatever the dialect, and what it does on the way.

Here the chapters meet. Who asks is known and may be too fast (8), a repeat has no second effect
(6), an event goes to the bus and comes back from there (9), and nobody waits for a member (7).
"""

import math
import time
from typing import Any

from actions import act, check_open
from board import ACTIONS
from bus import BusUnavailable, Event
from commands import CLIENT, MAX_CHANNELS, Publish, Refused, named, read_channel, read_notify
from commands import read_publish as read
from dedupe import Dedupe
from envelope import Message, encode, encode_error
from fanout import HUB, THE_BUS
from limits import Buckets
from members import Member
from outbox import Outboxes
from permissions import check_publish, check_subscribe, own_rooms
from positions import Position, read_since
from renewing import refresh
from sessions import SESSIONS, TOO_FAST, Session
from settings import MAX_STRIKES, MESSAGE_BURST, MESSAGE_RATE

DEDUPE = Dedupe()
OUTBOXES = Outboxes()
MESSAGES = Buckets(rate=MESSAGE_RATE, burst=MESSAGE_BURST)  # a bucket for each user, not socket


async def answer(member: Member, message: Message, problem: str = "") -> str:
    """The reply to one message: a result or an error, never both, never none.

    `problem`: why it is no message. It counts as one nevertheless.
    """
    session, request_id = SESSIONS[member], message.request_id
    if wait := MESSAGES.take(session.identity.user):
        return too_fast(session, request_id, wait)
    session.strikes = 0
    if problem:
        return encode_error("bad_message", problem, request_id)
    try:
        return await carry_out(member, session, message)
    except Refused as refused:
        if refused.code == "forbidden":
            session.note("denied", reason=str(refused))
        return encode_error(refused.code, str(refused), request_id)
    except BusUnavailable as error:
        return encode_error("bus_unavailable", str(error), request_id)


def too_fast(session: Session, request_id: str | None, wait: float) -> str:
    """Refuse, and say when to come again. Whoever does not listen has to go."""
    session.strikes += 1
    if session.strikes == 1:  # the first of a row: a flood must not flood the log too
        session.note("rate_limited")
    if session.strikes >= MAX_STRIKES:
        session.end(TOO_FAST, f"too many messages: wait {MESSAGE_BURST / MESSAGE_RATE:.1f} s")
    data = {"code": "rate_limited", "message": "too many messages", "retryAfter": round(wait, 3)}
    return encode("error", request_id, data=data)


async def carry_out(member: Member, session: Session, message: Message) -> str:
    """Do what the client asks. Raises Refused and BusUnavailable."""
    request_id, data = message.request_id, message.data

    def reply(type: str, **said: Any) -> str:
        return encode(type, request_id, data=said)

    async def effect() -> str:
        """What must not happen twice."""
        if message.type == "publish":
            return reply("published", **await publish(member, session, message))
        if message.type == "notify":
            told = read_notify(data)
            return reply("notified", deliveryId=OUTBOXES.add(told.client, told.event, told.payload))
        request = f"{session.owner} {request_id}" if request_id is not None else ""
        done = await act(session.identity, message.type, data, request)
        return reply(ACTIONS[message.type].reply, **done)

    match message.type:
        case "ping":
            return encode("pong", request_id)
        case "echo":
            return encode("echo", request_id, data=data)
        case "subscribe":
            return reply("subscribed", **await subscribe(member, session, data))
        case "unsubscribe":
            channel = read_channel(data)
            HUB.leave(member, channel)
            return reply("unsubscribed", channel=channel)
        case "ack":
            delivery_id = named(data, "deliveryId", CLIENT)
            OUTBOXES.acknowledge(session.client, delivery_id)
            return reply("acked", deliveryId=delivery_id)
        case "auth:refresh":
            refresh(member, session, data)
            return reply("auth:refreshed", expiresIn=math.floor(session.identity.seconds_left))
        case type if type in ("publish", "notify") or type in ACTIONS:
            return await DEDUPE.once(session.owner, request_id, effect)
        case _:
            raise Refused("unknown_type", f"there is no type {message.type[:40]!r}")


async def subscribe(member: Member, session: Session, data: Any) -> dict[str, Any]:
    """Join a channel, and tell what was missed. Raises Refused and BusUnavailable.

    Nothing of the channel is delivered here between the look at its position and the reply. What
    comes from the bus later, and stands at or before that position, this member has in `missed`.
    """
    channel, since = read_channel(data), read_since(data)
    check_subscribe(session.identity, channel)
    own = own_rooms(session.identity)
    again = HUB.is_member(member, channel)
    if len(HUB.joined[member].keys() - own | {channel} - own) > MAX_CHANNELS:
        raise Refused("forbidden", f"at most {MAX_CHANNELS} channels on one connection")
    async with THE_BUS.lane(channel):
        result: dict[str, Any] = {"channel": channel}
        top: Position | None = None
        try:
            top = await THE_BUS.position(channel)
            if since is not None:
                missed = await THE_BUS.missed(channel, since, top)
                result |= {"recovered": missed is not None, "missed": missed or []}
        except BusUnavailable:
            if since is not None:
                raise  # and who asks only to be a member can be one
        if top is not None:
            result |= {"epoch": top.epoch, "seq": top.seq}
        if member in HUB.joined and (since is not None or not again):  # it may have left meanwhile
            HUB.join(member, channel, top)
    return result


async def publish(member: Member, session: Session, message: Message) -> dict[str, Any]:
    """Publish in a client's name. Raises Refused and BusUnavailable."""
    wanted = read(message.data)
    check_publish(session.identity, wanted)
    check_open(wanted)
    if not HUB.is_member(member, wanted.channel):
        raise Refused("not_subscribed", "subscribe before you publish")
    request = f"{session.owner} {message.request_id}" if message.request_id is not None else ""
    return await send_event(wanted, request, skip="" if wanted.to_self else member.name)


async def send_event(wanted: Publish, request: str = "", *, skip: str = "") -> dict[str, Any]:
    """Hand the event to the bus; returns what there is to say of it. Raises BusUnavailable."""
    body = {"type": wanted.event, "channel": wanted.channel, "data": wanted.payload}
    body |= {"ts": int(time.time() * 1000)}
    event = Event(wanted.channel, body, skip, request, policy=wanted.policy, key=wanted.key)
    receivers = await THE_BUS.publish(event)
    if receivers is None:  # it took effect before, and is on its way or has come already
        receivers = len(HUB.rooms.get(wanted.channel, ()))
    number = {"epoch": event.number.epoch, "seq": event.number.seq} if event.number else {}
    return {"channel": wanted.channel, "receivers": receivers, **number}
