"""Capacity: the arithmetic on figures that can be checked by hand, and the page's step with it."""

import math

import pytest

from course import capacity, partials
from course.capacity import Costs, Load, Plan
from course.manifest import LANGUAGES, ROOT, load
from tests.course.grading import course

# 10 KiB and 48 MB; a heartbeat of 100 µs each 20 s is 5 µs a second.
COSTS = Costs(
    connection_kib=10.0,
    base_mb=48.0,
    beat_us=100.0,
    delivery_us=10.0,
    open_us=500.0,
    heard_us=50.0,
    valkey_us=20.0,
    valkey_us_each=5.0,
    payload=200,
)
LIVELY, QUIET = Load(1_000_000, 1.0, 100), Load(1_000_000, 0.0, 100)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The assumptions that the figures by hand are made with."""
    known = {"CPU": 0.5, "MEMORY_MB": 2048.0, "HEARTBEAT_SECONDS": 20.0, "VALKEY_CPU": 0.5}
    for name, value in {**known, "WIRE_BYTES": 160, "LEAST": 2}.items():
        monkeypatch.setattr(capacity, name, value)


def test_events_deliveries_and_bytes() -> None:
    assert capacity.events(LIVELY) == 10_000  # 1,000,000 deliveries, 100 for each event
    assert capacity.connection_us(LIVELY, COSTS) == 15.0  # one delivery, and 100/20 of a heartbeat
    assert capacity.gigabits(LIVELY, COSTS) == pytest.approx(2.88)  # 1e6 × 360 × 8
    assert capacity.seconds_to_return(LIVELY, COSTS, 10) == 50.0  # 500 s of CPU, by ten


def test_memory_decides_where_nothing_is_said() -> None:
    assert capacity.by_memory(QUIET, COSTS) == 6  # 1e7 KiB are 10,240 MB; 2,000 are free
    assert capacity.one_bus(Load(1_000_000, 0.0, 100), COSTS) == Plan(10, "cpu", 1, 0.0)
    patient = Costs(**{**vars(COSTS), "beat_us": 1.0})
    assert capacity.one_bus(QUIET, patient) == Plan(6, "memory", 1, 0.0)
    assert capacity.one_bus(Load(10, 0.0, 1), COSTS) == Plan(2, "least", 1, 0.0)


def test_one_bus_costs_each_instance_every_event() -> None:
    load = Load(100_000, 1.0, 100)  # 1,000 events: 50,000 of 500,000 µs on every instance

    plan = capacity.one_bus(load, COSTS)

    assert plan == Plan(4, "cpu", 1, 1000 * (20 + 4 * 5) / 1e6)  # 1.5e6 / 450,000 is 3.3


def test_one_bus_has_an_end_that_no_instances_can_move() -> None:
    assert capacity.one_bus(LIVELY, COSTS) == Plan(None, "bus", 0, math.inf)  # 10,000 × 50 µs
    nearly = capacity.one_bus(Load(990_000, 1.0, 100), COSTS)  # 5,000 µs are left on each
    assert nearly.instances == 2970
    assert nearly.shards == 0  # and Valkey would need 147 cores


def test_members_by_chance_and_members_together() -> None:
    assert capacity.hearers(Load(1, 1.0, 1), 10) == pytest.approx(1.0)
    assert capacity.hearers(Load(1, 1.0, 2), 10) == pytest.approx(1.9)  # the second elsewhere: .9
    assert capacity.hearers(LIVELY, 1) == 1.0
    assert capacity.hearers(LIVELY, 1_000_000) == pytest.approx(100, rel=1e-3)
    assert capacity.hearers(LIVELY, 1_000_000, gathered=True) == 1.0


def test_a_bus_that_is_split() -> None:
    together = capacity.split_bus(LIVELY, COSTS, gathered=True)
    by_chance = capacity.split_bus(LIVELY, COSTS)

    # 1e6 × 15 µs and 10,000 × 50 µs are 15.5 cores of CPU; 10,000 × 25 µs are a quarter of one.
    assert together == Plan(31, "cpu", 1, 0.25)
    heard = capacity.hearers(LIVELY, by_chance.instances or 0)
    assert by_chance.instances == math.ceil((15e6 + 10_000 * heard * 50) / 5e5)
    busy = 10_000 * (20 + heard * 5) / 1e6
    assert by_chance.shards == math.ceil(busy / 0.5)
    assert by_chance.valkey_busy == pytest.approx(busy / by_chance.shards)


def test_where_one_valkey_ends() -> None:
    assert capacity.valkey_limit(1, COSTS) == 20_000  # half a core, 25 µs
    assert capacity.valkey_limit(96, COSTS) == 1_000


def test_costs_are_read_from_what_was_recorded() -> None:
    connection = {"kib": 9.0, "base_mb": 40.0, "beat_us": 80.0, "open_us": 300.0}
    bus = {"1": {"us": 25.0}, "16": {"us": 100.0}}
    found = {
        "fanout": {"bytes": 200, "ways": {"chapter": {"us": 8.0}}},
        "emit": {"ways": {"chapter": {"us": 12.0}}},
        "upkeep": {
            "connections": {"native": connection, "socketio": connection},
            "bus": {"streams": bus, "publish": bus},
            "heard": {"streams": {"us": 60.0}, "pubsub": {"us": 50.0}},
        },
    }

    native, socketio = (
        capacity.costs("native", found=found),
        capacity.costs("socketio", found=found),
    )

    assert native == Costs(9.0, 40.0, 80.0, 8.0, 300.0, 60.0, 20.0, 5.0, 200)  # 5 = (100 − 25) / 15
    assert socketio.delivery_us == 12.0
    assert capacity.costs("native", "publish", found).heard_us == 50.0


def test_the_command_says_it_for_any_load() -> None:
    done = course("capacity", "--connections", "1000", "--rate", "1", "--room", "10")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("100.0 events a second, 1,000 deliveries\n")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_in_step_with_what_was_recorded(language: str) -> None:
    text = (ROOT / "site" / language / "reference" / "capacity.md").read_text(encoding="utf-8")
    tables = {name for name in partials.WHOLE if name.startswith("capacity")}

    for name in tables:
        assert f"build/generated/{language}/{name}.md" in text
    for part in ("assumptions", "formulas"):
        assert f"course/capacity.py:{part}" in text
    native = capacity.costs("native")
    measured = partials.WHOLE["capacity-measured"](load(), language)
    for value in (native.connection_kib, native.beat_us, native.delivery_us, native.open_us):
        assert f"| {value:.1f} |" in measured
    planned = partials.WHOLE["capacity-instances"](load(), language)
    assert planned.count("\n| ") >= 6
