"""The bus over pub/sub: Valkey passes each event to whoever listens at that moment, and forgets it.

At most once: an instance that is away when an event passes never gets it, and does not know.
"""

import asyncio
import json

from settings import BUS_TIMEOUT
from settling import SIGNAL
from valkey_bus import ValkeyBus


class PubSubBus(ValkeyBus):
    name = "pubsub"
    was_up = False

    async def listen(self) -> None:
        async with self.listener.pubsub() as signals:
            async with asyncio.timeout(BUS_TIMEOUT):
                await signals.subscribe(SIGNAL)
            while True:
                async with asyncio.timeout(BUS_TIMEOUT):  # silence is no news: ask, and be answered
                    message = await signals.get_message(timeout=BUS_TIMEOUT / 2)
                    if message is None:
                        await signals.ping()
                        message = await signals.get_message(timeout=None)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    lost = ", and what passed meanwhile is lost" if self.was_up else ""
                    await self.up(f"subscribed{lost}")
                    self.was_up = True
                elif message["type"] == "message":
                    await self.heard(self.event(*json.loads(message["data"])))
