"""Renewing: who comes in is put into the rooms of its user and role, and a newer token keeps it."""

from typing import Any

from commands import Refused
from fanout import HUB
from members import Member
from permissions import own_rooms
from sessions import Session
from tokens import BadToken, Identity, read


def enter(member: Member, identity: Identity) -> None:
    """A new connection, in the rooms of its user and role."""
    HUB.enter(member)
    for room in own_rooms(identity):
        HUB.join(member, room)


def refresh(member: Member, session: Session, data: Any) -> None:
    """Let the connection live as long as the new token, in its role. Raises Refused."""
    token = data.get("token") if isinstance(data, dict) else None
    if not isinstance(token, str):
        raise Refused("bad_request", "token has to be a string")
    try:
        identity = read(token)
    except BadToken as bad:
        raise Refused("forbidden", str(bad)) from bad
    if identity.user != session.identity.user:
        raise Refused("forbidden", "this is somebody else's token")
    for room in own_rooms(session.identity) - own_rooms(identity):
        HUB.leave(member, room)
    for room in own_rooms(identity):
        HUB.join(member, room)
    session.renew(identity)
