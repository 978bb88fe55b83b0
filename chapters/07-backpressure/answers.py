"""Answers: the one reply to each message, and what it does on the way.

The rooms live here, in one hub for the whole process.
"""

from coalesce import Latest
from commands import MAX_CHANNELS, RESERVED, Publish, Refused, read_channel, read_publish
from envelope import BadMessage, Message, decode, encode, encode_error
from framing import frame
from outbound import Connection
from rooms import Hub

HUB = Hub()
LATEST = Latest(HUB.members)


async def answer(socket: Connection, text: str) -> str:
    """The reply to one message: a result or an error, never both, never none."""
    try:
        message = decode(text)
    except BadMessage as error:
        return encode_error("bad_message", str(error), error.request_id)
    try:
        return await carry_out(socket, message)
    except Refused as refused:
        return encode_error(refused.code, str(refused), message.request_id)


async def carry_out(socket: Connection, message: Message) -> str:
    """Do what the client asks. Raises Refused."""
    match message.type:
        case "ping":
            return encode("pong", message.request_id)
        case "echo":
            return encode("echo", message.request_id, data=message.data)
        case "subscribe":
            channel = read_channel(message.data)
            subscribe(socket, channel)
            return encode("subscribed", message.request_id, data={"channel": channel})
        case "unsubscribe":
            channel = read_channel(message.data)
            HUB.leave(socket, channel)
            return encode("unsubscribed", message.request_id, data={"channel": channel})
        case "publish":
            wanted = read_publish(message.data)
            if not HUB.is_member(socket, wanted.channel):
                raise Refused("not_subscribed", "subscribe before you publish")
            receivers = send_event(wanted, skip=None if wanted.to_self else socket)
            result = {"channel": wanted.channel, "receivers": receivers}
            return encode("published", message.request_id, data=result)
        case _:
            raise Refused("unknown_type", f"there is no type {message.type[:40]!r}")


def subscribe(socket: Connection, channel: str) -> None:
    """Join, if this client may. Raises Refused."""
    if channel.startswith(RESERVED):
        raise Refused("forbidden", "who is in user: and role: channels is the server's decision")
    if not HUB.is_member(socket, channel) and len(HUB.joined[socket]) >= MAX_CHANNELS:
        raise Refused("forbidden", f"at most {MAX_CHANNELS} channels on one connection")
    HUB.join(socket, channel)


def send_event(wanted: Publish, *, skip: Connection | None = None) -> int:
    """Write the event and its frame once, and offer it to everybody in the channel.

    Returns for how many it is. A plain function: no member, however slow, makes anybody wait here.
    """
    text = encode(wanted.event, channel=wanted.channel, data=wanted.payload)
    data = frame(text)
    members = [member for member in HUB.members(wanted.channel) if member is not skip]
    match wanted.policy:
        case "latest":
            if members:
                LATEST.put(wanted.channel, (wanted.event, wanted.key), data, skip)
            return len(members)
        case "drop":
            return sum(member.offer_or_drop(data) for member in members)
        case _:
            return sum(member.offer(data) for member in members)
