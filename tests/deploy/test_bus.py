"""Chapter 9's two buses in a storm: what is lost, what comes twice, what comes out of order.

Two clients publish at both instances and listen, while Valkey is paused and killed, one instance
loses it, and one instance is killed. Each client asks again until its request is granted, and goes
to the other instance when its own is gone.
"""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from course.manifest import load
from course.record import two_free_ports
from tests.course.grading import grade_forked
from tests.course.starting import does_not_start
from tests.harness.exchange import Exchange
from tests.harness.instances import BACK_SECONDS, Instances
from tests.harness.oracle import judge
from tests.harness.subject import Process, Subject
from tests.harness.valkey import Valkey

CHANNEL = "room:storm"
EACH = 500  # events that each client publishes
WITHIN = 60.0  # seconds for all of it
ANSWER_SECONDS = 10.0


@asynccontextmanager
async def two_instances(bus: str) -> AsyncIterator[Instances]:
    command = [sys.executable, "server.py"]
    folder = load().chapter(9).folder
    subject = Subject({"kind": "process", "command": command, "cwd": str(folder)})
    async with Instances(subject, bus).running() as instances:
        yield instances


class Client:
    """Publishes its numbers and keeps what it hears; comes back with its position."""

    def __init__(self, name: str, urls: list[str]) -> None:
        self.name = name
        self.urls = urls  # the first while it lives, then the next
        self.granted: dict[str, int] = {}  # payload → its number in the channel
        self.refused = 0  # times that a publish was answered with an error
        self.heard: list[tuple[int, str]] = []
        self.position: dict[str, Any] | None = None
        self.recovered: list[bool] = []
        self.replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.may_publish = asyncio.Event()

    def state(self) -> str:
        return (
            f"{self.name} granted {len(self.granted)}, refused {self.refused}, "
            f"heard {len(self.heard)}, at {self.position}, recovered {self.recovered}"
        )

    async def live(self) -> None:
        """Until all is published; then listen for ever."""
        while True:
            try:
                async with connect(f"{self.urls[0]}?client={self.name}", proxy=None) as connection:
                    await connection.recv()
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self.listen(connection))
                        tasks.create_task(self.publish(connection))
            except* (ConnectionClosed, OSError):
                self.urls.append(self.urls.pop(0))

    async def listen(self, connection: ClientConnection) -> None:
        async for text in connection:
            message = json.loads(text)
            if "requestId" in message:
                self.take_missed(message)
                reply = self.replies.get(message["requestId"])
                if reply is not None and not reply.done():
                    reply.set_result(message)
            else:
                self.hear(message)
        raise ConnectionError  # so that publishing ends as well

    def take_missed(self, reply: dict[str, Any]) -> None:
        if reply["type"] == "subscribed":  # here, before any event that comes behind it
            data = reply["data"]
            if "recovered" in data:
                self.recovered.append(data["recovered"])
            for missed in data.get("missed", ()):
                self.hear(missed)
            self.position = {"epoch": data["epoch"], "seq": data["seq"]}

    def hear(self, event: dict[str, Any]) -> None:
        self.heard.append((event["seq"], event["data"]))
        self.position = {"epoch": event["epoch"], "seq": event["seq"]}

    async def ask(
        self, connection: ClientConnection, request_id: str, type: str, data: dict[str, Any]
    ) -> dict[str, Any]:
        """Ask until it is granted: the same request id each time."""
        while True:
            reply = self.replies[request_id] = asyncio.get_running_loop().create_future()
            await connection.send(json.dumps({"type": type, "requestId": request_id, "data": data}))
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await reply
            if answer["type"] != "error":
                return dict(answer["data"])
            assert answer["data"]["code"] == "bus_unavailable", answer
            self.refused += 1
            await asyncio.sleep(0.05)

    async def publish(self, connection: ClientConnection) -> None:
        since = {"since": self.position} if self.position else {}
        await self.ask(connection, "subscribe", "subscribe", {"channel": CHANNEL, **since})
        await self.may_publish.wait()
        for number in range(len(self.granted), EACH):
            payload = f"{self.name}-{number}"
            data = {"channel": CHANNEL, "event": "storm:said", "payload": payload}
            said = await self.ask(connection, payload, "publish", data)
            self.granted[payload] = said["seq"]


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - counted by others as they go
        await asyncio.sleep(0.02)


