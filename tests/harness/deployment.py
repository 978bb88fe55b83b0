"""A deployment: a program that starts everything a site needs, seen from outside, over TLS.

Clients come from addresses of their own, 127.0.x.y: so a check can be one visitor, or twenty.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from course.tools import free_port
from tests.harness.door import ADMIN, Door
from tests.harness.exchange import Exchange
from tests.harness.peer import WITHIN, Peer, Response
from tests.harness.subject import STOP_SECONDS, Process, Subject
from tests.harness.verdict import CheckFailure, NotAsked, fail, require

HOST = "127.0.0.1"
HEARTBEAT = 1.5  # seconds: long enough for two hundred clients to answer on a busy machine
LINK_SECONDS = 4.0  # of silence that the proxy bears
LINKS, RATE, BURST = 12, 5, 15  # for one address
LARGEST = 100_000  # bytes of a body
BASE, CAP = 1.0, 30.0  # seconds: the backoff of chapter 4
SETTINGS = {
    "HEARTBEAT_SECONDS": f"{HEARTBEAT:g}",
    "LINK_SECONDS": f"{LINK_SECONDS:g}",
    "LINKS_PER_ADDRESS": str(LINKS),
    "HANDSHAKE_RATE": str(RATE),
    "HANDSHAKE_BURST": str(BURST),
    "MAX_BODY_BYTES": str(LARGEST),
    "SCRYPT_LOG_N": "10",  # nobody here guesses passwords
}


def accepting_any() -> ssl.SSLContext:
    """A client that takes the certificate as it is: who made it is another question."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Visitor(Peer):
    """One client that speaks TLS, from an address of its own."""

    door = None
    tls = accepting_any()

    def __init__(self, exchange: Exchange, address: str = HOST) -> None:
        super().__init__(exchange)
        self.address = address

    async def dial(self, host: str, port: int, *, receive_buffer: int | None = None) -> None:
        try:
            async with asyncio.timeout(WITHIN):
                self.reader, self.writer = await asyncio.open_connection(
                    host, port, ssl=self.tls, local_addr=(self.address, 0)
                )
        except ssl.SSLError as error:
            fail("there is no TLS on HTTPS_PORT", expected="a handshake", got=error.reason)
        except (OSError, TimeoutError) as error:
            if "assign requested address" in str(error):
                raise NotAsked(f"this computer has no address {self.address}") from error
            fail(f"nobody accepts a connection on HTTPS_PORT ({error or 'time ran out'})")
        self.exchange.closers.append(self.close)

    async def close(self) -> None:
        with contextlib.suppress(OSError):  # something still came after our goodbye
            await super().close()


class Deployment:
    """The program, running; `see` gives it another record."""

    def __init__(self, process: Process, exchange: Exchange) -> None:
        self.process, self.exchange = process, exchange
        self.http_port = int(process.environment["HTTP_PORT"])
        self.https_port = process.port
        self.address = f"https://{HOST}:{self.https_port}"

    def see(self, exchange: Exchange) -> Deployment:
        exchange.url = f"{self.address}/"
        return Deployment(self.process, exchange)

    async def visitor(self, address: str = HOST) -> Visitor:
        visitor = Visitor(self.exchange, address)
        await visitor.dial(HOST, self.https_port)
        return visitor

    async def get(self, path: str, **headers: str) -> Response:
        """One request, on a connection of its own."""
        visitor = await self.visitor()
        response = await visitor.request(path, upgrade=False, headers=headers)
        await visitor.close()
        return response

    async def post(self, path: str, said: object, **headers: str) -> tuple[int, dict[str, Any]]:
        """POST JSON; the status, and the JSON object of the answer."""
        visitor = await self.visitor()
        body = json.dumps(said).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        response = await visitor.request(
            path, method="POST", upgrade=False, body=body, headers=fields | headers
        )
        await visitor.close()
        try:
            answer = json.loads(response.body)
        except ValueError:
            answer = None
        return response.status, answer if isinstance(answer, dict) else {}

    async def websocket(self, address: str = HOST, **headers: str) -> tuple[Visitor, str]:
        """A client at /ws that was welcomed, and the name of who serves it."""
        visitor = await self.visitor(address)
        response = await visitor.request("/ws", headers=headers)
        require(response.status == 101, "wss://…/ws is refused", expected=101, got=response)
        await visitor.welcome()
        return visitor, response.headers.get("x-served-by", "")

    async def token(self) -> str:
        login = {"user": ADMIN.name, "password": ADMIN.password}
        status, said = await self.post("/api/login", login)
        token = said.get("accessToken")
        require(status == 200 and token, "POST /api/login fails", expected=200, got=status)
        return str(token)

    async def prints(self, text: str, within: float) -> None:
        """Wait until a line that it printed has this text in it."""
        try:
            async with asyncio.timeout(within):
                while not any(text in line for line in self.process.output):
                    self.process.printed.clear()
                    await self.process.printed.wait()
        except TimeoutError:
            fail(f"{within:g} s on, no line with {text!r} is on standard output")

    def roll(self) -> None:
        """Ask for a rolling restart."""
        assert self.process.process is not None
        self.process.process.send_signal(signal.SIGUSR1)


