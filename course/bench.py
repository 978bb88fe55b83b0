"""`make bench`: what a delivery costs, side by side, and what a reader who does not read costs.

The ways are run in rounds, each with a fresh server, every other round in reverse order. What
counts is the server's CPU time for each delivery, and its ratio to the floor of the same round: a
machine that is slow for a minute is slow for both. Figures are for reading; no test asserts one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course import console, tools
from course.benches.load import LoadError, Room, event, flood
from course.manifest import ROOT

RESULTS = ROOT / "site" / "data" / "bench-fanout.json"
BENCHES = Path(__file__).with_name("benches")
CHAPTER = ROOT / "chapters" / "07-backpressure"
READY_SECONDS = 20.0
MEMBERS, MESSAGES, SIZE, ROUNDS = 1000, 80, 200, 5
LONGEST = 130  # seconds: no round begins that would end later
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


def python(way: str) -> Way:
    program = (sys.executable, str(BENCHES / "server.py"))
    return Way(program, BENCHES, {"WAY": way}, deflate=way == "deflate")


def node(way: str) -> Way:
    return Way(("node", str(BENCHES / "server.mjs")), BENCHES, {"WAY": way})


def chapter(together: int) -> Way:
    settings = {"FLUSH_MS": "5", "MAX_MESSAGE_BYTES": str(1 << 20)}
    return Way((sys.executable, "server.py"), CHAPTER, settings, welcome=True, together=together)


WAYS = {
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


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("bench", help="measure the fan-out", description=__doc__)
    rounds = os.environ.get("ROUNDS", "") or ROUNDS
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--flood", type=int, default=FLOOD, help="messages of 60 KB")
    parser.add_argument("--ways", default=",".join(WAYS), help="with floor and node among them")
    parser.add_argument("--into", type=Path, default=RESULTS, help="the file of results")


def main(options: argparse.Namespace) -> int:
    if not Path("/proc/self/stat").exists():
        console.stop("the CPU time of a server is read from /proc, which this system has not")
    if options.rounds < 1 or not {"floor", "node"} <= set(options.ways.split(",")):
        console.stop("a bench needs a round at least, and the ways floor and node to compare with")
    tools.npm_install()
    cores = sorted(os.sched_getaffinity(0))
    pinned = len(cores) >= 2
    ways = [name for name in WAYS if name in options.ways.split(",")]
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    began = time.monotonic()
    try:
        for number in range(options.rounds):
            if number and (time.monotonic() - began) * (number + 1) / number > LONGEST:
                break
            order = ways[:: -1 if number % 2 else 1]
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            for name in order:
                cell = measure(WAYS[name], options.members, options.messages, cores)
                seen[name].append(cell)
                print(f"  {name:10} {cell['server']:6.2f} µs", file=sys.stderr, flush=True)
        memory = {name: swell(WAYS[name], options.flood, cores) for name in FLOODED if name in ways}
    except LoadError as error:
        console.stop(f"the bench stopped: {error}")
    finally:
        os.sched_setaffinity(0, cores)
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(len(cores)),
        "pinned": pinned,
        "rounds": len(seen["floor"]),
        "members": options.members,
        "messages": options.messages,
        "bytes": SIZE,
        "together": TOGETHER,
        "ways": {name: summary(cells, seen) for name, cells in seen.items()},
        "memory": {"bytes": FLOOD_SIZE, "step": FLOOD_STEP, "ways": memory},
    }
    options.into.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    show(results)
    return 0


def measure(way: Way, members: int, messages: int, cores: list[int]) -> dict[str, float]:
    """One cell: CPU time in µs for each delivery, of the server and of the load."""
    with serving(way, cores) as (port, server):
        room = Room(port, members, welcome=way.welcome, deflate=way.deflate)
        try:
            batch = way.together
            if batch == 1:
                raw = event(SIZE)
            else:
                keys = (f"key-{number}" for number in range(batch))
                raw = b"".join(event(SIZE, policy="latest", key=key) for key in keys)
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
    deliveries = count * batch * members
    return {
        "server": spent / deliveries * 1e6,
        "load": own / deliveries * 1e6,
        "server_busy": spent / wall,
        "load_busy": own / wall,
    }


def swell(way: Way, messages: int, cores: list[int]) -> list[float]:
    """The server's memory in MB while a room is flooded in which one reads nothing."""
    with serving(way, cores) as (port, server):
        seen = flood(
            port,
            FLOOD_SIZE,
            messages,
            FLOOD_STEP,
            welcome=way.welcome,
            look=lambda: resident(server),
        )
    return [round(size / 1e6, 1) for size in seen]


@contextmanager
def serving(way: Way, cores: list[int]) -> Iterator[tuple[int, int]]:
    """A fresh server on the first core, with this process on the second; yields port and pid."""
    port = tools.free_port()
    program = [tools.find(way.program[0]), *way.program[1:]]
    settings = {"PORT": str(port), "MALLOC_TOP_PAD_": str(1 << 20), **way.settings}
    os.sched_setaffinity(0, cores[:1])  # a child begins where its parent is
    try:
        process = subprocess.Popen(
            program,
            cwd=way.folder,
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
        )
    finally:
        os.sched_setaffinity(0, cores[1:2] or cores)
    try:
        wait_for(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    import socket

    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise LoadError(f"a server did not start: {process.args!r}")


def cpu(pid: int) -> float:
    """The seconds of CPU time that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Its resident memory in bytes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def machine(cores: int) -> dict[str, Any]:
    asked = subprocess.run(
        [tools.find("node"), "--version"], capture_output=True, text=True, check=True
    )
    return {
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "node": asked.stdout.strip().removeprefix("v"),
    }


def summary(
    cells: list[dict[str, float]], seen: dict[str, list[dict[str, float]]]
) -> dict[str, Any]:
    """The medians of one way, and of its ratios to the floor and to the source's server."""

    def median(name: str) -> float:
        return round(statistics.median(cell[name] for cell in cells), 2)

    def ratio(to: str) -> float:
        pairs = zip(cells, seen[to], strict=True)
        return round(statistics.median(a["server"] / max(b["server"], 0.01) for a, b in pairs), 2)

    return {
        "us": median("server"),
        "each": [round(cell["server"], 2) for cell in cells],
        "to_floor": ratio("floor"),
        "to_node": ratio("node"),
        "server_busy": median("server_busy"),
        "load_busy": median("load_busy"),
    }


def show(results: dict[str, Any]) -> None:
    print(f"{'way':12}{'µs':>7}{'÷ floor':>9}{'÷ node':>8}{'server':>8}{'load':>7}")
    for name, way in results["ways"].items():
        print(
            f"{name:12}{way['us']:7.2f}{way['to_floor']:9.2f}{way['to_node']:8.2f}"
            f"{way['server_busy']:8.0%}{way['load_busy']:7.0%}"
        )
    for name, sizes in results["memory"]["ways"].items():
        print(f"memory, {name}: from {sizes[0]:.0f} to {max(sizes):.0f} MB")