async def storm(instances: Instances, ann: Client, ben: Client) -> None:
    """What happens while the two publish; each step waits until they have come further."""

    async def further(client: Client, number: int = 50) -> None:
        goal = min(len(client.granted) + number, EACH)
        await until(lambda: len(client.granted) >= goal)

    await until(lambda: ann.position is not None and ben.position is not None)
    for client in (ann, ben):  # both are in the channel: each has to hear everything
        client.may_publish.set()
    await further(ann)
    await further(ben)
    instances.valkey.pause()
    await until(lambda: ann.refused > 0 and ben.refused > 0)
    instances.valkey.resume()
    await further(ann)
    await further(ben)
    await instances.valkey.kill()
    await instances.valkey.start()
    await further(ben)
    instances.cut_off_b()
    await further(ann)  # A still has Valkey
    instances.mend_b()
    await further(ben)
    process = instances.b.process.process
    assert process is not None
    process.kill()
    await until(lambda: all(len(client.granted) == EACH for client in (ann, ben)))
    await until(lambda: all(len(client.heard) >= 2 * EACH for client in (ann, ben)))


async def test_streams_lose_nothing_in_a_storm() -> None:
    async with two_instances("streams") as instances:
        a, b = (f"ws://127.0.0.1:{each.subject.port}/ws" for each in (instances.a, instances.b))
        ann, ben = Client("ann", [a]), Client("ben", [b, a])
        living = [asyncio.create_task(client.live()) for client in (ann, ben)]
        try:
            async with asyncio.timeout(WITHIN):
                await storm(instances, ann, ben)
        except TimeoutError:
            printed = [list(each.process.output)[-8:] for each in (instances.a, instances.b)]
            pytest.fail(f"not done in {WITHIN:g} s: {ann.state()}; {ben.state()}; {printed}")
        finally:
            for task in living:
                task.cancel()
            await asyncio.gather(*living, return_exceptions=True)

    numbers = ann.granted | ben.granted
    sent = sorted(numbers, key=lambda payload: numbers[payload])
    assert sorted(numbers.values()) == list(range(1, 2 * EACH + 1)), "a number came twice"
    for client in (ann, ben):
        judgement = judge(sent, [payload for _, payload in client.heard])
        assert judgement.clean, f"{client.name}: {judgement}"
    assert ben.recovered, ben.state()
    assert all(ben.recovered), ben.state()
    assert ann.refused > 0  # it was told, each time


async def test_pubsub_loses_what_passes_meanwhile_and_the_numbers_show_it() -> None:
    async with two_instances("pubsub") as instances:
        exchange = Exchange()
        a, b = instances.see(exchange)
        alice, bob = await a.member(CHANNEL), await b.member(CHANNEL)
        await alice.publish(CHANNEL, payload=1)
        assert (await bob.event("the first"))["seq"] == 1

        instances.cut_off_b()
        await b.healthy(503)
        await alice.publish(CHANNEL, payload=2)
        instances.mend_b()
        await b.healthy()
        await alice.publish(CHANNEL, payload=3)

        assert (await bob.event("the next", BACK_SECONDS))["seq"] == 3
        await exchange.close()


