"""How many instances so many connections take, computed from what `make bench` recorded.

    python -m course capacity --connections 50000 --rate 0.5 --room 30

What is measured comes from `site/data/bench-*.json`; what is assumed stands in this file, by name.
The page reference/capacity.md shows the formulas below, and tables that are made with them.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from typing import Any

from course.manifest import ROOT

DATA = ROOT / "site" / "data"

# --8<-- [start:assumptions]
CPU = 0.5  # of one core for each instance: the rest is for bursts, and for a neighbour that fell
MEMORY_MB = 2048.0  # that an instance may fill
HEARTBEAT_SECONDS = 20.0
VALKEY_CPU = 0.5  # of the one core on which Valkey runs commands
WIRE_BYTES = 160  # envelope, frame, TCP and IP around the payload of one delivery
LEAST = 2  # instances: one may always be restarting
# --8<-- [end:assumptions]


@dataclass(frozen=True)
class Costs:
    """What was measured. Times are CPU time in µs."""

    connection_kib: float
    base_mb: float
    beat_us: float
    delivery_us: float
    open_us: float
    heard_us: float  # for an event from the bus, whether or not anybody there wants it
    valkey_us: float  # for an event
    valkey_us_each: float  # and for each instance that hears it
    payload: int  # bytes


@dataclass(frozen=True)
class Load:
    """What the clients do. Each one gets `rate` events a second; each event goes to one room."""

    connections: int
    rate: float
    room: int  # members


@dataclass(frozen=True)
class Plan:
    """An answer. `instances` is None where no number of them is enough."""

    instances: int | None
    by: str  # what decides: "memory", "cpu", "least", or "bus" where there is no answer
    shards: int  # of the bus; 0 where one Valkey is too few and there is nothing but one
    valkey_busy: float  # of the core of each shard


# --8<-- [start:formulas]
def events(load: Load) -> float:
    """A second, for all rooms together: each event becomes as many deliveries as the room has
    members."""
    return load.connections * load.rate / load.room


def connection_us(load: Load, costs: Costs) -> float:
    """CPU time that one connection takes in a second: its deliveries and its heartbeats."""
    return load.rate * costs.delivery_us + costs.beat_us / HEARTBEAT_SECONDS


def by_memory(load: Load, costs: Costs) -> int:
    free_kib = (MEMORY_MB - costs.base_mb) * 1e6 / 1024
    return math.ceil(load.connections * costs.connection_kib / free_kib)


def hearers(load: Load, instances: int, gathered: bool = False) -> float:
    """Instances that have a member of a room: one if its members are sent to the same, else as
    many as chance makes it."""
    return 1.0 if gathered else instances * (1 - (1 - 1 / instances) ** load.room)


def one_bus(load: Load, costs: Costs) -> Plan:
    """Chapter 9: one Valkey, and every instance hears every event."""
    left_us = CPU * 1e6 - events(load) * costs.heard_us  # a second, on each instance
    if left_us <= 0:
        return Plan(None, "bus", 0, math.inf)
    by_cpu = math.ceil(load.connections * connection_us(load, costs) / left_us)
    instances, by = enough(load, costs, by_cpu)
    busy = events(load) * (costs.valkey_us + instances * costs.valkey_us_each) / 1e6
    return Plan(instances, by, int(busy <= VALKEY_CPU), busy)


def split_bus(load: Load, costs: Costs, gathered: bool = False) -> Plan:
    """Rooms are spread over shards, and an instance hears the rooms that it has members of."""
    by_cpu, needed = 0, 1
    while by_cpu < needed:  # more instances hear more of the events, but never more than `room`
        by_cpu = needed
        heard_us = events(load) * hearers(load, by_cpu, gathered) * costs.heard_us
        needed_us = load.connections * connection_us(load, costs) + heard_us
        needed = math.ceil(needed_us / (CPU * 1e6))
    instances, by = enough(load, costs, by_cpu)
    each_us = costs.valkey_us + hearers(load, instances, gathered) * costs.valkey_us_each
    busy = events(load) * each_us / 1e6
    shards = max(1, math.ceil(busy / VALKEY_CPU))
    return Plan(instances, by, shards, busy / shards)


def enough(load: Load, costs: Costs, by_cpu: int) -> tuple[int, str]:
    """So many instances, and what asks for them."""
    needed = {"least": LEAST, "memory": by_memory(load, costs), "cpu": by_cpu}
    by = max(needed, key=lambda name: needed[name])
    return needed[by], by


def valkey_limit(instances: int, costs: Costs) -> float:
    """Events a second that one Valkey takes, if so many instances hear each of them."""
    return VALKEY_CPU * 1e6 / (costs.valkey_us + instances * costs.valkey_us_each)


def gigabits(load: Load, costs: Costs) -> float:
    """A second, out of all instances together."""
    return load.connections * load.rate * (costs.payload + WIRE_BYTES) * 8 / 1e9


def seconds_to_return(load: Load, costs: Costs, instances: int) -> float:
    """Until all are back after a loss of all, if the instances do nothing else."""
    return load.connections * costs.open_us / 1e6 / instances


# --8<-- [end:formulas]


def recorded(bench: str) -> Any:
    return json.loads((DATA / f"bench-{bench}.json").read_text(encoding="utf-8"))


def costs(server: str, bus: str = "streams", found: dict[str, Any] | None = None) -> Costs:
    """The measured costs of `native` or `socketio` with this bus; `found` in place of the files."""
    found = found or {name: recorded(name) for name in ("fanout", "emit", "upkeep")}
    upkeep = found["upkeep"]
    connection = upkeep["connections"][server]
    delivery = found["fanout" if server == "native" else "emit"]["ways"]["chapter"]["us"]
    few, many = (upkeep["bus"][bus][str(readers)]["us"] for readers in (1, 16))
    each = max((many - few) / (16 - 1), 0.0)
    return Costs(
        connection_kib=connection["kib"],
        base_mb=connection["base_mb"],
        beat_us=connection["beat_us"],
        delivery_us=delivery,
        open_us=connection["open_us"],
        heard_us=upkeep["heard"]["pubsub" if bus == "publish" else bus]["us"],
        valkey_us=max(few - each, 0.0),
        valkey_us_each=each,
        payload=found["fanout"]["bytes"],
    )


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("capacity", help="how many instances", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=1.0, help="events a second for each of them")
    parser.add_argument("--room", type=int, default=100, help="members that each event goes to")


def main(options: argparse.Namespace) -> int:
    load = Load(options.connections, options.rate, options.room)
    print(f"{events(load):,.1f} events a second, {load.connections * load.rate:,.0f} deliveries")
    for server in ("native", "socketio"):
        measured = costs(server)
        for name, plan in (
            ("one bus", one_bus(load, measured)),
            ("split bus", split_bus(load, measured)),
            ("gathered", split_bus(load, measured, gathered=True)),
        ):
            if plan.instances is None:
                print(f"{server:9} {name:10} impossible: each instance would hear too much")
                continue
            bus = f"{plan.shards} Valkey, {plan.valkey_busy:.0%} busy"
            if not plan.shards:
                bus = f"one Valkey would have to be {plan.valkey_busy:.0%} busy"
            print(f"{server:9} {name:10} {plan.instances:,} instances, by {plan.by}; {bus}")
    return 0
