"""Instances: AsyncRedisManager carries every emit to the others, and two things more of ours.

Orders (this user is logged out, everywhere) travel on its channel too. So do numbered probes to
ourselves: the library says nothing of an outage, neither when it emits nor when it listens.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import socketio

from commands import Refused
from one_encoding import OneEncoding
from settings import BUS_TIMEOUT, REDIS_URL

Order = dict[str, Any]


class Manager(socketio.AsyncRedisManager, OneEncoding):
    """The library's manager, whose `_publish` and `_listen` are made for subclasses.

    What comes from the bus goes on to OneEncoding, as what is emitted here does.
    """

    obey: Callable[[Order], Awaitable[None]]  # what to do with an order
    gap: Callable[[], Awaitable[None]]  # whom to tell that something may be missing
    thread: Any  # the library's task that listens
    sent = heard = 0  # the numbers of our probes
    heard_at = 0.0

    async def tell_all(self, **order: Any) -> None:
        """Give an order to the other instances. Those that cannot hear it now never will."""
        await self._publish({"method": "order", "host_id": self.host_id, "order": order})

    async def probe(self) -> None:
        """Publish a number now and then. What comes back has passed where all emits pass."""
        now = asyncio.get_running_loop().time
        tried = now()
        while True:
            self.sent += 1
            await self._publish({"method": "probe", "host_id": self.host_id, "number": self.sent})
            if now() - max(self.heard_at, tried) > 2 * BUS_TIMEOUT:
                tried = now()
                self.listen_anew()
            await asyncio.sleep(BUS_TIMEOUT / 4)

    def listen_anew(self) -> None:
        """The library waits up to a minute between two attempts, and for ever on a dead line."""
        self.thread.cancel()
        self.thread = self.server.start_background_task(self._thread)

    @property
    def healthy(self) -> bool:
        return asyncio.get_running_loop().time() - self.heard_at < BUS_TIMEOUT

    async def _listen(self) -> AsyncIterator[Any]:
        """What comes, with ours taken out, which the library would not know."""
        async for text in super()._listen():
            said = self.json.loads(text)
            ours = said.get("host_id") == self.host_id
            if said.get("method") == "probe" and ours:
                missing = self.heard and said["number"] != self.heard + 1
                self.heard, self.heard_at = said["number"], asyncio.get_running_loop().time()
                if missing:
                    await self.gap()
            elif said.get("method") == "order" and not ours:
                await self.obey(said["order"])
            else:
                yield said


manager = (
    Manager(
        REDIS_URL,
        channel="ws-course:namespaces",
        redis_options={"socket_timeout": BUS_TIMEOUT, "socket_connect_timeout": BUS_TIMEOUT},
    )
    if REDIS_URL
    else None
)


def require_bus() -> None:
    """For what nobody keeps: sent without the bus it would reach a half of them. Raises Refused."""
    if manager is not None and not manager.healthy:
        raise Refused("bus_unavailable", "the other instances would not hear of it: try again")
