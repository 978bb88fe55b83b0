"""The bus of a single instance: chapter 6's numbers, history and state, in this process's memory.

What is published comes at once. After a restart all of it begins anew, under another epoch.
"""

import asyncio
import json
from typing import Any

import history
from bus import Bus, Missed
from event import Changed, Event
from positions import Position


class MemoryBus(Bus):
    name = "memory"

    def __init__(self, deliver: Any) -> None:
        super().__init__(deliver)
        self.past = history.History()

    async def publish(self, event: Event) -> int:
        """Number it, keep it, and have it delivered; no step before that suspends."""
        if event.policy == "queue":
            stream = self.past.stream(event.channel)
            if event.version not in (None, self.version(event.channel, event.state_id)):
                raise Changed
            text = self.past.add(stream, event.body["type"], event.body["data"])
            event.body, event.number = json.loads(text), Position(stream.epoch, stream.seq)
        return await asyncio.shield(await self.came(event))

    async def position(self, channel: str) -> Position:
        stream = self.past.stream(channel)
        return Position(stream.epoch, stream.seq)

    async def missed(self, channel: str, since: Position, top: Position | None) -> Missed:
        return self.past.stream(channel).since(history.Position(since.epoch, since.seq))

    async def snapshot(self, channel: str) -> dict[str, Any]:
        return self.past.stream(channel).snapshot()

    async def entry(self, channel: str, key: str) -> tuple[Any, str]:
        payload, _ = self.past.stream(channel).state.get(key, (None, 0))
        return payload, self.version(channel, key)

    def version(self, channel: str, key: str) -> str:
        """What it says is what it is: a payload that was changed has another `updatedAt`."""
        payload, _ = self.past.stream(channel).state.get(key, ("", 0))
        return json.dumps(payload) if payload else ""
