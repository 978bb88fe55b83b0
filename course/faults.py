"""Faults: what can go wrong on the wire, as values, as text, and as methods.

A fault says what is done, to whose bytes, and behind which frame or byte: counted, never timed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

Side = Literal["client", "server"]
Sides = Literal["client", "server", "both"]
Action = Literal[
    "pass", "delay", "chop", "throttle", "blackhole", "half-close", "cut", "reset", "refuse"
]
Unit = Literal["frames", "bytes"]


class FaultError(ValueError):
    """A fault that cannot be; the message is one line."""


_FAULT = re.compile(
    r"""(?P<action> [a-z-]+)
        (?:\ (?P<amount> [0-9.]+))?
        (?:\ (?P<side> client|server|both))?
        (?:\ (?P<how> fin|connect))?
        (?:\ after\ (?P<low> \d+) (?:-(?P<high> \d+))? \ (?P<unit> frame|byte)s?
           (?:\ from\ (?P<source> client|server))?)?
        (?:\ on\ connection\ (?P<connection> \d+))?""",
    re.VERBOSE,
)

GRAMMAR = """\
a fault is   ACTION [WHOSE] [after N frames|bytes from client|server] [on connection K]

  pass                    no fault; typed while the wire runs, also: heal
  delay SECONDS           everything arrives that much later
  chop                    one byte at a time
  throttle N              N bytes a second
  blackhole               both ends stay open and the bytes vanish: the half-open link
  half-close WHOSE        that side's stream ends (FIN), the other direction goes on
  cut                     both ends get a FIN
  reset                   both ends get a RST; with WHOSE only that end, the other hears nothing
  refuse                  a new connection is accepted and reset at once
  refuse fin              … and ended with a FIN;  refuse connect: nobody listens any more

WHOSE is client, server or both (the default): whose bytes, or for reset whose end.
N may be a range, 5-50: a number drawn for each connection from the seed; without `from`, so is the
side. Given at the start, half-close, cut and reset without an `after` come right after the
handshake; typed while the wire runs, they come at once. Counting begins when the fault is set.
Several faults are separated by commas: chop, cut after 5 frames from client
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, as `GRAMMAR` tells it. Raises FaultError if it makes no sense.

    amount      seconds of a delay, bytes a second of a throttle
    side        whose bytes it is about; for reset, whose end
    how         of a refusal: "reset" (the default), "fin" or "connect"
    after       so many frames or bytes pass first, or a (low, high) range to draw that from; None
                is at once. Frames are counted behind the handshake, bytes from the first on
    source      whose frames or bytes are counted; may be left out for a range, to be drawn as well
    connection  only the one with this number, counted from 1
    """

    action: Action
    amount: float = 0.0
    side: Sides = "both"
    how: Literal["reset", "fin", "connect"] = "reset"
    after: int | tuple[int, int] | None = None
    unit: Unit = "frames"
    source: Side | None = None
    connection: int | None = None

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise FaultError(f"no fault {self.action!r}: {', '.join(get_args(Action))}")
        if self.action in ("delay", "throttle"):
            if not 0 < self.amount < float("inf"):
                unit = "seconds" if self.action == "delay" else "bytes a second"
                raise FaultError(f"{self.action} needs a number of {unit}, such as {self._such}")
        elif self.amount:
            raise FaultError(f"{self.action} takes no number")
        if self.action == "half-close" and self.side == "both":
            raise FaultError("half-close needs a side: half-close client, or half-close server")
        if self.action in ("pass", "cut", "refuse") and self.side != "both":
            raise FaultError(f"{self.action} takes no side")
        if self.action != "refuse" and self.how != "reset":
            raise FaultError(f"{self.action} takes no {self.how!r}")
        if self.action in ("pass", "refuse") and self.after is not None:
            raise FaultError(f"{self.action} takes no `after`")
        if isinstance(self.after, tuple):
            if self.after[0] > self.after[1]:
                raise FaultError(f"the range {self.after[0]}-{self.after[1]} is upside down")
        elif self.after is not None and self.source is None:
            raise FaultError("say whose are counted: from client, or from server")
        if self.connection is not None and (self.connection < 1 or self.how == "connect"):
            raise FaultError("connections are numbered from 1, and one that is not made has none")

    @property
    def _such(self) -> str:
        return "0.5" if self.action == "delay" else "1000"

    @property
    def lasting(self) -> bool:
        """Whether it is a state of the wire, and not one blow."""
        return self.action not in ("half-close", "cut", "reset")

    @property
    def announced(self) -> str:
        """What is said when it is set: one that counts has yet to come."""
        if self.action == "pass":
            return "no fault"
        return str(self) if self.after is None else f"waiting: {self}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read one fault as `GRAMMAR` has it. Raises FaultError."""
        words = " ".join(text.lower().split())
        match = _FAULT.fullmatch("pass" if words == "heal" else words)
        if match is None:
            first = words.partition(" ")[0]
            if first in get_args(Action):
                raise FaultError(f"cannot read {words!r}: see --help")
            raise FaultError(f"no fault {first!r}: {', '.join(get_args(Action))}")
        low, high = match["low"], match["high"]
        try:
            amount = float(match["amount"] or 0)
        except ValueError:
            raise FaultError(f"{match['amount']!r} is not a number") from None
        return cls(
            action=match["action"],  # type: ignore[arg-type]  # judged by __post_init__
            amount=amount,
            side=match["side"] or "both",  # type: ignore[arg-type]
            how=match["how"] or "reset",  # type: ignore[arg-type]
            after=None if low is None else (int(low), int(high)) if high else int(low),
            unit="bytes" if match["unit"] == "byte" else "frames",
            source=match["source"],  # type: ignore[arg-type]
            connection=int(match["connection"]) if match["connection"] else None,
        )

    def __str__(self) -> str:
        words: list[str] = [self.action]
        words += [f"{self.amount:g}"] if self.amount else []
        words += [self.side] if self.side != "both" else []
        words += [self.how] if self.how != "reset" else []
        if self.after is not None:
            count = self.after if isinstance(self.after, int) else "-".join(map(str, self.after))
            words.append(f"after {count} {self.unit}")
            words += [f"from {self.source}"] if self.source else []
        words += [f"on connection {self.connection}"] if self.connection else []
        return " ".join(words)

    def drawn(self, seed: int, connection: int) -> Fault:
        """This fault with its range drawn: the same for the same seed and connection."""
        if not isinstance(self.after, tuple):
            return self
        dice = random.Random(f"{seed} {self} {connection}")
        count = dice.randint(*self.after)
        return replace(self, after=count, source=self.source or dice.choice(get_args(Side)))


