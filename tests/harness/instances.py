"""Two instances of the subject with a Valkey between them: A asks it directly, B through a wire.

So a check can take Valkey away from both (pause or kill it), or from B alone (break the wire).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from course.wire import Wire
from tests.harness.again import ask_again
from tests.harness.exchange import Exchange
from tests.harness.member import Envelope, Member, short
from tests.harness.peer import WITHIN
from tests.harness.subject import Process, Subject
from tests.harness.valkey import Valkey
from tests.harness.verdict import fail

BUS_TIMEOUT = 2.0  # seconds: a busy machine may be slow, and that is no outage
BACK_SECONDS = 10.0  # until an instance has found its way back to the bus
SLACK = 2.0  # seconds for a busy machine
HEARTBEAT_SECONDS = "20"  # its checks are others; here some clients read nothing for a while


class Instance:
    """One of the two, seen by the checks."""

    def __init__(self, name: str, process: Process, subject: Subject) -> None:
        self.name = name
        self.process = process
        self.subject = subject

    async def member(self, *channels: str, client: str = "") -> Member:
        """A new member here; `client` is the name that it gives itself."""
        subject = self.subject
        if client:
            subject = subject.seen(subject.exchange)
            subject.path += f"?client={client}"
        return await subject.member(*channels)

    async def health(self) -> tuple[int, Envelope]:
        """The status of GET /api/health, and what its body says."""
        response = await self.subject.http("GET", "/api/health")
        try:
            said = json.loads(response.body)
        except ValueError:
            said = None
        return response.status, said if isinstance(said, dict) else {}

    async def until_health(
        self, status: int, within: float, *, go_on: int | None = None
    ) -> tuple[int, Envelope]:
        """Ask until the status is this one, or time runs out; returns the last answer.

        With `go_on`, any status but that one ends the wait.
        """

        def enough(answer: tuple[int, Envelope]) -> bool:
            return answer[0] == status or bool(go_on and answer[0] != go_on)

        return await ask_again(self.health, enough, within)

    async def healthy(self, status: int = 200) -> None:
        """Wait until the instance is well, or until it says that it is not."""
        got, said = await self.until_health(status, BACK_SECONDS)
        if got != status:
            what = f"after {BACK_SECONDS:g} s GET /api/health of instance {self.name} is another"
            fail(what, expected=status, got=f"{got} {short(said)}")

    def see(self, exchange: Exchange) -> Instance:
        """The same instance with another record."""
        return Instance(self.name, self.process, self.subject.seen(exchange))


class Instances:
    """Valkey, the wire, A and B."""

    def __init__(self, subject: Subject, bus: str) -> None:
        self.original = subject
        self.bus = bus
        self.valkey = Valkey()
        self.wire: Wire | None = None
        self.a: Instance
        self.b: Instance

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Instances]:
        """Start all of it, and end all of it. Raises CannotRun."""
        processes: list[Process] = []
        async with self.valkey, Wire("127.0.0.1", self.valkey.port) as self.wire:
            through = f"redis://127.0.0.1:{self.wire.port}/0"
            try:
                for url in (self.valkey.url, through):
                    processes.append(self.new_process(url))
                await asyncio.gather(*(process.start() for process in processes))
                await asyncio.gather(*(process.ready() for process in processes))
                self.a, self.b = (
                    self._instance(name, process)
                    for name, process in zip("AB", processes, strict=True)
                )
                await asyncio.gather(*(self._settled(each) for each in (self.a, self.b)))
                yield self
            finally:
                self.valkey.resume()
                await asyncio.gather(*(process.stop() for process in processes))

    def new_process(self, url: str) -> Process:
        settings = {"REDIS_URL": url, "BUS": self.bus, "BUS_TIMEOUT": f"{BUS_TIMEOUT:g}"}
        settings["HEARTBEAT_SECONDS"] = HEARTBEAT_SECONDS
        return self.original.new_process(**settings)

    def _instance(self, name: str, process: Process) -> Instance:
        subject = self.original.seen(Exchange())
        subject.host, subject.port = "127.0.0.1", process.port
        return Instance(name, process, subject)

    async def _settled(self, instance: Instance) -> None:
        """Wait until it is on the bus, as it says by GET /api/health."""
        status, said = await instance.until_health(200, BACK_SECONDS, go_on=503)
        if status != 200:
            what = f"instance {instance.name} is not on the bus, as GET /api/health should say"
            fail(what, expected=200, got=f"{status} {short(said)}")

    def see(self, exchange: Exchange) -> tuple[Instance, Instance]:
        """A and B, with this record."""
        return self.a.see(exchange), self.b.see(exchange)

    def cut_off_b(self) -> None:
        """Take Valkey away from B: its connections are reset, and new ones too."""
        assert self.wire is not None
        self.wire.refuse()
        for connection in self.wire.connections:
            if not connection.finished:
                connection.apply("reset")

    def mend_b(self) -> None:
        assert self.wire is not None
        self.wire.apply("pass")


async def hear(member: Member, number: int, what: str, within: float = WITHIN) -> list[Envelope]:
    """The next `number` events."""
    return [await member.event(f"{what}, event {n + 1} of {number}", within) for n in range(number)]


def payloads(events: list[Envelope]) -> list[Any]:
    return [event.get("data") for event in events]


def position(message: Envelope) -> tuple[str, int]:
    """The epoch and the number of an event; `fail()` if it has none."""
    epoch, seq = message.get("epoch"), message.get("seq")
    if not isinstance(epoch, str) or not isinstance(seq, int) or isinstance(seq, bool):
        fail("an event has no number", expected='"epoch":"…","seq":n', got=short(message))
    return epoch, seq
