"""What pub/sub and streams have in common: one connection that listens, and a few that ask.

Valkey may go away at any time and come back. The listener notices, says so in `why`, tries again
until it is back, and goes on; who publishes meanwhile is told, and never kept waiting for long.
"""

import asyncio
import json
import random
import secrets
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from asking_valkey import Asking, reason
from bus import Deliver, Missed
from event import Changed, Event
from positions import Position
from settings import REDIS_URL
from settling import SCRIPT, arguments, keys

RETRY_SECONDS = (0.2, 1.0)  # between two attempts to listen again: not all instances at once


class ValkeyBus(Asking):
    """A bus that goes through Valkey; `listen` is up to pub/sub or streams."""

    def __init__(self, deliver: Deliver) -> None:
        super().__init__(deliver)
        self.listener: Any = Redis.from_url(REDIS_URL, socket_timeout=None, **self.options)
        self.settle = self.ask.register_script(SCRIPT)
        self.expected: dict[str, asyncio.Future[asyncio.Task[int]]] = {}  # by the event's token

    async def publish(self, event: Event) -> int | None:
        """Settle the event in Valkey, and wait until it comes back from there like any other."""
        said = [event.body, event.skip, event.token, event.policy, event.key]
        written, kept = json.dumps(said, allow_nan=False), event.policy == "queue"
        state = event.state_id if kept else ""
        new_epoch = secrets.token_hex(8)
        values = arguments(self.name, new_epoch, event.channel, written, kept, state, event.version)
        coming = self.expected[event.token] = asyncio.get_running_loop().create_future()
        try:
            async with self.in_time():
                names = keys(event.channel, event.request or event.token)
                epoch, seq, fresh = await self.settle(keys=names, args=values)
                if fresh == -1:
                    raise Changed
                event.number = Position(epoch, int(seq)) if epoch else None
                if not fresh:
                    return None
                delivery = await coming
        finally:
            del self.expected[event.token]
        return await asyncio.shield(delivery)  # whoever gives up waiting must not stop it

    def event(self, channel: str, epoch: str, seq: Any, event: str) -> Event:
        """An event as the script has written it."""
        body, skip, token, policy, key = json.loads(event)
        number = Position(epoch, int(seq)) if epoch else None
        return Event(channel, body, skip, "", token, number, policy, key)

    async def heard(self, event: Event) -> None:
        """What the listener read is delivered; the one who published it here, if any, is told."""
        delivery = await self.came(event)
        coming = self.expected.get(event.token)
        if coming is not None and not coming.done():
            coming.set_result(delivery)

    async def missed(self, channel: str, since: Position, top: Position | None) -> Missed:
        return [] if since == top else None  # pub/sub keeps nothing

    async def run(self) -> None:
        while True:
            try:
                await self.listen()
            except (RedisError, OSError, TimeoutError) as error:
                self.why = f"Valkey: {reason(error)}"
                print(f"the bus is away: {self.why}", flush=True)
            await asyncio.sleep(random.uniform(*RETRY_SECONDS))

    async def up(self, how: str) -> None:
        """The listener is back. What stood idle meanwhile may be dead, and not look it."""
        await self.ask.connection_pool.disconnect(inuse_connections=False)
        self.why = None
        print(f"the bus is up: {how}", flush=True)

    async def listen(self) -> None:
        """Pass on what comes, by `heard`, until Valkey is away. Raises what redis-py raises."""
        raise NotImplementedError
