"""Answers: the one reply to each message, and what it does on the way.

The rooms live here, in one hub for the whole process; so do their history, the requests that took
effect, and the outboxes.
"""

import asyncio

from closing import Socket
from commands import (
    CLIENT,
    MAX_CHANNELS,
    RESERVED,
    Notify,
    Publish,
    Refused,
    named,
    read_channel,
    read_notify,
    read_publish,
    read_since,
)
from dedupe import Dedupe
from envelope import BadMessage, Message, decode, encode, encode_error
from history import History
from outbox import Outboxes
from rooms import DELIVERY_SECONDS, Hub

HUB = Hub()
PAST = History()
DEDUPE = Dedupe()
OUTBOXES = Outboxes()


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
    await socket.send_str(reply)


async def carry_out(socket: Socket, client: str, message: Message) -> str:
    """Do what the client asks, and return the reply. Raises Refused."""
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
            return await DEDUPE.once(client, message.request_id, lambda: publish(socket, message))
        case "notify":
            return await DEDUPE.once(client, message.request_id, lambda: notify(message))
        case "ack":
            delivery_id = named(message.data, "deliveryId", CLIENT)
            OUTBOXES.acknowledge(client, delivery_id)
            return encode("acked", message.request_id, data={"deliveryId": delivery_id})
        case _:
            raise Refused("unknown_type", f"there is no type {message.type[:40]!r}")


async def subscribe(socket: Socket, message: Message) -> None:
    """Join a channel, and tell what was missed. Raises Refused.

    Joining, reading the history and replying are one step for the channel: an event before it is in
    `missed`, an event after it comes after the reply, and none is in both or in neither.
    """
    channel, since = read_channel(message.data), read_since(message.data)
    if channel.startswith(RESERVED):
        raise Refused("forbidden", "who is in user: and role: channels is the server's decision")
    if not HUB.is_member(socket, channel) and len(HUB.joined[socket]) >= MAX_CHANNELS:
        raise Refused("forbidden", f"at most {MAX_CHANNELS} channels on one connection")
    stream = PAST.stream(channel)
    async with stream.lock:
        HUB.join(socket, channel)
        missed = stream.since(since)
        result = {"channel": channel, "epoch": stream.epoch, "seq": stream.seq}
        result |= {"recovered": missed is not None, "missed": missed or []}
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):  # the whole channel waits for this one
                await socket.send_str(encode("subscribed", message.request_id, data=result))
        except TimeoutError:
            socket.transport.abort()


async def publish(socket: Socket, message: Message) -> str:
    """Send an event to the members of a channel, and return the reply. Raises Refused."""
    wanted = read_publish(message.data)
    if not HUB.is_member(socket, wanted.channel):
        raise Refused("not_subscribed", "subscribe before you publish")
    receivers = await send_event(wanted, skip=None if wanted.to_self else socket)
    result = {"channel": wanted.channel, "receivers": receivers}
    return encode("published", message.request_id, data=result)


async def send_event(wanted: Publish, *, skip: Socket | None = None) -> int:
    """Number the event, keep it, and send it to everybody in the channel; returns to how many.

    One event of a channel after the other: each member gets them in the order of their numbers.
    """
    stream = PAST.stream(wanted.channel)
    async with stream.lock:
        text = PAST.add(stream, wanted.event, wanted.payload)
        return await HUB.deliver(wanted.channel, text, skip=skip)


async def notify(message: Message) -> str:
    """Put a message into a client's outbox, and return the reply. Raises Refused."""
    delivery_id = send_direct(read_notify(message.data))
    return encode("notified", message.request_id, data={"deliveryId": delivery_id})


def send_direct(wanted: Notify) -> str:
    """Keep a message for one client until it is acknowledged. Raises Refused."""
    return OUTBOXES.add(wanted.client, wanted.event, wanted.payload)