Faults = Fault | str | Iterable[Fault | str]


def parse_faults(faults: Faults) -> list[Fault]:
    """Faults of any form as a list: a text may hold several, with commas. Raises FaultError."""
    if isinstance(faults, Fault):
        return [faults]
    if isinstance(faults, str):
        return [Fault.parse(part) for part in faults.split(",") if part.strip()]
    return [fault for part in faults for fault in parse_faults(part)]


class Breakable:
    """The faults as methods, for a whole wire or for one connection. None of them waits."""

    def apply(self, *faults: Fault | str) -> None:
        """Set faults, as objects or as text. Raises FaultError."""
        raise NotImplementedError

    def heal(self) -> None:
        """Take all faults off. What vanished stays lost; an end that was withheld is passed on."""
        self.apply(Fault("pass"))

    def delay(self, seconds: float, side: Sides = "both") -> None:
        """Let that side's bytes arrive `seconds` later."""
        self.apply(Fault("delay", seconds, side))

    def chop(self, side: Sides = "both") -> None:
        """Write that side's bytes one at a time, each in a packet of its own.

        How many a reader in another process finds at once is for its kernel to say.
        """
        self.apply(Fault("chop", side=side))

    def throttle(self, bytes_per_second: float, side: Sides = "both") -> None:
        """Let that side's bytes pass slowly."""
        self.apply(Fault("throttle", bytes_per_second, side))

    def blackhole(self, side: Sides = "both") -> None:
        """Let that side's bytes vanish, and its end too: the other side sees an open connection."""
        self.apply(Fault("blackhole", side=side))

    def half_close(self, side: Side) -> None:
        """End that side's stream with a FIN; the other direction goes on."""
        self.apply(Fault("half-close", side=side))

    def cut(self) -> None:
        """Send a FIN to both ends; whatever they still say vanishes."""
        self.apply(Fault("cut"))

    def reset(self, side: Sides = "both") -> None:
        """Send a RST to that end. The other, if it gets none, stays open and hears nothing.

        What an end that does not read has yet to take may be lost with it, as on any network.
        """
        self.apply(Fault("reset", side=side))

    def cut_after(
        self,
        count: int | tuple[int, int],
        source: Side | None = None,
        *,
        unit: Unit = "frames",
        reset: bool = False,
        connection: int | None = None,
    ) -> None:
        """Cut behind the `count`-th frame or byte from `source`, which passes whole.

        With a FIN, or with `reset` a RST. A (low, high) range is drawn from the seed for each
        connection; then `source` may be left out, to be drawn as well.
        """
        action: Action = "reset" if reset else "cut"
        fault = Fault(action, after=count, source=source, unit=unit, connection=connection)
        self.apply(fault)

    def cut_randomly(self, between: tuple[int, int], *, reset: bool = False) -> None:
        """Cut each connection behind a number of frames and on a side drawn from the seed."""
        self.cut_after(between, reset=reset)
