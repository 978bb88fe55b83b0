"""Devices: members that have a name of their own, under which they come back.

The name is in the address, `/ws?client=NAME`. Requests are numbered from a random number on, so
that no requestId stands for two things by accident, on whichever connection.
"""

from __future__ import annotations

import random
from typing import Any

from tests.harness.member import Envelope, Member, short
from tests.harness.peer import WITHIN, Peer
from tests.harness.subject import Subject
from tests.harness.verdict import fail, require


class Device(Member):
    """One connection of a client with a name."""

    def __init__(self, peer: Peer, name: str) -> None:
        super().__init__(peer)
        self.name = name
        self.count = random.randrange(10**6) * 10**4

    # Requests

    async def send_as(self, request_id: str, type: str, data: object) -> None:
        """Send a request under this requestId, used or not."""
        self.awaited.add(request_id)
        await self.peer.send_json({"type": type, "requestId": request_id, "data": data})

    async def ask_as(self, request_id: str, type: str, data: object) -> Envelope:
        """The reply to a request under this requestId."""
        await self.send_as(request_id, type, data)
        return await self.reply(request_id)

    async def subscribe_since(self, channel: str, since: object = None) -> Envelope:
        """Subscribe from a position; returns the data of `subscribed`."""
        wanted = {"channel": channel} if since is None else {"channel": channel, "since": since}
        reply = await self.ask("subscribe", wanted)
        data = reply.get("data")
        expected = '{"type":"subscribed","data":{"channel":…,"epoch":…,"seq":…}}'
        right = (
            reply.get("type") == "subscribed"
            and isinstance(data, dict)
            and type(data.get("seq")) is int
            and isinstance(data.get("epoch"), str)
            and data.get("channel") == channel
        )
        if not right or not isinstance(data, dict):
            fail("subscribe is not granted as it should be", expected=expected, got=short(reply))
        if since is not None:
            right = isinstance(data.get("recovered"), bool) and isinstance(data.get("missed"), list)
            expected = '"recovered":true or false, "missed":[…]'
            require(right, "`subscribed` lacks a field", expected=expected, got=short(reply))
        return data

    # Direct messages

    async def notify(self, client: str, payload: object, event: str = "check:told") -> str:
        """Tell another client; returns the deliveryId."""
        wanted = {"client": client, "event": event, "payload": payload}
        return delivery_of(await self.ask("notify", wanted))

    async def ack(self, delivery_id: str) -> None:
        reply = await self.ask("ack", {"deliveryId": delivery_id})
        require(reply.get("type") != "error", "an ack is refused", got=short(reply))

    async def told(self, expecting: str, within: float = WITHIN) -> tuple[Any, str]:
        """The next direct message: its payload and its deliveryId."""
        event = await self.event(expecting, within)
        delivery_id = event.get("deliveryId")
        if not isinstance(delivery_id, str):
            fail("a direct message has a deliveryId", expected=expecting, got=short(event))
        return event.get("data"), delivery_id


def delivery_of(reply: Envelope) -> str:
    """The deliveryId that `notified` names; `fail()` for another reply."""
    data = reply.get("data")
    delivery_id = data.get("deliveryId") if isinstance(data, dict) else None
    expected = '{"type":"notified","data":{"deliveryId":…}}'
    if reply.get("type") != "notified" or not isinstance(delivery_id, str):
        fail("notify is not granted", expected=expected, got=short(reply))
    return delivery_id


async def device(subject: Subject, name: str, *channels: str, port: int = 0) -> Device:
    """A client of this name, welcomed and in these channels.

    port  of a wire, or of another process; the subject's own if 0
    """
    peer = Peer(subject.exchange)
    await peer.dial(subject.host, port or subject.port)
    response = await peer.request(f"{subject.path}?client={name}")
    require(
        response.status == 101,
        f"a client that names itself, {subject.path}?client={name}, is refused",
        expected="status 101",
        got=response,
    )
    await peer.welcome()
    newcomer = Device(peer, name)
    for channel in channels:
        await newcomer.subscribe(channel)
    return newcomer
