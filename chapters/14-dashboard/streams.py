"""The bus over a stream: a log in Valkey that every instance reads at its own pace.

An instance that was away reads on from where it stopped: it is late, and has missed nothing. Each
channel has a stream of its own as well, for the clients that come back.
"""

import asyncio

from bus import Envelope, Missed
from closing import CLOSE_SECONDS, SOCKETS
from positions import Position
from settings import BUS_TIMEOUT
from settling import HISTORY, LOG_KEY, keys
from valkey_bus import ValkeyBus

PAGE = 100  # entries that are read at once
MOST_MISSED = 1_000_000  # characters in one reply: a client that missed more takes a snapshot
GAP = 1012, b"events are missing here: come back, and say since when"


class StreamsBus(ValkeyBus):
    name = "streams"
    last = ""  # the id of the last entry that was read, and its number
    number = 0

    async def listen(self) -> None:
        block = round(BUS_TIMEOUT * 500)  # milliseconds: half of the time in which it must answer
        async with asyncio.timeout(BUS_TIMEOUT):
            if not self.last:  # a new instance begins at the end: nobody here waits for the past
                newest = await self.listener.xrevrange(LOG_KEY, count=1)
                self.last = newest[0][0] if newest else "0-0"
                self.number = int(newest[0][1]["number"]) if newest else 0
            await self.listener.ping()
        await self.up(f"reading on from entry {self.number}")
        while True:
            async with asyncio.timeout(BUS_TIMEOUT):
                found = await self.listener.xread({LOG_KEY: self.last}, count=PAGE, block=block)
            for self.last, entry in found[0][1] if found else ():
                number = int(entry.pop("number"))
                if number != self.number + 1:
                    await self.tell_of_the_gap()
                self.number = number
                await self.heard(self.event(**entry))

    async def missed(self, channel: str, since: Position, top: Position | None) -> Missed:
        """All or nothing: a part of what was missed would look like all of it."""
        count = top.seq - since.seq if top is not None and since.epoch == top.epoch else -1
        if not 0 <= count <= HISTORY:
            return None  # numbered by another counter, ahead of it, or too long ago
        found: list[Envelope] = []
        size, history = 0, keys(channel, "")[2]
        async with self.in_time():
            while len(found) < count:
                first, last = f"{since.seq + len(found) + 1}-0", f"{since.seq + count}-0"
                page = await self.ask.xrange(history, first, last, count=PAGE)
                size += sum(len(entry["event"]) for _, entry in page)
                if not page or page[0][0] != first or size > MOST_MISSED:
                    return None
                found += [self.event(**entry).message() for _, entry in page]
        return found

    async def tell_of_the_gap(self) -> None:
        """The log was cut, or lost: nobody here may believe to have heard everything."""
        print("events are missing: every client is asked to come back", flush=True)
        goodbyes = (socket.say_goodbye(*GAP) for socket in list(SOCKETS))
        try:
            async with asyncio.timeout(CLOSE_SECONDS):  # who takes no bytes is not waited for
                await asyncio.gather(*goodbyes, return_exceptions=True)
        except TimeoutError:
            print("not every client could be told", flush=True)
