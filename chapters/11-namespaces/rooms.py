"""The namespace "/": for everybody with a token. The rooms of chapter 10, with names and a memory.

Every event has a number, so a client that comes back says in `auth` where it stopped.
"""

import asyncio
import time
from collections import Counter
from typing import Any

from commands import MAX_CHANNELS, RESERVED, Publish, Refused, read_channel, read_publish
from engine import sio
from guard import AUTHED, Guarded
from history import numbered, read_position
from leaving import announce
from middleware import FOR_EVERYBODY, Visitor
from session import own_affairs
from slow import make_room
from valkey_history import HISTORY_OF


class Rooms(Guarded):
    checks = FOR_EVERYBODY

    def __init__(self) -> None:
        super().__init__("/")
        # From an event's number until it is emitted: who leaves in between would get it after the
        # ack that says it has left, and two events of a channel could change places.
        self.emitting = asyncio.Lock()
        self.commands = {
            "subscribe": self.subscribe,
            "unsubscribe": self.unsubscribe,
            "publish": self.publish,
            "app:ping": self.ping,  # not `ping`: the engine has one of its own
            **own_affairs(self),
        }

    # Coming and going

    async def came(self, visitor: Visitor) -> None:
        """Give back what it was in, and what it has missed. Live events may come in between."""
        await announce(visitor, "joined")
        if not visitor.since:
            return
        channels: dict[str, Any] = {}
        for channel, position in visitor.since.items():
            if visitor.sid not in self.visitors:
                return  # it has left again
            try:
                channels[channel] = await self.subscribe(
                    visitor, {"channel": channel, "since": position.public}
                )
            except Refused as refused:
                channels[channel] = {"error": {"code": refused.code, "message": str(refused)}}
        await sio.emit(
            "session:recovered", {"channels": channels}, to=visitor.sid, ignore_queue=True
        )

    async def went(self, visitor: Visitor, reason: str) -> None:
        await announce(visitor, "left", reason=reason)

    async def gap(self) -> None:
        """The bus was away: only the clients know what they have, and what is missing."""
        await sio.emit("session:gap", {"ts": now()}, to=AUTHED, ignore_queue=True)

    # Rooms

    async def ping(self, visitor: Visitor, data: Any) -> dict[str, Any]:
        return {"ts": now()}

    async def subscribe(self, visitor: Visitor, data: Any) -> dict[str, Any]:
        """Join, if this client may; with `since`, catch up. Raises Refused."""
        channel, mine = read_channel(data), visitor.channels
        if channel.startswith(RESERVED) and channel not in visitor.rooms:
            raise Refused("forbidden", "user: and role: rooms are for their holders")
        if channel not in mine and len(mine) >= MAX_CHANNELS:
            raise Refused("forbidden", f"at most {MAX_CHANNELS} channels on one connection")
        since = data.get("since")
        position = read_position(since) if since is not None else None
        mine.add(channel)
        await self.enter_room(visitor.sid, channel)  # first join, then look: no gap in between
        if "since" not in data:
            return {"channel": channel}
        top, missed = await HISTORY_OF.after(channel, position)
        found = {"recovered": missed is not None, "missed": missed or []}
        return {"channel": channel, **top.public, **found}

    async def unsubscribe(self, visitor: Visitor, data: Any) -> dict[str, Any]:
        channel = read_channel(data)
        async with self.emitting:
            visitor.channels.discard(channel)
            if channel not in visitor.rooms:  # those are not the client's to leave
                await self.leave_room(visitor.sid, channel)
        return {"channel": channel}

    async def publish(self, visitor: Visitor, data: Any) -> dict[str, Any]:
        wanted = read_publish(data)
        if wanted.event.startswith("admin:") and visitor.identity.role != "admin":
            raise Refused("forbidden", "admin: events need the role admin")
        if wanted.channel not in visitor.channels:
            raise Refused("not_subscribed", "subscribe before you publish")
        skip = None if wanted.to_self else visitor.sid
        return {"channel": wanted.channel, "receivers": await self.send_event(wanted, skip=skip)}

    async def send_event(self, wanted: Publish, *, skip: str | None = None) -> int:
        """Number it, keep it, emit it to everybody in the channel; returns to how many here."""
        await make_room(self.members(wanted.channel, skip))
        async with self.emitting:
            event = {"channel": wanted.channel, "data": wanted.payload, "ts": now()}
            at = await HISTORY_OF.add(wanted.channel, {**event, "type": wanted.event})
            said = numbered(event, at.epoch, at.seq)
            # Others may be in it elsewhere. Never to=[], to="" or to=None: all mean everybody.
            await self.emit(wanted.event, said, to=wanted.channel, skip_sid=skip)
            return len(self.members(wanted.channel, skip))

    def members(self, room: str | list[str], skip: str | None = None) -> list[str]:
        return [sid for sid, _ in sio.manager.get_participants("/", room) if sid != skip]

    def stats(self) -> dict[str, Any]:
        """How many there are. Who is there, which user: and role: rooms would tell, is left out."""
        names = Counter(name for one in self.visitors.values() for name in one.channels)
        sizes = {name: n for name, n in names.items() if not name.startswith(RESERVED)}
        return {"connections": len(self.visitors), "channels": sizes}


def now() -> int:
    return int(time.time() * 1000)


ROOMS = Rooms()
