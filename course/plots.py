"""Plots and tables of what `make bench` recorded, drawn when the site is built."""

from __future__ import annotations

import html
import json
import tomllib
from functools import cache
from typing import Any

from course.manifest import ROOT

DATA = ROOT / "site" / "data"
WIDTH = 360  # of a plot, in the units of its viewBox: it can be read on a phone
ROW, BARS = 34, 250  # height of a row; width of the longest bar
COLOURS = {
    "fanout": {"floor": "control", "together": "ours", "chapter": "ours", "node": "source"},
    "emit": {"room": "control", "one": "ours", "chapter": "ours", "node": "source"},
}
LABELS = {
    "node": (2, -10),
    "floor": (3, 31),
    "chapter": (3, -7),
}  # thirds of the way; how far below
LINES = {"node": "source", "floor": "control", "chapter": "ours"}


def results(bench: str) -> dict[str, Any]:
    """What was recorded last."""
    path = DATA / f"bench-{bench}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@cache
def words() -> dict[str, Any]:
    return tomllib.loads((DATA / "bench.toml").read_text(encoding="utf-8"))


def say(key: str, language: str, **values: Any) -> str:
    return str(words()["said"][key][language]).format(**values)


def fanout(found: dict[str, Any], language: str) -> str:
    """A bar for each way, the cheapest on top, and the figures in a table."""
    return deliveries(found, "fanout", ("floor", "node"), language)


def emit(found: dict[str, Any], language: str) -> str:
    """The same for a room on Socket.IO."""
    return deliveries(found, "emit", ("node", "library"), language)


def deliveries(found: dict[str, Any], bench: str, to: tuple[str, str], language: str) -> str:
    """Bars and a table; `to` names the ways that the others are compared with."""
    ways = sorted(found["ways"].items(), key=lambda pair: pair[1]["us"])
    most = max(way["us"] for _, way in ways) or 1
    named = words()[f"{bench}_way"]
    parts, rows = [], []
    for number, (name, way) in enumerate(ways):
        label = html.escape(named[name][language].format(found.get("together")))
        y, length = number * ROW + 4, way["us"] / most * BARS
        value = f"{way['us']:.1f} µs · {way[f'to_{to[0]}']:.2f} ×"
        parts.append(
            f'<text x="0" y="{y + 10}">{label}</text>'
            f'<rect class="{COLOURS[bench].get(name, "other")}" x="0" y="{y + 15}" '
            f'width="{length:.1f}" height="9" rx="2"/>'
            f'<text class="soft" x="{length + 6:.1f}" y="{y + 24}">{value}</text>'
        )
        ratios = " | ".join(f"{way[f'to_{other}']:.2f}" for other in to)
        rows.append(f"| {label} | {way['us']:.2f} | {ratios} | {way['load_busy']:.0%} |")
    picture = figure(parts, len(ways) * ROW + 6, say("fanout", language), how(found, language))
    heads = [say(f"{bench}_{other}", language) for other in to]
    head = [say("way", language), "µs", *heads, say("load", language)]
    table = ["| " + " | ".join(head) + " |", "| :-- |" + " --: |" * (len(head) - 1), *rows]
    return picture + "\n\n" + "\n".join(table)


def how(found: dict[str, Any], language: str) -> str:
    pinned = say("yes" if found["pinned"] else "no", language)
    return say("how", language, **{**found, **found["machine"], "pinned": pinned})


def unread(found: dict[str, Any], language: str) -> str:
    """A line for each server: its memory while a room is flooded in which one reads nothing."""
    memory = found["memory"]
    step = memory["bytes"] * memory["step"] / 1e6
    longest = max(len(sizes) for sizes in memory["ways"].values())
    across, most = max(longest - 1, 1) * step, max(max(s) for s in memory["ways"].values()) * 1.05
    left, top, wide, high = 34, 10, 316, 180

    def at(number: int, size: float) -> tuple[float, float]:
        return left + number * step / across * wide, top + high - size / most * high

    parts = []
    for size in ticks(most):
        y = at(0, size)[1]
        parts.append(
            f'<line class="rule" x1="{left}" y1="{y:.1f}" x2="{left + wide}" y2="{y:.1f}"/>'
            f'<text class="soft end" x="{left - 6}" y="{y + 4:.1f}">{size}</text>'
        )
    for sent in ticks(across):
        x = left + sent / across * wide
        parts.append(f'<text class="soft middle" x="{x:.1f}" y="{top + high + 16}">{sent}</text>')
    x, y = left + wide / 2, top + high + 32
    parts.append(f'<text class="soft middle" x="{x}" y="{y}">{say("sent", language)}</text>')
    for name, sizes in memory["ways"].items():
        points = " ".join("{:.1f},{:.1f}".format(*at(n, size)) for n, size in enumerate(sizes))
        number, below = LABELS[name]
        number = min(number * len(sizes) // 3, len(sizes) - 1)
        x, y = at(number, sizes[number])  # there the label ends, above or below its line
        text = html.escape(words()["memory"][name][language])
        parts.append(
            f'<polyline class="{LINES[name]}" points="{points}"/>'
            f'<text class="{LINES[name]} end" x="{x - 4:.1f}" y="{y + below:.1f}">{text}</text>'
        )
    return figure(parts, top + high + 40, say("memory", language), say("flood", language))


def ticks(most: float) -> list[int]:
    """Three to six round numbers from 0 up."""
    sizes = [base * 10**power for power in range(6) for base in (1, 2, 5)]
    step = next(size for size in sizes if most / size <= 6)
    return list(range(0, int(most) + 1, step))


def figure(parts: list[str], height: float, title: str, caption: str) -> str:
    """A picture that follows the reader's colours; a screen reader is told its title."""
    svg = (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{html.escape(title)}">\n' + "\n".join(parts) + "\n</svg>"
    )
    said = f"<strong>{html.escape(title)}</strong><br>{html.escape(caption)}"
    return f'<figure markdown="0">\n{svg}\n<figcaption>{said}</figcaption>\n</figure>'
