"""Asking Valkey: a few connections, a deadline for everything, and what all instances share.

The state of the channels, the requests that took effect, who drives the business, and the tickets.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bus import Bus, Deliver
from event import BusUnavailable
from positions import Position
from settings import BUS_TIMEOUT, REDIS_URL
from settling import PREFIX, TAKE, keys

CONNECTIONS = 16  # that ask at the same time


def reason(error: Exception) -> str:
    """In a few words, and without the address: it may hold a password."""
    if isinstance(error, TimeoutError):
        return f"no answer within {BUS_TIMEOUT:g} s"
    return type(error).__name__


class Asking(Bus):
    """The half of the bus that asks, and waits for an answer."""

    def __init__(self, deliver: Deliver) -> None:
        super().__init__(deliver)
        # What fails is tried again by us or by the client, never behind our back.
        self.options: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "decode_responses": True}
        self.options |= {"protocol": 2, "socket_connect_timeout": BUS_TIMEOUT}
        asking = {"max_connections": CONNECTIONS, "timeout": BUS_TIMEOUT, **self.options}
        self.ask: Any = Redis.from_pool(BlockingConnectionPool.from_url(REDIS_URL, **asking))
        self.take, self.me = self.ask.register_script(TAKE), secrets.token_hex(8)

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
