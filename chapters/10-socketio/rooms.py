"""Rooms, the handlers: Socket.IO delivers, we decide who may join and who hears.

Its rooms know neither limits nor permissions, so what a client is in is kept beside them.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from commands import MAX_CHANNELS, RESERVED, Publish, Refused, read_channel, read_publish
from engine import sio
from guard import Guarded
from slow import let_go, make_room

Command = Callable[[str, Any], Awaitable[Any]]


class Rooms(Guarded):
    """The namespace "/": each client's channels, and what it may ask for."""

    def __init__(self) -> None:
        super().__init__("/")
        self.joined: dict[str, set[str]] = {}  # sid → channels, of clients that were let in
        self.commands: dict[str, Command] = {
            "subscribe": self.subscribe,
            "unsubscribe": self.unsubscribe,
            "publish": self.publish,
            "app:ping": self.ping,  # not `ping`: the engine has one of its own
        }

    async def let_in(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        """`auth` is any JSON the client likes. Nobody hears anything before this is done."""
        if auth is not None and not isinstance(auth, dict):
            raise Refused("bad_request", "auth has to be an object")
        self.joined[sid] = set()

    async def gone(self, sid: str, reason: str) -> None:
        """Socket.IO takes it out of its rooms; we forget what we know of it."""
        print(f"a client left: {reason}", flush=True)
        self.joined.pop(sid, None)
        if reason == sio.reason.PING_TIMEOUT:
            let_go(sid)

    async def ping(self, sid: str, data: Any) -> dict[str, Any]:
        return {"ts": now()}

    async def subscribe(self, sid: str, data: Any) -> dict[str, Any]:
        """Join, if this client may. Raises Refused."""
        channel, mine = read_channel(data), self.joined[sid]
        if channel.startswith(RESERVED):
            raise Refused("forbidden", "the server decides who is in user: and role:")
        if channel not in mine and len(mine) >= MAX_CHANNELS:
            raise Refused("forbidden", f"at most {MAX_CHANNELS} channels on one connection")
        mine.add(channel)
        await self.enter_room(sid, channel)
        return {"channel": channel}

    async def unsubscribe(self, sid: str, data: Any) -> dict[str, Any]:
        channel = read_channel(data)
        self.joined[sid].discard(channel)
        await self.leave_room(sid, channel)
        return {"channel": channel}

    async def publish(self, sid: str, data: Any) -> dict[str, Any]:
        wanted = read_publish(data)
        if wanted.channel not in self.joined[sid]:
            raise Refused("not_subscribed", "subscribe before you publish")
        receivers = await self.send_event(wanted, skip=None if wanted.to_self else sid)
        return {"channel": wanted.channel, "receivers": receivers}

    async def send_event(self, wanted: Publish, *, skip: str | None = None) -> int:
        """Emit to everybody in the channel; returns to how many."""
        await make_room(self.members(wanted.channel, skip))
        receivers = len(self.members(wanted.channel, skip))  # while we waited, some have left
        if receivers == 0:
            return 0  # and never emit(to=[]), to='' or to=None: all three mean everybody
        event = {"channel": wanted.channel, "data": wanted.payload, "ts": now()}
        # One step for all members: who leaves gets no event after the ack that says it has left.
        await self.emit(wanted.event, event, to=wanted.channel, skip_sid=skip)
        return receivers

    def members(self, channel: str, skip: str | None = None) -> list[str]:
        return [sid for sid, _ in sio.manager.get_participants("/", channel) if sid != skip]

    def stats(self) -> dict[str, Any]:
        sizes = Counter(channel for channels in self.joined.values() for channel in channels)
        return {"connections": len(self.joined), "channels": sizes}


def now() -> int:
    return int(time.time() * 1000)
