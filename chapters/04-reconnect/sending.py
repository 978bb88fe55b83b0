"""Sending: what is said while there is no connection waits, up to a limit, and keeps its order."""

import asyncio
from collections import deque
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

QUEUE_LIMIT = 100  # messages kept while there is no connection


class Sender:
    """Sends on the connection of the moment, if there is one."""

    def __init__(self, report: Callable[..., None]) -> None:
        self.report = report
        self.connection: ClientConnection | None = None
        self.unsent: deque[str] = deque()
        self.turn = asyncio.Lock()  # messages leave in the order in which they were said

    async def say(self, line: str) -> None:
        """Send, or keep for later; a message too many is refused, and never lost in silence."""
        async with self.turn:
            try:
                if self.connection is not None:
                    return await self.connection.send(line)
            except ConnectionClosed:
                pass  # lost just now: keep it
            if len(self.unsent) < QUEUE_LIMIT:
                self.unsent.append(line)
            else:
                self.report("refused", line=line, why=f"{QUEUE_LIMIT} are waiting already")

    async def use(self, connection: ClientConnection) -> None:
        """Send what has waited on a new connection; then the way is free for the rest."""
        async with self.turn:
            try:
                while self.unsent:
                    await connection.send(self.unsent[0])
                    self.unsent.popleft()
                self.connection = connection
            except ConnectionClosed:
                pass  # what is still unsent waits for the next one

    def lose(self) -> None:
        """There is no connection any more: from here on everything waits."""
        self.connection = None

    def give_up(self) -> None:
        """Nothing will ever be sent again: say so of each message that still waits."""
        for line in self.unsent:
            self.report("refused", line=line, why="stopped before it could be sent")
