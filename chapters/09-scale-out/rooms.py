"""Rooms: who hears what.

A room is a set of connections. The hub is a dict of rooms, and the reverse of it, so that leaving
everything costs as much as was joined. A room without members is not there. These are the members
at this instance: who is at another is known there, and only there.
"""

import asyncio
import secrets

from closing import Socket
from positions import Position
from settings import HEARTBEAT_SECONDS

DELIVERY_SECONDS = HEARTBEAT_SECONDS  # that members who do not read may make the others wait


class Hub:
    """All rooms of this process. Only `deliver` can suspend: no change is ever half done."""

    def __init__(self) -> None:
        self.rooms: dict[str, set[Socket]] = {}
        # Every connection, even one that is in no room; each room with the position at which the
        # member came, where it is known: it gets what comes after that.
        self.joined: dict[Socket, dict[str, Position | None]] = {}
        self.names: dict[Socket, str] = {}  # no two alike on all instances

    def enter(self, socket: Socket) -> None:
        """A new connection, in no room yet."""
        self.joined[socket] = {}
        self.names[socket] = secrets.token_hex(16)

    def join(self, socket: Socket, room: str, heard: Position | None) -> None:
        """Once or twice, it is the same: a set holds each member once."""
        self.rooms.setdefault(room, set()).add(socket)
        self.joined[socket][room] = heard

    def leave(self, socket: Socket, room: str) -> None:
        """Leave a room; the last one out takes the room along, or names would pile up for ever."""
        self.joined[socket].pop(room, None)
        if members := self.rooms.get(room):
            members.discard(socket)
            if not members:
                del self.rooms[room]

    def leave_all(self, socket: Socket) -> None:
        """The connection is gone, however it went."""
        for room in list(self.joined[socket]):
            self.leave(socket, room)
        del self.joined[socket], self.names[socket]

    def is_member(self, socket: Socket, room: str) -> bool:
        return socket in self.rooms.get(room, ())

    def sizes(self) -> dict[str, int]:
        return {room: len(members) for room, members in self.rooms.items()}

    def wants(self, member: Socket, room: str, number: Position | None) -> bool:
        """Whether it is a member, and came before this event or does not know when."""
        if member.said_goodbye or not self.is_member(member, room):
            return False
        came = self.joined[member][room]
        return came is None or not came.covers(number)

    async def deliver(
        self, room: str, text: str, *, skip: str = "", number: Position | None = None
    ) -> int:
        """Send to every member but `skip`, one after the other; returns how many were sent to.

        A member that stops reading makes the others wait here. Who takes nothing until the deadline
        is cut off, or the publisher, whom nobody reads meanwhile, would be taken for dead itself.
        """
        receivers = 0
        deadline = asyncio.get_running_loop().time() + DELIVERY_SECONDS
        for member in list(self.rooms.get(room, ())):  # a copy: members come and go while we wait
            if not self.wants(member, room, number) or self.names[member] == skip:
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
