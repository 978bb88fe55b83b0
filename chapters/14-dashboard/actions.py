"""Actions: from a wish to a change of the board, once, whoever else changes it meanwhile.

Look, decide, and publish on the condition that nothing has changed since you looked. No lock: who
comes second looks again, at this instance or at another one. A repeat is answered as before.
"""

import time
from typing import Any

from board import ACTIONS, ID, Action, Thing, new_order
from commands import Publish, Refused, named
from event import Changed, Event
from fanout import THE_BUS
from tokens import Identity

MOST_LOOKS = 20  # somebody else has to succeed for each that fails


async def act(identity: Identity, name: str, data: Any, request: str) -> dict[str, Any]:
    """What a user asks for; returns what there is to say of it. Raises Refused, BusUnavailable."""
    action = ACTIONS[name]
    if action.role and identity.role != action.role:
        raise Refused("forbidden", f"{name} needs the role {action.role}")
    thing = (request and await THE_BUS.settled(action.channel, request)) or None
    if thing is None:
        thing = await carry_out(action, data, request)
    return {"id": thing["id"], "status": thing["status"]}


async def carry_out(action: Action, data: Any, request: str = "") -> Thing:
    """Change the board, and return what there is now. Raises Refused and BusUnavailable."""
    for _ in range(MOST_LOOKS):
        if action.change is None:
            thing, version = new_order(data), ""
        else:
            before, version = await THE_BUS.entry(action.channel, named(data, "id", ID))
            if before is None:
                raise Refused("bad_request", "there is no such id on the board")
            thing = action.change(before)
        try:
            if await put(action.channel, action.event, thing, version, request) is None:
                return await THE_BUS.settled(action.channel, request) or thing
            return thing
        except Changed:
            continue
    raise Refused("bad_request", "it changes too fast; look again")


async def put(channel: str, event: str, thing: Thing, version: str, request: str) -> int | None:
    """Publish a new state, if the old one is still this. Raises Changed and BusUnavailable."""
    thing["updatedAt"] = int(time.time() * 1000)
    body = {"type": event, "channel": channel, "data": thing, "ts": thing["updatedAt"]}
    return await THE_BUS.publish(Event(channel, body, request=request, version=version))


def check_open(wanted: Publish) -> None:
    """The board changes by actions alone: a publish could say anything. Raises Refused."""
    if wanted.channel.startswith("board:"):
        raise Refused("forbidden", "the board changes by its actions: order:advance, for example")
