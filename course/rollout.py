"""A rolling restart as `make bench` recorded it: who comes back when, and where polling works."""

from __future__ import annotations

import html
import math
from collections import Counter
from typing import Any

from course import plots

BIN = 0.1  # seconds
WAYS = ("none", "full")
WIDTH, LEFT, RIGHT = 360, 4, 356
TALL, STEP, TOP = 60, 116, 0


def bins(found: dict[str, Any], way: str) -> Counter[int]:
    """How many came back in each tenth of a second."""
    return Counter(int(moment / BIN) for moment in found["rolls"][way]["came"])


def picture(words: dict[str, str]) -> str:
    """Both ways to wait, one below the other, on one scale."""
    found = plots.results("rollout")
    shown: int = math.ceil(max(max(found["rolls"][way]["came"]) for way in WAYS))
    most = max(max(bins(found, way).values()) for way in WAYS)

    def x(seconds: float) -> float:
        return LEFT + (RIGHT - LEFT) * seconds / shown

    def text(kind: str, at: float, y: float, said: str) -> str:
        return f'<text class="{kind}" x="{at:.1f}" y="{y}">{html.escape(said)}</text>'

    parts, peaks = [], []
    for number, way in enumerate(WAYS):
        floor, counts = TOP + STEP * number + TALL + 28, bins(found, way)
        peaks.append(max(counts.values()))
        parts += [
            text("strong", LEFT, floor - TALL - 14, words[f"rollout_{way}"]),
            text("to-server end", RIGHT, floor - TALL - 1, words["rollout_peak"].format(peaks[-1])),
            f'<line class="rule" x1="{LEFT}" y1="{floor}" x2="{RIGHT}" y2="{floor}"/>',
        ]
        parts += [
            f'<line class="to-server" x1="{x(index * BIN):.1f}" y1="{floor}" '
            f'x2="{x(index * BIN):.1f}" y2="{floor - max(1.5, TALL * count / most):.1f}"/>'
            for index, count in sorted(counts.items())
        ]
        for second in range(shown + 1):
            anchor = "" if second == 0 else " end" if second == shown else " middle"
            parts.append(text(f"soft{anchor}", x(second), floor + 14, f"{second} s"))
    height = TOP + STEP * len(WAYS) + 8
    caption = words["rollout_caption"].format(
        found["clients"],
        *(len(found["rolls"][way]["came"]) for way in WAYS),
        sum(found["rolls"][way]["refused"] for way in WAYS),
    )
    return (
        '<figure markdown="0">\n'
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{html.escape(words["rollout_label"].format(*peaks))}">\n'
        + "\n".join(parts)
        + f"\n</svg>\n<figcaption>{html.escape(caption)}</figcaption>\n</figure>"
    )


def table(words: dict[str, str]) -> str:
    """What each way to choose an instance comes to, for clients that poll or do not."""
    found = plots.results("rollout")
    rows = [
        f"| {words[f'choice_{name}']} | {how['work']} / {found['pollers']} | "
        f"{' + '.join(map(str, how['spread'])) or '–'} |"
        for name, how in found["chosen"].items()
    ]
    head = " | ".join(words[name] for name in ("choice", "choice_work", "choice_spread"))
    return "\n".join([f"| {head} |", "| :-- | --: | --: |", *rows])
