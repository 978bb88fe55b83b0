"""Rooms: who hears what. Chapter 9's, with chapter 7's rule: nobody waits for a member.

A room is a set of members. The hub is a dict of rooms, and the reverse of it, so that leaving
everything costs as much as was joined. A room without members is not there. These are the members
at this instance: who is at another is known there, and only there.
"""

from members import Member
from positions import Position


class Hub:
    """All rooms of this process. Nothing here can suspend: no change is ever half done."""

    def __init__(self) -> None:
        self.rooms: dict[str, set[Member]] = {}
        # Everybody, even who is in no room; each room with the position at which the member came,
        # where it is known: it gets what comes after that.
        self.joined: dict[Member, dict[str, Position | None]] = {}

    def enter(self, member: Member) -> None:
        """A new connection, in no room yet."""
        self.joined[member] = {}

    def join(self, member: Member, room: str, heard: Position | None = None) -> None:
        """Once or twice, it is the same: a set holds each member once."""
        self.rooms.setdefault(room, set()).add(member)
        self.joined[member][room] = heard

    def leave(self, member: Member, room: str) -> None:
        """Leave a room; the last one out takes the room along, or names would pile up for ever."""
        self.joined[member].pop(room, None)
        if members := self.rooms.get(room):
            members.discard(member)
            if not members:
                del self.rooms[room]

    def leave_all(self, member: Member) -> None:
        """The connection is gone, however it went."""
        for room in list(self.joined[member]):
            self.leave(member, room)
        del self.joined[member]

    def is_member(self, member: Member, room: str) -> bool:
        return member in self.rooms.get(room, ())

    def sizes(self) -> dict[str, int]:
        return {room: len(members) for room, members in self.rooms.items()}

    def members(self, room: str, number: Position | None = None) -> list[Member]:
        """Who is in the room and has not heard of this number yet: a copy, since they come and go.

        A member that came back has all up to some position from the history already.
        """
        found = []
        for member in self.rooms.get(room, ()):
            came = self.joined[member][room]
            if came is None or not came.covers(number):
                found.append(member)
        return found
