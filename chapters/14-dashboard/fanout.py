"""The rooms of this instance, and the bus that joins them to those of the others.

What comes from the bus is delivered here, whichever instance it was published at. What becomes of
it for a member that is busy, its policy says.
"""

import asyncio
import time
from typing import Any

from bus import Bus
from coalesce import Latest
from event import Event
from memory_bus import MemoryBus
from rooms import Hub
from sessions import log_out_everywhere
from settings import BUS, REDIS_URL
from tokens import LOGGED_OUT
from written import Written

ORDER = "order"  # a policy that no client can ask for
HUB = Hub()
LATEST = Latest(HUB.members)


async def deliver(event: Event) -> int:
    """Tell the members here; returns for how many it is. No member makes anybody wait."""
    if event.policy == ORDER:
        return obey(event.body["data"])
    written = Written(event.message())
    members = HUB.members(event.channel, event.number)
    members = [member for member in members if member.name != event.skip and not member.gone]
    match event.policy:
        case "latest":
            if members:
                key = (event.body["type"], event.key)
                LATEST.put(event.channel, key, written, event.skip)
            return len(members)
        case "drop":
            return sum(member.tell_or_drop(written) for member in members)
        case _:
            return sum(member.tell(written) for member in members)


def obey(order: dict[str, Any]) -> int:
    """What an instance tells all instances, itself too; returns how many sessions it ended."""
    user = order["logout"]
    LOGGED_OUT[user] = order["at"]
    return log_out_everywhere(user)


async def order_logout(user: str) -> int:
    """Make this user's tokens void at every instance. Raises BusUnavailable."""
    body = {"type": "logout", "data": {"logout": user, "at": time.time()}}
    return await THE_BUS.publish(Event("orders", body, policy=ORDER)) or 0


def choose_bus() -> Bus:
    """The one that the settings name. A single instance needs neither Valkey nor its package."""
    if not REDIS_URL:
        return MemoryBus(deliver)
    if BUS == "pubsub":
        from pubsub import PubSubBus

        return PubSubBus(deliver)
    from streams import GAP, StreamsBus

    class Streams(StreamsBus):
        async def tell_of_the_gap(self) -> None:
            """Chapter 9's knows the native clients alone."""
            await super().tell_of_the_gap()
            goodbyes = (member.say_goodbye(*GAP) for member in list(HUB.joined))
            await asyncio.gather(*goodbyes, return_exceptions=True)

    return Streams(deliver)


THE_BUS = choose_bus()
