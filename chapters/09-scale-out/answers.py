"""Answers: the one reply to each message, and what it does on the way.

An event is not delivered from here: it is handed to the bus, and comes back from there.
"""

import asyncio
import time
from typing import Any

from bus import BusUnavailable, Event
from closing import Socket
from commands import MAX_CHANNELS, RESERVED, Publish, Refused, read_channel, read_publish
from envelope import BadMessage, Message, decode, encode, encode_error
from fanout import HUB, THE_BUS
from positions import Position, read_since
from rooms import DELIVERY_SECONDS


async def answer(socket: Socket, client: str, text: str) -> None:
    """Reply to one message: with a result or an error, never both, never none."""
    try:
        message = decode(text)
    except BadMessage as error:
        await socket.send_str(encode_error("bad_message", str(error), error.request_id))
        return
    try:
        if message.type == "subscribe":
            await subscribe(socket, message)  # which replies by itself, and says why
            return
        reply = await carry_out(socket, client, message)
    except Refused as refused:
        reply = encode_error(refused.code, str(refused), message.request_id)
    except BusUnavailable as error:
        reply = encode_error("bus_unavailable", str(error), message.request_id)
    await socket.send_str(reply)


async def carry_out(socket: Socket, client: str, message: Message) -> str:
    """Do what the client asks, and return the reply. Raises Refused and BusUnavailable."""
    match message.type:
        case "ping":
            return encode("pong", message.request_id)
        case "echo":
            return encode("echo", message.request_id, data=message.data)
        case "unsubscribe":
            channel = read_channel(message.data)
            HUB.leave(socket, channel)
            return encode("unsubscribed", message.request_id, data={"channel": channel})
        case "publish":
            wanted = read_publish(message.data)
            if not HUB.is_member(socket, wanted.channel):
                raise Refused("not_subscribed", "subscribe before you publish")
            skip = "" if wanted.to_self else HUB.names[socket]
            result = await send_event(wanted, client, message.request_id, skip=skip)
            return encode("published", message.request_id, data=result)
        case _:
            raise Refused("unknown_type", f"there is no type {message.type[:40]!r}")


async def subscribe(socket: Socket, message: Message) -> None:
    """Join a channel, and tell what was missed. Raises Refused and BusUnavailable.

    Nothing of the channel is delivered here between the look at its position and the reply. What
    comes from the bus later, and stands at or before that position, this member has in `missed`.
    """
    channel, since = read_channel(message.data), read_since(message.data)
    if channel.startswith(RESERVED):
        raise Refused("forbidden", "who is in user: and role: channels is the server's decision")
    again = HUB.is_member(socket, channel)
    if not again and len(HUB.joined[socket]) >= MAX_CHANNELS:
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
        if since is not None or not again:
            HUB.join(socket, channel, top)
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):  # the whole channel waits for this one
                await socket.send_str(encode("subscribed", message.request_id, data=result))
        except TimeoutError:
            socket.transport.abort()


async def send_event(
    wanted: Publish, client: str, request_id: str | None, *, skip: str = ""
) -> dict[str, Any]:
    """Hand the event to the bus; returns what there is to say of it. Raises BusUnavailable."""
    body = {"type": wanted.event, "channel": wanted.channel, "data": wanted.payload}
    event = Event(wanted.channel, body | {"ts": int(time.time() * 1000)}, skip)
    if request_id is not None:
        event.request = f"{client} {request_id}"
    receivers = await THE_BUS.publish(event)
    if receivers is None:  # it took effect before, and is on its way or has come already
        receivers = len(HUB.rooms.get(wanted.channel, ()))
    number = {"epoch": event.number.epoch, "seq": event.number.seq} if event.number else {}
    return {"channel": wanted.channel, "receivers": receivers, **number}
