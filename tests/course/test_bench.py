"""The bench runs, at a size that says nothing about speed. No figure of it is ever asserted."""

import json
from pathlib import Path

from course import plots
from course.manifest import LANGUAGES
from tests.course.grading import course

TINY = ("--rounds", "1", "--members", "5", "--messages", "8", "--flood", "50")


def test_a_tiny_bench_measures_each_way_and_can_be_drawn(tmp_path: Path) -> None:
    results = tmp_path / "results.json"

    done = course("bench", *TINY, "--ways", "together,floor,chapter,node", "--into", str(results))

    assert done.returncode == 0, done.stderr
    found = json.loads(results.read_text(encoding="utf-8"))
    assert list(found["ways"]) == ["together", "floor", "chapter", "node"]
    assert all(len(way["each"]) == 1 for way in found["ways"].values())
    assert all(len(sizes) == 2 for sizes in found["memory"]["ways"].values())
    for language in LANGUAGES:
        assert plots.fanout(found, language).count("<rect") >= len(found["ways"])
        assert "polyline" in plots.unread(found, language)


def test_the_recorded_figures_are_of_this_bench() -> None:
    found = plots.results()

    assert {"together", "floor", "chapter", "loop", "gather", "node"} <= set(found["ways"])
    assert found["rounds"] >= 1
    assert not {"host", "hostname", "node_name"} & set(found["machine"])
