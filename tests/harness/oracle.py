"""The oracle: what was sent against what came, and how far the two are apart.

It knows nothing of servers and clients: two lists of keys go in, a verdict comes out. What was sent
twice by its sender is one thing here, as it is to the person who pressed the button once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

SHOWN = 5  # examples of each kind


@dataclass(frozen=True)
class Judgement:
    """How a history differs from what was sent; all zero is what everybody wants."""

    sent: int
    lost: int = 0  # sent, and never came
    duplicated: int = 0  # copies beyond the first
    reordered: int = 0  # came, for the first time, behind something that was sent later
    invented: int = 0  # came, and was never sent
    examples: dict[str, list[Hashable]] = field(default_factory=dict, compare=False)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.reordered or self.invented)

    def __str__(self) -> str:
        parts = []
        for name in ("lost", "duplicated", "reordered", "invented"):
            count = getattr(self, name)
            if count or name != "invented":
                shown = ", ".join(str(key) for key in self.examples.get(name, []))
                parts.append(f"{count} {name}" + (f" ({shown} …)" if shown else ""))
        return f"{', '.join(parts)} of {self.sent}"


def judge(sent: Sequence[Hashable], came: Sequence[Hashable]) -> Judgement:
    """Compare the history `came` with what was `sent`, in the order of the first sending."""
    place = {key: number for number, key in enumerate(sent)}
    times = Counter(came)
    lost = [key for key in sent if key not in times]
    copies = [key for key, count in times.items() if key in place for _ in range(count - 1)]
    invented = [key for key in came if key not in place]
    behind: list[Hashable] = []
    newest = -1
    for key in dict.fromkeys(came):  # each at its first coming
        if key in place:
            if place[key] < newest:
                behind.append(key)
            newest = max(newest, place[key])
    found = {"lost": lost, "duplicated": copies, "reordered": behind, "invented": invented}
    return Judgement(
        sent=len(place),
        lost=len(lost),
        duplicated=len(copies),
        reordered=len(behind),
        invented=len(invented),
        examples={name: list(keys[:SHOWN]) for name, keys in found.items()},
    )
