"""Session data: what the server keeps about one client in one namespace, until it leaves.

The library's session belongs to the engine and to this instance: a client that comes back finds
nothing of it, one that leaves with `41` and enters anew would find it all: guard.py empties it.
"""

import re
from typing import Any

from commands import Refused, named
from guard import Command, Guarded
from middleware import Visitor
from tokens import BadToken, read

NICKNAME = re.compile(r"\S(.{0,30}\S)?")


def own_affairs(namespace: Guarded) -> dict[str, Command]:
    """The commands of every namespace that concern the client itself."""

    async def name(visitor: Visitor, data: Any) -> dict[str, Any]:
        async with namespace.session(visitor.sid) as session:
            session["name"] = named(data, "name", NICKNAME)
        return await whoami(visitor, data)

    async def whoami(visitor: Visitor, data: Any) -> dict[str, Any]:
        session = await namespace.get_session(visitor.sid)
        return {**visitor.identity.public, "name": session.get("name")}

    async def refresh(visitor: Visitor, data: Any) -> dict[str, Any]:
        """Stay for as long as a newer token says, if it is this user's."""
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str):
            raise Refused("bad_request", "token has to be a string")
        try:
            identity = read(token)
        except BadToken as bad:
            raise Refused("unauthorized", str(bad)) from bad
        if identity.public != visitor.identity.public:
            raise Refused("forbidden", "that is somebody else's token")
        namespace.renew(visitor, identity)
        return {"expiresIn": int(identity.seconds_left)}

    return {"session:name": name, "session:whoami": whoami, "auth:refresh": refresh}
