"""The same history for several instances: a stream in Valkey for each channel, which numbers.

The script runs as one step, so no two events get one number, whoever publishes at the same time.
"""

import asyncio
import json
from typing import Any

from redis import asyncio as redis
from redis.exceptions import RedisError

from commands import Refused
from history import Event, Memory, Position, numbered
from packets import dumps
from settings import BUS_TIMEOUT, HISTORY, REDIS_URL

KEPT_SECONDS = 86_400  # after the last event
MOST_MISSED = 500_000  # characters in one answer: who missed more has to ask for the state

# A stream's entry has the id EPOCH-SEQ. The epoch is the time when the stream was begun, with an
# entry 0 that says nothing: so a log that was lost is another epoch, and no number comes twice.
ADD = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local epoch, seq
if last then
  epoch, seq = last[1]:match('(%d+)-(%d+)')
else
  local now = redis.call('TIME')
  epoch, seq = now[1] .. string.format('%06d', now[2]), '0'
  redis.call('XADD', KEYS[1], epoch .. '-0', 'event', '{}')
end
if ARGV[1] ~= '' then
  seq = string.format('%d', seq + 1)
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], epoch .. '-' .. seq, 'event', ARGV[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {epoch, seq}
"""


class Stream:
    """For all instances: a stream in Valkey for each channel, which numbers."""

    def __init__(self) -> None:
        self.valkey = redis.Redis.from_url(
            REDIS_URL,
            decode_responses=True,
            socket_timeout=BUS_TIMEOUT,
            socket_connect_timeout=BUS_TIMEOUT,
        )
        self.script = self.valkey.register_script(ADD)

    async def add(self, name: str, event: Event | None) -> Position:
        """Raises Refused: not kept means not sent, so nobody hears half of it."""
        text = dumps(event) if event is not None else ""
        try:
            async with asyncio.timeout(BUS_TIMEOUT):
                found: Any = await self.script(
                    [f"ws-course:{name}"], [text, HISTORY + 1, KEPT_SECONDS]
                )
        except (RedisError, OSError, TimeoutError):
            raise Refused("bus_unavailable", "Valkey does not answer: try again") from None
        return Position(str(found[0]), int(found[1]))

    async def after(self, name: str, since: Position | None) -> tuple[Position, list[Event] | None]:
        top = await self.add(name, None)
        if (
            since is None
            or since.epoch != top.epoch
            or not top.seq - HISTORY <= since.seq <= top.seq
        ):
            return top, None
        first, last = (f"{top.epoch}-{seq}" for seq in (since.seq + 1, top.seq))
        try:
            async with asyncio.timeout(BUS_TIMEOUT):
                found: Any = await self.valkey.xrange(f"ws-course:{name}", first, last)
        except (RedisError, OSError, TimeoutError):
            raise Refused("bus_unavailable", "Valkey does not answer: try again") from None
        whole = len(found) == top.seq - since.seq
        size = sum(len(entry["event"]) for _, entry in found)
        if not whole or size > MOST_MISSED:
            return top, None
        events = enumerate((json.loads(entry["event"]) for _, entry in found), since.seq + 1)
        return top, [numbered(event, top.epoch, seq) for seq, event in events]


HISTORY_OF = Stream() if REDIS_URL else Memory()
