"""The outbox: a message for one client stays here until that client says that it has it.

It is sent at once if the client is connected, again after ACK_SECONDS without an `ack`, and again,
in order, when the client comes back. So it arrives at least once; `deliveryId` tells which it is.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from commands import Refused
from members import Member
from settings import ACK_SECONDS, OUTBOX_LIMIT
from written import Written

ALL_BYTES = 64_000_000  # that wait for all clients together


@dataclass(slots=True)
class Direct:
    event: Written
    size: int  # bytes
    due: float  # when it is sent, or sent again, in the loop's time


@dataclass(slots=True)
class Outbox:
    """What one client has not acknowledged yet, oldest first."""

    waiting: OrderedDict[str, Direct] = field(default_factory=OrderedDict)
    connection: Member | None = None  # the newest, if there is one: the others may be dead
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Outboxes:
    """The outboxes of all clients. One that is empty, of a client that is away, is not there."""

    def __init__(self) -> None:
        self.of: dict[str, Outbox] = {}
        self.size = 0  # bytes

    def add(self, client: str, event: str, payload: Any) -> str:
        """Keep a message for this client; returns its deliveryId. Raises Refused."""
        box = self.of.get(client, Outbox())
        delivery_id = secrets.token_hex(8)
        now = int(time.time() * 1000)
        written = Written({"type": event, "ts": now, "deliveryId": delivery_id, "data": payload})
        size = len(written.frame)
        if len(box.waiting) >= OUTBOX_LIMIT or self.size + size > ALL_BYTES:
            raise Refused("outbox_full", "too much waits for this client; try again later")
        box.waiting[delivery_id] = Direct(written, size, due=0.0)
        self.of[client] = box
        self.size += size
        box.changed.set()
        return delivery_id

    def acknowledge(self, client: str, delivery_id: str) -> None:
        """The client has it. Once or twice, it is the same."""
        box = self.of.get(client)
        if box and (direct := box.waiting.pop(delivery_id, None)):
            self.size -= direct.size
            self.forget_if_idle(client, box)

    def forget_if_idle(self, client: str, box: Outbox) -> None:
        if not box.waiting and box.connection is None:
            del self.of[client]

    async def send_to(self, client: str, member: Member) -> None:
        """Send what waits for this client over its newest connection, for as long as it is that."""
        box = self.of.setdefault(client, Outbox())
        box.connection = member
        box.changed.set()  # an older connection of this client, if any, stops sending
        for direct in box.waiting.values():
            direct.due = 0.0
        try:
            while box.connection is member and not member.gone:
                await self.send_due(box, member)
        finally:
            if box.connection is member:
                box.connection = None
                self.forget_if_idle(client, box)

    async def send_due(self, box: Outbox, member: Member) -> None:
        """Send what is due, in order, and wait until something else may be."""
        now = asyncio.get_running_loop().time
        box.changed.clear()
        for delivery_id, direct in list(box.waiting.items()):
            if box.connection is member and delivery_id in box.waiting and direct.due <= now():
                direct.due = now() + ACK_SECONDS
                member.tell(direct.event)
        next_due = min((direct.due for direct in box.waiting.values()), default=None)
        try:
            async with asyncio.timeout_at(next_due):
                await box.changed.wait()
        except TimeoutError:
            pass  # no ack came in time
