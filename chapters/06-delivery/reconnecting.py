"""A connection that comes back: one table of states, and one task that walks through it.

As in chapter 4. What is new: it names itself, and each message that comes is looked at by
catching_up.py, which may have something to say, before the next one is read.
"""

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from backoff import Backoff
from catching_up import Catcher, NoSnapshot, named
from listening import listen
from sending import Sender
from settings import CONNECT_TIMEOUT

STATES = {  # state → what can happen in it → the state after that
    "idle": {"try": "connecting"},
    "connecting": {"opened": "open", "lost": "waiting", "stop": "stopped"},
    "open": {"lost": "waiting", "stop": "stopped"},
    "waiting": {"try": "connecting", "stop": "stopped"},
    "stopped": {},
}
CODES = json.loads(Path(__file__).with_name("close-codes.json").read_text(encoding="utf-8"))
LOST = 1006  # the connection ended without a close frame, or was never made
CLOSE_SECONDS = 1.0  # to wait for the other side of a closing handshake
LARGEST = 16 * 2**20  # bytes of a message: what was missed comes in one


class ReconnectingClient:
    """`run()` is the owner. Set `stopping` to end it, from any other task."""

    def __init__(self, url: str, backoff: Backoff, report: Callable[..., None]) -> None:
        self.url, self.backoff, self.report = named(url, str(uuid.uuid4())), backoff, report
        self.state = "idle"
        self.stopping = asyncio.Event()
        self.catcher = Catcher(url, report)
        self.sender = Sender(report, self.catcher.channels)

    def move(self, what: str) -> None:
        self.state = STATES[self.state][what]  # a KeyError here is a bug, and says which

    async def run(self) -> int:
        """Connect, and connect again, until there is a reason to stop; return the exit code."""
        while True:
            self.move("try")
            code, uptime = await self.live_once()
            if self.stopping.is_set():
                return self.stopped("closed by this side", 0)
            if not CODES.get(str(code), {"again": True})["again"]:
                meaning = CODES[str(code)]["meaning"]
                return self.stopped(f"{code} {meaning}", 0 if code == 1000 else 1)
            self.move("lost")
            delay = self.backoff.next_delay(uptime)
            self.report("retry", attempt=self.backoff.attempt, delayMs=round(delay * 1000))
            try:
                async with asyncio.timeout(delay):
                    await self.stopping.wait()
                return self.stopped("closed by this side", 0)
            except TimeoutError:
                pass  # nobody has stopped us: try again

    def stopped(self, why: str, exit_code: int) -> int:
        self.move("stop")
        self.sender.give_up()
        self.report("stopped", why=why)
        return exit_code

    async def live_once(self) -> tuple[int, float]:
        """One connection from its handshake to its end: (close code, seconds it was open)."""
        try:
            # ping_interval=None: the library's own heartbeat is off, listening.py makes ours.
            connection = await connect(
                self.url, open_timeout=CONNECT_TIMEOUT, close_timeout=CLOSE_SECONDS,
                max_size=LARGEST, proxy=None, compression=None, ping_interval=None,
            )  # fmt: skip
        except (OSError, TimeoutError, WebSocketException) as error:
            status = error.response.status_code if isinstance(error, InvalidStatus) else None
            self.report("failed", status=status, reason=str(error) or type(error).__name__)
            return LOST, 0.0
        self.move("opened")
        self.report("open")
        now = asyncio.get_running_loop().time
        opened = now()
        async with asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(self.sender.use(connection)),
                tasks.create_task(self.close_when_stopping(connection)),
            ]
            code = await self.listen_to(connection)
            self.sender.lose(code)
            for helper in helpers:
                helper.cancel()
        return code, now() - opened

    async def listen_to(self, connection: ClientConnection) -> int:
        """Report what arrives, and how it ends; return the close code."""

        async def on_message(data: Any) -> None:
            self.report("message", data=data)
            if isinstance(data, dict) and isinstance(data.get("requestId"), str):
                self.sender.settle(data["requestId"])
            if (answer := await self.catcher.take(data)) is not None:
                await connection.send(answer)

        try:
            silence = await listen(connection, on_message)
        except NoSnapshot as error:
            self.report("failed", reason=str(error))
            connection.transport.abort()  # and come back: the backoff is the pause between tries
            return LOST
        except ConnectionClosed:
            code = connection.close_code or LOST
            self.report("close", code=code, reason=connection.close_reason or "")
            return code
        self.report("dead", silentMs=round(silence * 1000))
        connection.transport.abort()  # no close handshake: nobody is there to answer it
        return LOST

    async def close_when_stopping(self, connection: ClientConnection) -> None:
        await self.stopping.wait()
        async with self.sender.turn:  # after everything that was said before
            await connection.close()
