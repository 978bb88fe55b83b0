"""Another process emits: no server, no client, only a line to Valkey. Business code may be this.

Run: REDIS_URL=redis://… python emit.py role:user        (user:bob, room:lobby …; two rooms if you
name two). It goes past all that guards the server: whoever reaches Valkey may say anything.
"""

import asyncio
import sys
import time

import socketio
from redis import asyncio as redis
from redis.exceptions import RedisError

from settings import REDIS_URL

CHANNEL = "ws-course:namespaces"  # the same as the servers'


async def main(rooms: list[str]) -> int:
    said = {"data": "from another process", "from": "emit.py", "ts": int(time.time() * 1000)}
    try:
        async with redis.from_url(REDIS_URL) as valkey:
            await valkey.ping()  # emit() would log an error, and go on as if nothing had happened
    except RedisError as error:
        print(f"cannot reach Valkey: {error}", file=sys.stderr)
        return 1
    manager = socketio.AsyncRedisManager(REDIS_URL, channel=CHANNEL, write_only=True)
    await manager.emit("order:update", said, room=rooms)
    await manager.redis.aclose()
    print(f"order:update for {' and '.join(rooms)}: on its way, and nobody says whether it arrived")
    return 0


if __name__ == "__main__":
    if not REDIS_URL or len(sys.argv) < 2:  # and no rooms would be everybody
        sys.exit("REDIS_URL=redis://… python emit.py ROOM …")
    sys.exit(asyncio.run(main(sys.argv[1:])))
