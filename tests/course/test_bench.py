"""The bench runs, at a size that says nothing about speed. No figure of it is ever asserted."""

import json
from pathlib import Path

from course import capacity, plots
from course.manifest import LANGUAGES
from tests.course.grading import course

TINY = ("--rounds", "1", "--members", "5", "--messages", "8", "--flood", "50")
EMITTED = ("room", "node", "one", "chapter", "library")


def test_a_tiny_bench_measures_each_way_and_can_be_drawn(tmp_path: Path) -> None:
    ways = ("--ways", "together,floor,chapter,node", "--into", str(tmp_path))
    done = course("bench", "fanout", *TINY, *ways)

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench-fanout.json").read_text(encoding="utf-8"))
    assert list(found["ways"]) == ["together", "floor", "chapter", "node"]
    assert all(len(way["each"]) == 1 for way in found["ways"].values())
    assert all(len(sizes) == 2 for sizes in found["memory"]["ways"].values())
    for language in LANGUAGES:
        assert plots.fanout(found, language).count("<rect") >= len(found["ways"])
        assert "polyline" in plots.unread(found, language)


def test_a_tiny_bench_emits_on_socketio_and_can_be_drawn(tmp_path: Path) -> None:
    done = course("bench", "emit", *TINY, "--ways", ",".join(EMITTED), "--into", str(tmp_path))

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench-emit.json").read_text(encoding="utf-8"))
    assert list(found["ways"]) == list(EMITTED)
    for language in LANGUAGES:
        assert plots.emit(found, language).count("<rect") == len(EMITTED)


def test_a_tiny_bench_of_the_upkeep_is_what_capacity_computes_with(tmp_path: Path) -> None:
    tiny = ("--beats", "1", "--beat-seconds", "1", "--events", "32", "--into", str(tmp_path))
    done = course("bench", "upkeep", *TINY, *tiny)

    assert done.returncode == 0, done.stderr
    upkeep = json.loads((tmp_path / "bench-upkeep.json").read_text(encoding="utf-8"))
    found = {name: capacity.recorded(name) for name in ("fanout", "emit")}
    for server in ("native", "socketio"):
        for bus in ("publish", "pubsub", "streams"):
            costs = capacity.costs(server, bus, {**found, "upkeep": upkeep})
            assert costs.beat_us > 0 and costs.open_us > 0 and costs.heard_us > 0
            assert costs.valkey_us + costs.valkey_us_each > 0


def test_the_recorded_figures_are_of_these_benches() -> None:
    emitted = plots.results("emit")

    assert {*EMITTED, "loop", "patched"} <= set(emitted["ways"])
    assert not {"host", "hostname", "node_name"} & set(emitted["machine"])

    found = plots.results("fanout")

    assert {"together", "floor", "chapter", "loop", "gather", "node"} <= set(found["ways"])
    assert found["rounds"] >= 1
    assert not {"host", "hostname", "node_name"} & set(found["machine"])
