"""The guard: every event passes here, and every one of them gets its answer.

Left alone, the library answers nothing when a handler fails, nothing when none is there, and
neither lets a client in nor refuses it when the `connect` handler fails.
"""

import logging
from collections.abc import Mapping
from typing import Any

import socketio
from socketio.exceptions import ConnectionRefusedError

from commands import Refused
from packets import NOT_AN_EVENT
from slow import make_room

LOG = logging.getLogger("socketio")


class Guarded(socketio.AsyncNamespace):
    """A namespace whose commands are a table, not method names that a client may guess."""

    commands: Mapping[str, Any]

    async def let_in(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        raise NotImplementedError

    async def gone(self, sid: str, reason: str) -> None:
        raise NotImplementedError

    async def trigger_event(self, event: str, *args: Any) -> Any:
        """The one door: middleware, validation and rate limits would stand here as well."""
        if event == "connect":
            return await self.connect(*args)
        if event == "disconnect":
            return await self.gone(*args)
        sid, data = args[0], args[1] if len(args) > 1 else None
        try:
            await make_room([sid])  # its acks wait in a queue too
            if event == NOT_AN_EVENT:
                raise Refused("bad_message", "an event is a list that begins with a name of yours")
            if event not in self.commands:
                raise Refused("unknown_type", f"there is no event {event[:40]!r}")
            return {"ok": True, "data": await self.commands[event](sid, data)}
        except Refused as refused:
            return failure(refused.code, str(refused))
        except RecursionError:
            return failure("bad_message", "the message is nested too deeply")
        except Exception:
            LOG.exception("the handler of %.40r failed", event)
            return failure("internal", "the server failed at this")

    async def connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Let in or refuse, aloud: any other exception would leave the client in between."""
        try:
            await self.let_in(sid, environ, auth)
        except Refused as refused:
            raise ConnectionRefusedError(str(refused), {"code": refused.code}) from None
        except Exception:
            LOG.exception("the connect handler failed")
            raise ConnectionRefusedError("the server failed", {"code": "internal"}) from None


def failure(code: str, message: str) -> dict[str, Any]:
    """What an ack says when the event was not granted."""
    return {"ok": False, "error": {"code": code, "message": message}}
