"""The bus: how an event gets from one instance to the members on all of them.

Who publishes hands the event to the bus and delivers nothing. Every instance, the publisher's own
too, delivers what comes from the bus as it comes: the same order everywhere, and never twice.
A single instance needs no more than memory_bus.py; others: pubsub.py, streams.py. New here: every
bus also knows the state of a channel, and can change it on a condition.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from event import Event
from positions import Position

MOST_WAITING = 1000  # events that came from the bus and wait for members who read slowly

Envelope = dict[str, Any]
Missed = list[Envelope] | None  # None: not all of them are known


Deliver = Callable[[Event], Awaitable[int]]  # to the members here; returns how many


class Bus:
    """What every bus does at an instance; `name` and `publish` are up to each."""

    name = ""
    why: str | None = "it has not been reached yet"  # why the bus does not work; None: it does

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.lanes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.space = asyncio.Semaphore(MOST_WAITING)
        self.deliveries: set[asyncio.Task[int]] = set()

    def lane(self, channel: str) -> asyncio.Lock:
        """Who holds it is alone with the channel; all others wait in the order in which they came.

        A member that reads nothing delays its own channel, and not the others. A lane is forgotten
        with the last who holds it or waits.
        """
        lane = self.lanes.get(channel)
        if lane is None:
            lane = self.lanes[channel] = asyncio.Lock()
        return lane

    async def came(self, event: Event) -> asyncio.Task[int]:
        """An event came from the bus: have it delivered. Waits only when too many wait already."""
        await self.space.acquire()
        task = asyncio.create_task(self._in_its_lane(event))
        self.deliveries.add(task)
        task.add_done_callback(self.deliveries.discard)
        return task

    async def _in_its_lane(self, event: Event) -> int:
        try:
            async with self.lane(event.channel):
                return await self.deliver(event)
        finally:
            self.space.release()

    async def publish(self, event: Event) -> int | None:
        """Number and spread an event; returns to how many members here it was delivered.

        None if it had taken effect before. Raises BusUnavailable and Changed.
        """
        raise NotImplementedError

    async def position(self, channel: str) -> Position | None:
        """How far the channel has come. Raises BusUnavailable."""
        return None

    async def missed(self, channel: str, since: Position, top: Position | None) -> Missed:
        """The events after `since` up to `top`, all of them or None. Raises BusUnavailable."""
        return None

    async def snapshot(self, channel: str) -> dict[str, Any]:
        """The state, and the position that it is of. Raises BusUnavailable."""
        raise NotImplementedError

    async def entry(self, channel: str, key: str) -> tuple[Any, str]:
        """One id of the state: its payload, and its version. Raises BusUnavailable."""
        raise NotImplementedError

    async def settled(self, channel: str, request: str) -> Any:
        """The payload that this request led to, if it took effect before. Raises BusUnavailable."""
        return None

    async def claim(self, what: str, seconds: float) -> bool:
        """Whether this instance is the one that does this, for so long. Raises BusUnavailable."""
        return True

    async def keep(self, name: str, value: str, seconds: float) -> None:
        """Where all instances can take it away, for so long. Raises BusUnavailable."""
        raise NotImplementedError

    async def take_away(self, name: str) -> str | None:
        """What was kept, if nobody else has taken it. Raises BusUnavailable."""
        raise NotImplementedError

    async def run(self) -> None:
        """Listen to the bus for as long as the program lives."""
        self.why = None