@contextlib.asynccontextmanager
async def deployed(subject: Subject, **settings: str) -> AsyncIterator[Deployment]:
    """Start the program, and end it. Raises CannotRun, and NotAsked for one that runs already."""
    subject.need_process()
    command, cwd = subject.task["command"], subject.task["cwd"]
    port = str(free_port())
    ports = {"PORT": port, "HTTPS_PORT": port, "HTTP_PORT": str(free_port())}
    environment = {**Door.environment, **SETTINGS, "HOST": HOST, **ports, **settings}
    process = Process(command, cwd and str(Path(cwd)), environment)
    process.output = deque(maxlen=100_000)  # all of it: what may not be in the log is looked for
    try:
        await process.start()
        await process.ready()
        yield Deployment(process, Exchange())
    finally:
        process.terminate()
        await process.wait(3 * STOP_SECONDS)  # it has many to end, one after the other
        await process.stop()


# Two hundred open at once, all in this one process; who is refused hears it at once.
OPENING_SECONDS = 20.0


@dataclass
class Rider:
    """A client of chapter 6's kind: it comes back by full jitter, and says how far it has read."""

    url: str
    address: str
    channel: str
    tls: ssl.SSLContext
    dice: random.Random
    came: list[int] = field(default_factory=list)
    position: dict[str, Any] | None = None
    codes: list[int] = field(default_factory=list)  # by which its connections ended
    arrivals: list[float] = field(default_factory=list)  # when it came back
    refused: list[str] = field(default_factory=list)  # what a handshake got that failed
    not_recovered: int = 0
    here: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    served_by: str = ""

    async def ride(self) -> None:
        """For ever."""
        attempt = 0
        while True:
            try:
                async with self._connect() as connection:
                    response = connection.response
                    self.served_by = response.headers.get("X-Served-By", "") if response else ""
                    attempt = 0
                    await self._listen(connection)
            except (OSError, TimeoutError, InvalidHandshake) as error:
                self.refused.append(str(error))
            self.here.clear()
            await asyncio.sleep(self.dice.random() * min(CAP, BASE * 2**attempt))
            attempt += 1

    def _connect(self) -> connect:
        return connect(
            self.url,
            ssl=self.tls,
            local_addr=(self.address, 0),
            compression=None,
            proxy=None,
            ping_interval=None,
            open_timeout=OPENING_SECONDS,
            close_timeout=1,
        )

    async def _listen(self, connection: ClientConnection) -> None:
        since = {"since": self.position} if self.position else {}
        wanted = {"channel": self.channel, **since}
        try:
            await connection.send(
                json.dumps({"type": "subscribe", "requestId": "s", "data": wanted})
            )
            async for text in connection:
                self._take(json.loads(text))
        except ConnectionClosed:
            pass
        self.codes.append(connection.close_code or 1006)

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("requestId") == "s":
            data = message["data"]
            if self.position and data.get("recovered") is not True:
                self.not_recovered += 1
            for missed in data.get("missed") or ():
                self.came.append(missed["data"])
            self.position = {"epoch": data["epoch"], "seq": data["seq"]}
            self.arrivals.append(time.monotonic())
            self.here.set()
        elif message.get("channel") == self.channel:
            self.came.append(message["data"])
            self.position = {"epoch": message["epoch"], "seq": message["seq"]}
        self.news.set()

    async def has(self, number: int) -> None:
        """Wait until this event has come."""
        while not (self.came and self.came[-1] == number):
            self.news.clear()
            await self.news.wait()


class Ride:
    """Many riders in one channel, and somebody who publishes numbers there."""

    def __init__(self, deployment: Deployment, number: int, seed: int) -> None:
        self.deployment = deployment
        self.channel = f"room:ride-{seed}"
        tls, dice = accepting_any(), random.Random(seed)
        url = f"wss://{HOST}:{deployment.https_port}/ws"
        self.riders = [
            Rider(url, f"127.0.1.{1 + n // 10}", self.channel, tls, dice) for n in range(number)
        ]
        self.sent = 0
        self.enough, self.done = asyncio.Event(), asyncio.Event()
        self.unlucky: list[str] = []  # publishes that had to be asked for again

    @contextlib.asynccontextmanager
    async def under_way(self, within: float, *, rate: float) -> AsyncIterator[None]:
        """Everybody is there, and `rate` numbers a second are published, while the block lasts."""
        tasks = [asyncio.create_task(rider.ride()) for rider in self.riders]
        try:
            await self.all_here(within)
            tasks.append(asyncio.create_task(self._publish(rate)))
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def all_here(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await asyncio.gather(*(rider.here.wait() for rider in self.riders))
        except TimeoutError:
            here = sum(rider.here.is_set() for rider in self.riders)
            refused = [rider.refused[-1] for rider in self.riders if rider.refused][:1]
            what = f"not all are there after {within:g} s"
            fail(what, expected=len(self.riders), got=here, notes=refused)

    async def all_have_all(self, within: float) -> None:
        """Publish the last one, and wait until everybody has it."""
        self.enough.set()
        await self.done.wait()
        try:
            async with asyncio.timeout(within):
                await asyncio.gather(*(rider.has(self.sent - 1) for rider in self.riders))
        except TimeoutError:
            pass  # the oracle says what is missing

    async def _publish(self, rate: float) -> None:
        while not self.enough.is_set():
            await self._one()
            await asyncio.sleep(1 / rate)
        await self._one()
        self.done.set()

    async def _one(self) -> None:
        """Publish the next number: again under the same name until it is granted."""
        wanted = {"channel": self.channel, "event": "ride:step", "payload": self.sent}
        while True:
            try:
                named = {**wanted, "requestId": f"ride-{self.sent}"}
                status, _ = await self.deployment.post("/api/publish", named)
            except CheckFailure as failure:
                status = 0
                self.unlucky.append(failure.what)
            if status == 202:
                self.sent += 1
                return
            self.unlucky.append(str(status))
            await asyncio.sleep(0.05)
