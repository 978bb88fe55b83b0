"""Publishing: from a wish to an event on the bus, by a client or by business code."""

import time
from typing import Any

from actions import check_open
from commands import Publish, Refused, read_publish
from event import Event
from fanout import HUB, THE_BUS
from members import Member
from permissions import check_publish
from sessions import Session


async def publish(
    member: Member, session: Session, request_id: str | None, data: Any
) -> dict[str, Any]:
    """Publish in a client's name. Raises Refused and BusUnavailable."""
    wanted = read_publish(data)
    check_publish(session.identity, wanted)
    check_open(wanted)
    if not HUB.is_member(member, wanted.channel):
        raise Refused("not_subscribed", "subscribe before you publish")
    request = f"{session.owner} {request_id}" if request_id is not None else ""
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
