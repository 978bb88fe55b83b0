"""Answers: the one reply to each request, whatever the dialect, and what it does on the way.

Here the chapters meet. Who asks is known and may be too fast (8), a repeat has no second effect
(6), an event goes to the bus and comes back from there (9), and nobody waits for a member (7).
"""

import math
from typing import Any

from actions import act
from board import ACTIONS
from commands import (
    CLIENT,
    MAX_CHANNELS,
    Refused,
    named,
    read_channel,
    read_notify,
)
from dedupe import Dedupe
from envelope import Message, encode, encode_error
from event import BusUnavailable
from fanout import HUB, THE_BUS
from members import Member
from outbox import Outboxes
from pace import MESSAGES, too_fast
from permissions import check_subscribe, own_rooms
from positions import Position, read_since
from publishing import publish
from renewing import refresh
from sessions import SESSIONS, Session

DEDUPE = Dedupe()
OUTBOXES = Outboxes()


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


async def carry_out(member: Member, session: Session, message: Message) -> str:
    """Do what the client asks. Raises Refused and BusUnavailable."""
    request_id, data = message.request_id, message.data

    def reply(type: str, **said: Any) -> str:
        return encode(type, request_id, data=said)

    async def effect() -> str:
        """What must not happen twice."""
        if message.type == "publish":
            return reply("published", **await publish(member, session, request_id, data))
        if message.type == "notify":
            told = read_notify(data)
            return reply("notified", deliveryId=OUTBOXES.add(told.client, told.event, told.payload))
        named_so = request_id is not None
        request = f"{session.owner} {message.type} {request_id}" if named_so else ""
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
    joined, own = HUB.joined[member], own_rooms(session.identity)
    again = channel in joined
    if not again and channel not in own and len(joined.keys() - own) >= MAX_CHANNELS:
        raise Refused("forbidden", f"at most {MAX_CHANNELS} channels on one connection")
    async with THE_BUS.lane(channel):
        result: dict[str, Any] = {"channel": channel}
        top: Position | None = None
        try:
            top = await THE_BUS.position(channel)
            if since == Position("", 0):  # who came before the first event has heard nothing
                since = Position(top.epoch, 0) if top else since
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
