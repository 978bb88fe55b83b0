"""Rooms: who hears what.

A room is a set of connections. The hub is a dict of rooms, and the reverse of it, so that leaving
everything costs as much as was joined. A room without members is not there.
"""

from outbound import Connection


class Hub:
    """All rooms of this process. Nothing here can suspend: no change is ever half done."""

    def __init__(self) -> None:
        self.rooms: dict[str, set[Connection]] = {}
        # Every connection, even one that is in no room.
        self.joined: dict[Connection, set[str]] = {}

    def enter(self, socket: Connection) -> None:
        """A new connection, in no room yet."""
        self.joined[socket] = set()

    def join(self, socket: Connection, room: str) -> None:
        """Once or twice, it is the same: a set holds each member once."""
        self.rooms.setdefault(room, set()).add(socket)
        self.joined[socket].add(room)

    def leave(self, socket: Connection, room: str) -> None:
        """Leave a room; the last one out takes the room along, or names would pile up for ever."""
        self.joined[socket].discard(room)
        if members := self.rooms.get(room):
            members.discard(socket)
            if not members:
                del self.rooms[room]

    def leave_all(self, socket: Connection) -> None:
        """The connection is gone, however it went."""
        for room in list(self.joined[socket]):
            self.leave(socket, room)
        del self.joined[socket]

    def is_member(self, socket: Connection, room: str) -> bool:
        return socket in self.rooms.get(room, ())

    def sizes(self) -> dict[str, int]:
        return {room: len(members) for room, members in self.rooms.items()}

    def members(self, room: str) -> list[Connection]:
        """Who is in the room now: a copy, since members come and go."""
        return list(self.rooms.get(room, ()))
