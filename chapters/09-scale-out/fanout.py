"""The rooms of this instance, and the bus that joins them to those of the others.

What comes from the bus is delivered here, whichever instance it was published at.
"""

from bus import Bus, Event, MemoryBus
from envelope import encode
from rooms import Hub
from settings import BUS, REDIS_URL

HUB = Hub()


async def deliver(event: Event) -> int:
    """Write the event once, and send it to the members here; returns to how many."""
    text = encode(**event.message())
    return await HUB.deliver(event.channel, text, skip=event.skip, number=event.number)


def choose_bus() -> Bus:
    """The one that the settings name. A single instance needs neither Valkey nor its package."""
    if not REDIS_URL:
        return MemoryBus(deliver)
    if BUS == "pubsub":
        from pubsub import PubSubBus

        return PubSubBus(deliver)
    from streams import StreamsBus

    return StreamsBus(deliver)


THE_BUS = choose_bus()
