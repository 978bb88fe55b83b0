"""Dedupe: a request that is sent twice takes effect once, and gets the same answer twice.

A client that lost the line before the answer came cannot know whether its request was carried out,
so it sends it again. What was answered is remembered for a while by (client, requestId).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from settings import DEDUPE_SECONDS

IDS_OF_A_CLIENT = 10_000
ALL_IDS = 100_000  # of all clients together; those of the client that was quiet longest go first


@dataclass(frozen=True, slots=True)
class Effect:
    reply: asyncio.Task[str]  # under way, or done
    since: float  # in the loop's time


class Dedupe:
    """What was carried out lately, and what was answered."""

    def __init__(self) -> None:
        self.clients: OrderedDict[str, OrderedDict[str, Effect]] = OrderedDict()
        self.ids = 0

    async def once(
        self, client: str, request_id: str | None, effect: Callable[[], Coroutine[Any, Any, str]]
    ) -> str:
        """Carry out the effect, or wait for the one that is under way, or answer as before.

        It is a task of its own: whoever asked may be gone before it is done. An exception goes to
        all who wait for it, and is forgotten: what had no effect may be tried again.
        """
        if request_id is None:
            return await effect()
        known = self.find(client, request_id)
        if known is None:
            known = Effect(asyncio.create_task(effect()), asyncio.get_running_loop().time())
            self.remember(client, request_id, known)
            known.reply.add_done_callback(
                lambda reply: self.forget_failure(client, request_id, reply)
            )
        return await asyncio.shield(known.reply)

    def find(self, client: str, request_id: str) -> Effect | None:
        known = self.clients.get(client, OrderedDict()).get(request_id)
        oldest = asyncio.get_running_loop().time() - DEDUPE_SECONDS
        return known if known and (known.since > oldest or not known.reply.done()) else None

    def remember(self, client: str, request_id: str, effect: Effect) -> None:
        """Keep it, and forget what is too old or too much."""
        ids = self.clients.setdefault(client, OrderedDict())
        self.clients.move_to_end(client)
        self.ids += request_id not in ids
        ids[request_id] = effect
        ids.move_to_end(request_id)
        while len(ids) > IDS_OF_A_CLIENT:
            self.forget_oldest(client)
        while self.ids > ALL_IDS or self.first().since < effect.since - DEDUPE_SECONDS:
            self.forget_oldest(next(iter(self.clients)))

    def first(self) -> Effect:
        """The oldest effect of the client that was quiet longest."""
        return next(iter(next(iter(self.clients.values())).values()))

    def forget_oldest(self, client: str) -> None:
        self.forget(client, next(iter(self.clients[client])))

    def forget(self, client: str, request_id: str) -> None:
        del self.clients[client][request_id]
        self.ids -= 1
        if not self.clients[client]:
            del self.clients[client]

    def forget_failure(self, client: str, request_id: str, reply: asyncio.Task[str]) -> None:
        """Only effects are remembered."""
        known = self.clients.get(client, OrderedDict()).get(request_id)
        failed = reply.cancelled() or reply.exception() is not None
        if failed and known is not None and known.reply is reply:
            self.forget(client, request_id)
