"""Sending: what is said waits while there is no connection, and keeps its order.

A publish or a notify with a requestId waits longer: until its reply is here. After a cut it is sent
again, in the old order and under the old id, and the server sees to it that it takes effect once.
"""

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from channels import Channels

TOO_BIG = 1009  # the close code
QUEUE_LIMIT = 100  # messages kept while there is no connection, and again without a reply


class Sender:
    """Sends on the connection of the moment, if there is one."""

    def __init__(self, report: Callable[..., None], channels: Channels) -> None:
        self.report, self.channels = report, channels
        self.connection: ClientConnection | None = None
        self.unsent: deque[str] = deque()
        self.unanswered: OrderedDict[str, str] = OrderedDict()  # requestId → message
        self.turn = asyncio.Lock()  # messages leave in the order in which they were said

    async def say(self, line: str) -> None:
        """Send, or keep for later; a message too many is refused, and never lost in silence."""
        async with self.turn:
            kept = self.unsent
            match parse(line):
                case {"type": "subscribe", "data": {"channel": str(name)}, **rest}:
                    channel = self.channels.follow(name, rest.get("requestId"))
                    if self.connection is None:
                        return  # asked for on the next connection, as all that are followed
                    line = channel.ask()
                case {"type": "unsubscribe", "data": {"channel": str(name)}}:
                    self.channels.followed.pop(name, None)
                case {"type": "publish" | "notify", "requestId": str(request_id)}:
                    if len(self.unanswered) >= QUEUE_LIMIT:
                        why = f"{QUEUE_LIMIT} have no reply yet"
                        return self.report("refused", line=line, why=why)
                    self.unanswered[request_id] = line
                    kept = deque()  # it is kept already
            if not await self.sent(line):
                if len(kept) < QUEUE_LIMIT:
                    kept.append(line)
                else:
                    why = f"{QUEUE_LIMIT} are waiting already"
                    self.report("refused", line=line, why=why)

    async def sent(self, line: str) -> bool:
        """Whether it could be written to a connection; that says nothing of its arrival."""
        try:
            if self.connection is not None:
                await self.connection.send(line)
                return True
        except ConnectionClosed:
            pass  # lost just now
        return False

    async def use(self, connection: ClientConnection) -> None:
        """On a new connection: first the channels, then what has no reply, then what has waited."""
        async with self.turn:
            try:
                for channel in self.channels.followed.values():
                    await connection.send(channel.ask())
                for line in self.unanswered.values():
                    await connection.send(line)
                while self.unsent:
                    await connection.send(self.unsent[0])
                    self.unsent.popleft()
                self.connection = connection
            except ConnectionClosed:
                pass  # what is still unsent waits for the next one

    def settle(self, request_id: str) -> None:
        """The reply is here, whatever it says: nothing is left to be sent again."""
        self.unanswered.pop(request_id, None)

    def lose(self, code: int) -> None:
        """There is no connection any more: from here on everything waits.

        After 1009, too big, the largest does not: sent again, it would close each connection.
        """
        self.connection = None
        if code == TOO_BIG and self.unanswered:
            largest = max(self.unanswered, key=lambda name: len(self.unanswered[name]))
            self.report("refused", line=self.unanswered.pop(largest), why="too big")

    def give_up(self) -> None:
        """Nothing will ever be sent again: say so of each message that still waits."""
        for line in (*self.unanswered.values(), *self.unsent):
            self.report("refused", line=line, why="stopped before it was answered or sent")


def parse(line: str) -> Any:
    """What is said, to look at; it is sent as it is, JSON or not."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