async def test_what_the_log_no_longer_holds_is_not_passed_over_in_silence() -> None:
    """B was away for longer than the log reaches back: its clients are asked to come back."""
    async with two_instances("streams") as instances:
        exchange = Exchange()
        a, b = instances.see(exchange)
        alice, bob = await a.member(CHANNEL), await b.member(CHANNEL)
        await alice.publish(CHANNEL, payload=1)
        position = await bob.event("the first")

        instances.cut_off_b()
        await b.healthy(503)
        for number in range(2, 5):
            await alice.publish(CHANNEL, payload=number)
        async with Redis.from_url(instances.valkey.url) as client:
            await client.xtrim("frames:log", maxlen=1, approximate=False)
        instances.mend_b()

        ended = await bob.peer.ended("close 1012", BACK_SECONDS)
        assert ended.code == 1012
        back = await b.member()
        since = {"epoch": position["epoch"], "seq": position["seq"]}
        reply = await back.ask("subscribe", {"channel": CHANNEL, "since": since})
        assert reply["type"] == "subscribed", reply
        assert [event["data"] for event in reply["data"]["missed"]] == [2, 3, 4]
        await exchange.close()


@pytest.mark.parametrize("bus", ["streams", "pubsub"])
async def test_the_rooms_of_chapter_5_are_the_same_on_each_bus(bus: str, tmp_path: Path) -> None:
    async with Valkey() as valkey:
        settings = {"REDIS_URL": valkey.url, "BUS": bus}
        what = ("9", "--solution", "--only", "rooms")
        result = await asyncio.to_thread(grade_forked, tmp_path, *what, **settings)

    assert result.outcomes, result.output
    assert set(result.outcomes.values()) == {"passed"}, result.output


@pytest.mark.parametrize("bus", ["streams", "pubsub"])
async def test_a_bus_that_falls_silent_is_found_out_and_found_again(bus: str) -> None:
    """The half-open link: no connection is refused, none is reset, and nothing comes."""
    async with two_instances(bus) as instances:
        assert instances.wire is not None
        instances.wire.blackhole()

        await instances.b.healthy(503)
        assert "no answer" in (await instances.b.health())[1]["why"]
        await instances.a.healthy()

        instances.wire.heal()
        await instances.b.healthy()


@pytest.mark.parametrize(("name", "value"), [("BUS", "kafka"), ("REDIS_URL", "http://me:secret@h")])
async def test_a_bus_that_makes_no_sense_stops_the_start(name: str, value: str) -> None:
    said = await does_not_start(load().chapter(9).folder, name, value)

    assert "secret" not in said


# Both instances and Valkey, by `make chapter-9`


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


async def together(port: int, **settings: str) -> Process:
    """`python together.py`, printing its first lines."""
    environment = {"PORT": str(port), "REDIS_URL": "", "ALLOWED_ORIGINS": "", **settings}
    folder = str(load().chapter(9).folder)
    process = Process([sys.executable, "together.py"], folder, environment)
    await process.start()
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_together_starts_three_and_leaves_none_behind(number: signal.Signals) -> None:
    port = two_free_ports()
    runner = await together(port)
    async with asyncio.timeout(WITHIN):
        await until(lambda: any(line.startswith("listening") for line in runner.output))
        said = "\n".join(runner.output)
        found = re.search(r"is process (\d+)", said)
        assert found, said
        assert f"http://127.0.0.1:{port + 1}/ (B)" in said
        os.kill(int(found[1]), signal.SIGSTOP)  # even so

        assert runner.process is not None
        runner.process.send_signal(number)
        assert await runner.wait(WITHIN) == 0

    assert not alive(int(found[1]))
    for each in (port, port + 1):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", each))
    assert not [line for line in runner.stderr if "Traceback" in line], runner.stderr


async def test_together_says_so_when_a_port_is_taken_and_ends_all() -> None:
    port = two_free_ports()
    with socket.create_server(("127.0.0.1", port + 1)):
        runner = await together(port)

        assert await runner.wait(WITHIN) == 1

    said = "\n".join(runner.output)
    assert f"B | cannot listen on 127.0.0.1:{port + 1}" in said, said
