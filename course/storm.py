"""A reconnect storm, simulated: when 200 clients knock after their server went down for a while.

No network and no clock: a list of moments for each way to wait, drawn as SVG for the lesson. The
dice are seeded, so that the picture is the same each time the site is built.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

CLIENTS = 200
AWAY = 8.0  # seconds from the loss, which all see at once, until the server is back
SHOWN = 24.0  # seconds
BASE, CAP = 1.0, 30.0  # seconds, the course's defaults
BIN = 0.1  # seconds: the handshakes within one are a server's load at one moment
SEED = 4
WAYS: dict[str, Callable[[random.Random, float], float]] = {
    "none": lambda dice, ceiling: ceiling,
    "equal": lambda dice, ceiling: ceiling / 2 + dice.random() * ceiling / 2,
    "full": lambda dice, ceiling: dice.random() * ceiling,
}
WIDTH, LEFT, RIGHT = 360, 4, 356
TALL, STEP, TOP = 60, 124, 24  # pixels: a panel, from one panel to the next, the first one's top


def arrivals(way: str) -> list[float]:
    """When each client knocks: again and again while the server is away, and the last time."""
    dice, moments = random.Random(SEED), []
    for _ in range(CLIENTS):
        now = 0.0
        for attempt in range(100):
            now += WAYS[way](dice, min(CAP, BASE * 2**attempt))
            moments.append(now)
            if now >= AWAY:
                break
    return sorted(moments)


def bins(moments: list[float]) -> Counter[int]:
    """How many knock in each tenth of a second that is shown."""
    return Counter(int(moment / BIN) for moment in moments if moment < SHOWN)


def peak(way: str) -> int:
    """The most that knock within a tenth of a second, once the server is back."""
    return max(count for index, count in bins(arrivals(way)).items() if index * BIN >= AWAY)


def picture(words: dict[str, str]) -> str:
    """The three ways, one below the other, on one scale. `words` are those of site/data/words."""
    height = TOP + STEP * len(WAYS)

    def x(seconds: float) -> float:
        return LEFT + (RIGHT - LEFT) * seconds / SHOWN

    def text(kind: str, at: float, y: float, said: str) -> str:
        return f'<text class="{kind}" x="{at:.1f}" y="{y}">{said}</text>'

    parts = [
        text("soft middle", x(AWAY / 2), 14, words["storm_away"]),
        text("soft middle", x((AWAY + SHOWN) / 2), 14, words["storm_back"]),
    ]
    for number, way in enumerate(WAYS):
        floor = TOP + STEP * number + TALL + 36
        found = bins(arrivals(way))
        parts += [
            text("strong", LEFT, floor - TALL - 22, words[f"storm_{way}"]),
            text("to-server end", RIGHT, floor - TALL - 7, words["storm_peak"].format(peak(way))),
            f'<rect class="wash" x="{LEFT}" y="{floor - TALL}" width="{x(AWAY) - LEFT:.1f}" '
            f'height="{TALL}"/>',
            f'<line class="rule" x1="{LEFT}" y1="{floor}" x2="{RIGHT}" y2="{floor}"/>',
        ]
        parts += [
            f'<line class="to-server" x1="{x(index * BIN):.1f}" y1="{floor}" '
            f'x2="{x(index * BIN):.1f}" y2="{floor - max(1.5, TALL * count / CLIENTS):.1f}"/>'
            for index, count in sorted(found.items())
        ]
        for second in range(0, int(SHOWN) + 1, 4):
            anchor = "" if second == 0 else " end" if second == SHOWN else " middle"
            parts.append(text(f"soft{anchor}", x(second), floor + 14, f"{second} s"))
    every = [arrivals(way) for way in WAYS]
    caption = words["storm_caption"].format(
        CLIENTS,
        " · ".join(f"{len(moments)}" for moments in every),
        " · ".join(f"{moments[-1]:.0f}" for moments in every),
    )
    return (
        '<figure markdown="0">\n'
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{words["storm_label"].format(*(peak(way) for way in WAYS))}">\n'
        + "\n".join(parts)
        + f"\n</svg>\n<figcaption>{caption}</figcaption>\n</figure>"
    )
