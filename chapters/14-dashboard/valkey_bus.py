"""What pub/sub and streams have in common: one connection that listens, and a few that ask.

Valkey may go away at any time and come back. The listener notices, says so in `why`, tries again
until it is back, and goes on; who publishes meanwhile is told, and never kept waiting for long.
"""

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bus import Bus, BusUnavailable, Changed, Deliver, Event, Missed
from positions import Position
from settings import BUS_TIMEOUT, REDIS_URL
from settling import PREFIX, SCRIPT, TAKE, arguments, keys

CONNECTIONS = 16  # that ask at the same time
RETRY_SECONDS = (0.2, 1.0)  # between two attempts to listen again: not all instances at once


def reason(error: Exception) -> str:
    """In a few words, and without the address: it may hold a password."""
    if isinstance(error, TimeoutError):
        return f"no answer within {BUS_TIMEOUT:g} s"
    return type(error).__name__


class ValkeyBus(Bus):
    """A bus that goes through Valkey; `listen` is up to pub/sub or streams."""

    def __init__(self, deliver: Deliver) -> None:
        super().__init__(deliver)
        # What fails is tried again by us or by the client, never behind our back.
        options: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "decode_responses": True}
        options |= {"protocol": 2, "socket_connect_timeout": BUS_TIMEOUT}
        asking = {"max_connections": CONNECTIONS, "timeout": BUS_TIMEOUT, **options}
        self.ask: Any = Redis.from_pool(BlockingConnectionPool.from_url(REDIS_URL, **asking))
        self.listener: Any = Redis.from_url(REDIS_URL, socket_timeout=None, **options)
        self.settle = self.ask.register_script(SCRIPT)
        self.take, self.me = self.ask.register_script(TAKE), secrets.token_hex(8)
        self.expected: dict[str, asyncio.Future[asyncio.Task[int]]] = {}  # by the event's token

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """For everything that somebody waits for. Raises BusUnavailable."""
        if self.why is not None:
            raise BusUnavailable(self.why)
        try:
            async with asyncio.timeout(BUS_TIMEOUT):
                yield
        except (RedisError, OSError, TimeoutError) as error:
            raise BusUnavailable(reason(error)) from error

    async def publish(self, event: Event) -> int | None:
        """Settle the event in Valkey, and wait until it comes back from there like any other."""
        said = [event.body, event.skip, event.token, event.policy, event.key]
        written, kept = json.dumps(said, allow_nan=False), event.policy == "queue"
        state = event.state_id if kept else ""
        new_epoch = secrets.token_hex(8)
        values = arguments(
            self.name, new_epoch, event.channel, written, kept, state, event.version
        )
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

    async def position(self, channel: str) -> Position:
        async with self.in_time():
            epoch, seq = await self.ask.hmget(keys(channel, "")[1], ["epoch", "seq"])
        return Position(epoch or "", int(seq or 0))

    async def snapshot(self, channel: str) -> dict[str, Any]:
        """State and position in one step: between two, an event could slip in."""
        _, place, _, _, _, state, _ = keys(channel, "")
        async with self.in_time(), self.ask.pipeline(transaction=True) as together:
            together.hmget(place, ["epoch", "seq"])
            together.hgetall(state)
            (epoch, seq), written = await together.execute()
        found = {key: json.loads(event)[0]["data"] for key, event in written.items()}
        return {"epoch": epoch or "", "seq": int(seq or 0), "state": found}

    async def entry(self, channel: str, key: str) -> tuple[Any, str]:
        """The version is the event that it comes from, as it was written."""
        async with self.in_time():
            written = await self.ask.hget(keys(channel, "")[5], key) or ""
        return (json.loads(written)[0]["data"] if written else None), written

    async def settled(self, channel: str, request: str) -> Any:
        names = keys(channel, request)
        async with self.in_time():
            seq = await self.ask.hget(names[0], "seq")
            found = await self.ask.xrange(names[2], f"{seq}-0", f"{seq}-0") if seq else ()
        return json.loads(found[0][1]["event"])[0]["data"] if found else None

    async def missed(self, channel: str, since: Position, top: Position | None) -> Missed:
        return [] if since == top else None  # pub/sub keeps nothing

    async def claim(self, what: str, seconds: float) -> bool:
        """A lock that its holder renews. If the holder dies, it is free when the time is over."""
        async with self.in_time():
            mine = await self.take(keys=[f"{PREFIX}:{what}"], args=[self.me, round(seconds * 1000)])
        return bool(mine)

    async def keep(self, name: str, value: str, seconds: float) -> None:
        async with self.in_time():
            await self.ask.set(f"{PREFIX}:{name}", value, px=round(seconds * 1000))

    async def take_away(self, name: str) -> str | None:
        async with self.in_time():
            found: str | None = await self.ask.getdel(f"{PREFIX}:{name}")
        return found

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
