"""`make bench`: what a delivery costs, side by side, and what a connection costs.

fanout    a room on plain WebSocket: the ways to send to it, and a reader who does not read
emit      the same room on Socket.IO, in Python and in Node
upkeep    what a connection costs that says nothing, and an event on the bus
rollout   when 200 clients come back from a rolling restart, and where long polling works

The ways are run in rounds, each with a fresh server, every other round in reverse order. What
counts is the server's CPU time for each delivery, and its ratio to another way's of the same round:
a machine that is slow for a minute is slow for both. Figures are for reading; no test asserts one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course import console, tools
from course.benches import rollout, upkeep
from course.benches.load import Client, LoadError, Room, SocketIOClient, flood
from course.benches.process import cpu, machine, resident, serving
from course.manifest import ROOT

DATA = ROOT / "site" / "data"
BENCHES = Path(__file__).with_name("benches")
CHAPTERS = ROOT / "chapters"
MEMBERS, MESSAGES, SIZE, ROUNDS = 1000, 80, 200, 5
LONGEST = 200  # seconds: no round begins that would end later
TOGETHER = 8  # messages that wait together, each the latest value of a key of its own
WARM = 10  # messages before the clock starts
FLOOD, FLOOD_SIZE, FLOOD_STEP = 1500, 60_000, 50


@dataclass(frozen=True)
class Way:
    """One way to send to a room: how its server is started and spoken to."""

    program: tuple[str, ...]
    folder: Path
    settings: dict[str, str]
    welcome: bool = False  # whether a welcome comes first
    deflate: bool = False
    together: int = 1
    client: type[Client] = Client

    def serving(self, cores: list[int]) -> AbstractContextManager[tuple[int, int]]:
        return serving(self.program, self.folder, self.settings, cores)


def python(way: str) -> Way:
    program = (sys.executable, str(BENCHES / "server.py"))
    return Way(program, BENCHES, {"WAY": way}, deflate=way == "deflate")


def node(way: str) -> Way:
    return Way(("node", str(BENCHES / "server.mjs")), BENCHES, {"WAY": way})


def chapter(together: int) -> Way:
    settings = {"FLUSH_MS": "5", "MAX_MESSAGE_BYTES": str(1 << 20)}
    folder = CHAPTERS / "07-backpressure"
    return Way((sys.executable, "server.py"), folder, settings, welcome=True, together=together)


def python_socketio(way: str) -> Way:
    settings = {"WAY": way, "PYTHONPATH": str(CHAPTERS / "10-socketio")}
    program = (sys.executable, str(BENCHES / "socketio_server.py"))
    return Way(program, BENCHES, settings, client=SocketIOClient)


FANOUT = {
    "together": chapter(TOGETHER),
    "floor": python("floor"),
    "chapter": chapter(1),
    "loop": python("loop"),
    "naive": python("naive"),
    "gather": python("gather"),
    "deflate": python("deflate"),
    "node-once": node("once"),
    "node": node("source"),
}
FLOODED = ("node", "floor", "chapter")
EMIT = {
    "room": chapter(1),
    "node": Way(("node", str(BENCHES / "socketio_server.mjs")), BENCHES, {}, client=SocketIOClient),
    "one": python_socketio("one"),
    "chapter": Way(
        (sys.executable, "server.py"),
        CHAPTERS / "10-socketio",
        {"HEARTBEAT_SECONDS": "600", "MAX_MESSAGE_BYTES": str(1 << 20)},
        client=SocketIOClient,
    ),
    "patched": python_socketio("patched"),
    "loop": python_socketio("loop"),
    "library": python_socketio("library"),
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "bench",
        help="measure what a delivery and a connection cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = os.environ.get("BENCH", "").split() or list(BENCHED)
    parser.add_argument("names", nargs="*", default=names, metavar="NAME")
    rounds = os.environ.get("ROUNDS", "") or ROUNDS
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--flood", type=int, default=FLOOD, help="messages of 60 KB")
    parser.add_argument("--ways", help="of fanout or emit; all, if not named")
    parser.add_argument("--into", type=Path, default=DATA, help="the folder of the results")
    upkeep.add_options(parser)


def main(options: argparse.Namespace) -> int:
    if not Path("/proc/self/stat").exists():
        console.stop("the CPU time of a server is read from /proc, which this system has not")
    if options.rounds < 1 or not set(options.names) <= set(BENCHED):
        console.stop(f"a bench needs a round at least, and the benches are {', '.join(BENCHED)}")
    tools.npm_install()
    cores = sorted(os.sched_getaffinity(0))
    for name in options.names:
        print(f"bench {name}", file=sys.stderr, flush=True)
        try:
            results = {
                "date": datetime.now(UTC).date().isoformat(),
                "machine": machine(len(cores)),
                "pinned": len(cores) >= 2,
                **BENCHED[name](options, cores),
            }
        except LoadError as error:
            console.stop(f"the bench stopped: {error}")
        finally:
            os.sched_setaffinity(0, cores)
        path = options.into / f"bench-{name}.json"
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def fanout(options: argparse.Namespace, cores: list[int]) -> dict[str, Any]:
    found = deliveries(FANOUT, ("floor", "node"), options, cores)
    ways = [name for name in FLOODED if name in found["ways"]]
    memory = {name: swell(FANOUT[name], options.flood, cores) for name in ways}
    for name, sizes in memory.items():
        print(f"memory, {name}: from {sizes[0]:.0f} to {max(sizes):.0f} MB")
    found["together"] = TOGETHER
    return found | {"memory": {"bytes": FLOOD_SIZE, "step": FLOOD_STEP, "ways": memory}}


def emit(options: argparse.Namespace, cores: list[int]) -> dict[str, Any]:
    return deliveries(EMIT, ("node", "library"), options, cores)


def deliveries(
    all_ways: dict[str, Way], to: tuple[str, ...], options: argparse.Namespace, cores: list[int]
) -> dict[str, Any]:
    """What each way costs, in rounds, and its ratio to the ways named in `to`."""
    wanted = options.ways.split(",") if options.ways else list(all_ways)
    if not set(to) <= set(wanted):
        console.stop(f"this bench needs the ways {' and '.join(to)} to compare with")
    ways = [name for name in all_ways if name in wanted]
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    began = time.monotonic()
    for number in range(options.rounds):
        if number and (time.monotonic() - began) * (number + 1) / number > LONGEST:
            break
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for name in ways[:: -1 if number % 2 else 1]:
            cell = measure(all_ways[name], options.members, options.messages, cores)
            seen[name].append(cell)
            print(f"  {name:10} {cell['server']:6.2f} µs", file=sys.stderr, flush=True)
    found = {
        "rounds": len(seen[to[0]]),
        "members": options.members,
        "messages": options.messages,
        "bytes": SIZE,
        "ways": {name: summary(cells, seen, to) for name, cells in seen.items()},
    }
    show(found, to)
    return found


def measure(way: Way, members: int, messages: int, cores: list[int]) -> dict[str, float]:
    """One cell: CPU time in µs for each delivery, of the server and of the load."""
    with way.serving(cores) as (port, server):
        room = Room(way.client, port, members, welcome=way.welcome, deflate=way.deflate)
        try:
            batch = way.together
            if batch == 1:
                raw = way.client.event(SIZE)
            else:
                keys = (f"key-{number}" for number in range(batch))
                raw = b"".join(way.client.event(SIZE, policy="latest", key=key) for key in keys)
            for _ in range(-(-WARM // batch)):
                room.publish(raw, batch)
            started, before, own = time.monotonic(), cpu(server), time.process_time()
            count = -(-messages // batch)
            for _ in range(count):
                room.publish(raw, batch)
            wall, spent = time.monotonic() - started, cpu(server) - before
            own = time.process_time() - own
        finally:
            room.close()
    sent = count * batch * members
    return {
        "server": spent / sent * 1e6,
        "load": own / sent * 1e6,
        "server_busy": spent / wall,
        "load_busy": own / wall,
    }


def swell(way: Way, messages: int, cores: list[int]) -> list[float]:
    """The server's memory in MB while a room is flooded in which one reads nothing."""
    with way.serving(cores) as (port, server):
        seen = flood(
            port,
            FLOOD_SIZE,
            messages,
            FLOOD_STEP,
            welcome=way.welcome,
            look=lambda: resident(server),
        )
    return [round(size / 1e6, 1) for size in seen]


