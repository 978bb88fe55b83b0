"""The namespace "/admin": for the role admin. It shares the engine with "/", and nothing else.

To one user, to many rooms, and out with somebody: at every instance.
"""

from typing import Any

from commands import CHANNEL, EVENT, Refused, named
from engine import sio
from guard import Guarded
from instances import manager, require_bus
from middleware import FOR_ADMINS, Visitor
from rooms import ROOMS, now
from session import own_affairs
from slow import make_room
from tokens import LOGGED_OUT, log_out
from users import NAME

MOST_ROOMS = 100  # of one notice


class Admin(Guarded):
    checks = FOR_ADMINS

    def __init__(self) -> None:
        super().__init__("/admin")
        self.commands = {
            **own_affairs(self),
            "admin:users": self.users,
            "admin:notify": self.notify,
            "admin:kick": self.kick,
        }

    async def users(self, visitor: Visitor, data: Any) -> list[dict[str, Any]]:
        """Who is in "/", at this instance: the library knows of no other."""
        return [
            {**one.identity.public, "rooms": sorted(sio.rooms(sid, "/")), "ip": one.ip}
            for sid, one in ROOMS.visitors.items()
        ]

    async def notify(self, visitor: Visitor, data: Any) -> dict[str, Any]:
        """One event to many rooms: who is in several of them gets it once."""
        event = named(data, "event", EVENT)
        rooms, payload = data.get("rooms"), data.get("payload")
        if not isinstance(rooms, list) or len(rooms) > MOST_ROOMS:
            raise Refused("bad_request", f"rooms has to be a list of at most {MOST_ROOMS}")
        rooms = [named({"rooms": room}, "rooms", CHANNEL) for room in rooms]
        if not rooms:
            return {"receivers": 0}  # to=[] would be everybody, also who is not let in yet
        require_bus()
        receivers = ROOMS.members(rooms)
        await make_room(receivers)
        said = {"data": payload, "from": visitor.identity.user, "ts": now()}
        await sio.emit(event, said, to=rooms, namespace="/")
        return {"receivers": len(receivers)}

    async def kick(self, visitor: Visitor, data: Any) -> dict[str, Any]:
        user, reason = named(data, "user", NAME), str(data.get("reason", ""))[:200]
        visitor.note("kick", about=user, reason=reason)
        return {"user": user, "closed": await dismiss_everywhere(user, "kicked", reason)}


ADMIN = Admin()


async def dismiss_everywhere(user: str, code: str, reason: str) -> int:
    """End this user's connections at every instance; returns how many here. Raises Refused."""
    if code == "logged_out":
        log_out(user)
    if manager is not None:
        at = LOGGED_OUT.get(user, 0.0)
        await manager.tell_all(user=user, code=code, reason=reason, loggedOut=at)
    closed = await dismiss_here(user, code, reason)
    require_bus()  # done here; the others may not have heard
    return closed


async def dismiss_here(user: str, code: str, reason: str) -> int:
    closed = await ROOMS.dismiss_user(user, code, reason)
    return closed + await ADMIN.dismiss_user(user, code, reason)


async def obey(order: dict[str, Any]) -> None:
    """What another instance has decided."""
    if order["loggedOut"]:
        LOGGED_OUT[order["user"]] = order["loggedOut"]
    await dismiss_here(order["user"], order["code"], order["reason"])
