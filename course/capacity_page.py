"""The tables of reference/capacity.md, made when the site is built."""

from __future__ import annotations

import math
import tomllib
from functools import cache
from typing import Any

from course import capacity
from course.capacity import Load, Plan

CONNECTIONS = (10_000, 1_000_000, 100_000_000)
LISTENING = (1, 10, 100, 1000)
NONE = "–"


@cache
def words() -> dict[str, Any]:
    return tomllib.loads((capacity.DATA / "capacity.toml").read_text(encoding="utf-8"))


def say(key: str, language: str, **values: Any) -> str:
    return str(words()["said"][key][language]).format(**values)


def rough(number: float) -> str:
    """Two digits: more would pretend to a precision that a shared machine has not."""
    if 0 < number < 10 and number != round(number):
        return f"{number:.2g}"
    digits = max(len(str(int(number))) - 2, 0)
    return f"{round(number, -digits):,.0f}"


def table(heads: list[str], rows: list[list[str]], left: int = 1) -> str:
    rule = [":--"] * left + ["--:"] * (len(heads) - left)
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, rule, *rows])


def loads() -> list[tuple[str, Load]]:
    found = words()["workload"].items()
    return [
        (name, Load(connections, float(load["rate"]), int(load["room"])))
        for connections in CONNECTIONS
        for name, load in found
    ]


def named(name: str, load: Load, language: str, how: str = "name") -> list[str]:
    return [f"{load.connections:,}", str(words()["workload"][name][how][language])]


def traffic(language: str) -> str:
    """What each load comes to."""
    costs = capacity.costs("native")
    heads = ("connections", "load", "deliveries", "events", "gigabits")
    rows = [
        [
            *named(name, load, language, "said"),
            rough(load.connections * load.rate),
            rough(capacity.events(load)),
            rough(capacity.gigabits(load, costs)),
        ]
        for name, load in loads()
    ]
    return table([say(head, language) for head in heads], rows, left=2)


def instances(language: str) -> str:
    """How many instances, and how many of the bus."""
    native, socketio = capacity.costs("native"), capacity.costs("socketio")
    heads = ("connections", "load", "one", "split", "gathered", "socketio", "back")
    rows = []
    for name, load in loads():
        split = capacity.split_bus(load, native)
        back = capacity.seconds_to_return(load, native, split.instances or 1)
        rows.append(
            [
                *named(name, load, language),
                plan(capacity.one_bus(load, native), language),
                plan(split, language),
                plan(capacity.split_bus(load, native, gathered=True), language),
                plan(capacity.split_bus(load, socketio), language),
                f"{rough(back)} s",
            ]
        )
    return table([say(head, language) for head in heads], rows, left=2)


def plan(found: Plan, language: str) -> str:
    if found.instances is None:
        return say("impossible", language)
    number = rough(found.instances)
    if not found.shards:
        return say("overloaded", language, instances=number, busy=f"{found.valkey_busy:.0%}")
    return say("plan", language, instances=number, shards=rough(found.shards))


def measured(language: str) -> str:
    """The costs that were recorded, and how."""
    upkeep = capacity.recorded("upkeep")
    heads = ("server", "memory", "base", "opening", "beat", "delivery")
    rows = []
    deliveries = {
        "native": capacity.recorded("fanout")["ways"]["chapter"]["us"],
        "socketio": capacity.recorded("emit")["ways"]["chapter"]["us"],
        "node": capacity.recorded("emit")["ways"]["node"]["us"],
    }
    for name, found in upkeep["connections"].items():
        figures = (found["kib"], found["base_mb"], found["open_us"], found.get("beat_us"))
        cells = [
            NONE if value is None else f"{value:.1f}" for value in (*figures, deliveries[name])
        ]
        rows.append([str(words()["server"][name][language]), *cells])
    pinned = say("yes" if upkeep["pinned"] else "no", language)
    how = say("how", language, **{**upkeep, **upkeep["machine"], "pinned": pinned})
    return table([say(head, language) for head in heads], rows) + f"\n\n{how}"


def bus(language: str) -> str:
    """What an event costs Valkey, and whoever hears it."""
    upkeep = capacity.recorded("upkeep")
    heads = ("bus", "few", "many", "heard", "rate", "busy")
    rows = []
    for name, found in upkeep["bus"].items():
        heard = upkeep["heard"].get(name)
        rows.append(
            [
                str(words()["bus"][name][language]),
                f"{found['1']['us']:.1f}",
                f"{found['16']['us']:.1f}",
                NONE if heard is None else f"{heard['us']:.1f}",
                rough(found["1"]["a_second"]),
                f"{found['1']['busy']:.0%}",
            ]
        )
    return table([say(head, language) for head in heads], rows)


def limits(language: str) -> str:
    """Events a second that one Valkey takes, by how many instances hear each of them."""
    rows = []
    for name in words()["bus"]:
        costs = capacity.costs("native", name)
        found = [rough(math.floor(capacity.valkey_limit(count, costs))) for count in LISTENING]
        rows.append([str(words()["bus"][name][language]), *found])
    return table([say("listening", language), *(f"{count:,}" for count in LISTENING)], rows)


TABLES = {
    "capacity-measured": measured,
    "capacity-bus": bus,
    "capacity-traffic": traffic,
    "capacity-instances": instances,
    "capacity-limits": limits,
}
