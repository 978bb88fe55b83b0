"""Rooms: who hears what.

A room is a set of connections. The hub is a dict of rooms, and the reverse of it, so that leaving
everything costs as much as was joined. A room without members is not there.
"""

import asyncio

from closing import Socket
from settings import HEARTBEAT_SECONDS

DELIVERY_SECONDS = HEARTBEAT_SECONDS  # that members who do not read may make the others wait


class Hub:
    """All rooms of this process. Only `deliver` can suspend: no change is ever half done."""

    def __init__(self) -> None:
        self.rooms: dict[str, set[Socket]] = {}
        self.joined: dict[Socket, set[str]] = {}  # every connection, even one that is in no room

    def enter(self, socket: Socket) -> None:
        """A new connection, in no room yet."""
        self.joined[socket] = set()

    def join(self, socket: Socket, room: str) -> None:
        """Once or twice, it is the same: a set holds each member once."""
        self.rooms.setdefault(room, set()).add(socket)
        self.joined[socket].add(room)

    def leave(self, socket: Socket, room: str) -> None:
        """Leave a room; the last one out takes the room along, or names would pile up for ever."""
        self.joined[socket].discard(room)
        if members := self.rooms.get(room):
            members.discard(socket)
            if not members:
                del self.rooms[room]

    def leave_all(self, socket: Socket) -> None:
        """The connection is gone, however it went."""
        for room in list(self.joined[socket]):
            self.leave(socket, room)
        del self.joined[socket]

    def is_member(self, socket: Socket, room: str) -> bool:
        return socket in self.rooms.get(room, ())

    def sizes(self) -> dict[str, int]:
        return {room: len(members) for room, members in self.rooms.items()}

    async def deliver(self, room: str, text: str, *, skip: Socket | None = None) -> int:
        """Send to every member but `skip`, one after the other; returns how many were sent to.

        A member that stops reading makes the others wait here. Who takes nothing until the deadline
        is cut off, or the publisher, whom nobody reads meanwhile, would be taken for dead itself.
        """
        receivers = 0
        deadline = asyncio.get_running_loop().time() + DELIVERY_SECONDS
        for member in list(self.rooms.get(room, ())):  # a copy: members come and go while we wait
            if member is skip or member.said_goodbye or not self.is_member(member, room):
                continue
            try:
                async with asyncio.timeout_at(deadline):  # only who makes us wait can miss it
                    await member.send_str(text)
            except TimeoutError:
                print("a member does not read: dropped", flush=True)
                member.transport.abort()
                continue
            except ConnectionError:
                continue  # this one is gone; its own handler cleans up after it
            receivers += 1
        return receivers