def summary(
    cells: list[dict[str, float]], seen: dict[str, list[dict[str, float]]], to: tuple[str, ...]
) -> dict[str, Any]:
    """The medians of one way, and of its ratios to others in the same round."""

    def median(name: str) -> float:
        return round(statistics.median(cell[name] for cell in cells), 2)

    def ratio(to: str) -> float:
        pairs = zip(cells, seen[to], strict=True)
        return round(statistics.median(a["server"] / max(b["server"], 0.01) for a, b in pairs), 2)

    return {
        "us": median("server"),
        "each": [round(cell["server"], 2) for cell in cells],
        **{f"to_{name}": ratio(name) for name in to},
        "server_busy": median("server_busy"),
        "load_busy": median("load_busy"),
    }


def show(found: dict[str, Any], to: tuple[str, ...]) -> None:
    heads = "".join(f"{f'÷ {name}':>11}" for name in to)
    print(f"{'way':12}{'µs':>7}{heads}{'server':>8}{'load':>7}")
    for name, way in found["ways"].items():
        ratios = "".join(f"{way[f'to_{other}']:11.2f}" for other in to)
        print(f"{name:12}{way['us']:7.2f}{ratios}{way['server_busy']:8.0%}{way['load_busy']:7.0%}")


BENCHED = {"fanout": fanout, "emit": emit, "upkeep": upkeep.measure, "rollout": rollout.measure}
