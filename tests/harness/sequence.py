"""The sequence diagram of one exchange: inline SVG, drawn without a script.

Time runs down. The clients stand on the left and the server on the right, so what goes to the
server points right. Places across are percentages and places down are pixels: the picture takes the
width it is given, and its text keeps its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.harness.exchange import Event, Exchange, folded
from tests.harness.markup import line

FIRST, LAST = 3, 20  # events that are shown of a long exchange
MOST_CLIENTS = 4  # with a line of their own; more of them share one
TIME, CLIENT, NEXT, SERVER = 0.0, 13.0, 12.0, 93.0  # per cent across
HEAD = 34  # pixels down to the first row
SHORT, TALL = 30, 42  # pixels of a row without and with a payload
LONGEST_LABEL = 160  # characters; what does not fit the width fades out
LONG_LABEL = 30  # characters from which on a label may not fit a telephone

# `text 5 bytes FIN` and what it holds, as course/frames.py describes a frame.
FRAME = re.compile(
    r"(?P<what>(?:text|binary|continuation|ping|pong|opcode 0x[0-9a-f]+) \d+ bytes?"
    r"(?: (?:no FIN|FIN|RSV\d|masked|deflate of \d+ bytes|deflate"
    r"|\(a (?:server|client) must (?:not )?mask\)))*"
    r"|close (?:\d+ bytes?|\d+) \([^)]*\))(?: (?P<held>.*))?",
    re.DOTALL,
)
# What the grader says about a frame that is wrong on purpose, behind the payload.
ON_PURPOSE = re.compile(r" ?(\((?:not masked|claims \d+ bytes)\)(?: \(claims \d+ bytes\))?)$")
CONTROL = re.compile(r"(ping|pong|close) ")
# What tests/harness/peer.py says about a connection: those that end it, those that end it badly.
ENDS = (
    "the server ended the connection",
    "the connection was reset",
    "the client resets the connection",
    # and tests/harness/hostile.py, where the program is a client
    "the client ended TCP",
    "the server ends TCP",
    "the server resets the connection",
)
PIPES = ("shell", "stdin", "stdout", "stderr")  # of a program that is a client: they stand there
LOST = ("the connection was reset", "the connection was gone before all was sent")
DIAMOND = '<path class="mark" d="M0-4 4 0 0 4-4 0z"/>'
CROSS = '<path class="cross" d="M-5-5 5 5M5-5-5 5"/>'
BAR = '<path class="bar" d="M-7 0H7"/>'


def kind(event: Event, closed: bool) -> str:
    """What an event is drawn as: to-server, to-client, control, or problem.

    closed  whether a close frame came to this peer before: an end without one is unclean
    """
    if event.arrow == "·":
        unclean = not closed and event.text == ENDS[0]
        return "problem" if unclean or event.text in LOST else "control"
    if event.arrow == "←" and (
        event.text.startswith("bad frame") or "must not mask)" in split(event)[0]
    ):
        return "problem"
    if CONTROL.match(event.text):
        return "control"
    return "to-server" if event.arrow == "→" else "to-client"


def rows(exchange: Exchange) -> list[tuple[Event, int, str]]:
    """The events, repetitions in one: (event, how often, what it is drawn as)."""
    closed: set[str] = set()
    found = []
    for event, times in folded(exchange.events):
        found.append((event, times, kind(event, event.peer in closed)))
        if event.arrow == "←" and event.text.startswith("close "):
            closed.add(event.peer)
    return found


def is_client(peer: str, events: Iterable[Event]) -> bool:
    """Whether a name stands for a connection, and not for what happened beside one."""
    return peer.startswith("client") or any(e.peer == peer and e.arrow != "·" for e in events)


def split(event: Event) -> tuple[str, str]:
    """A frame and what it holds; of anything else, all of it and nothing."""
    text = event.text[: 2 * LONGEST_LABEL]
    match = FRAME.fullmatch(text)
    if not match:
        return text, ""
    what, held = match["what"], match["held"] or ""
    wrong = ON_PURPOSE.search(held) if event.arrow == "→" else None
    return (f"{what} {wrong[1]}", held[: wrong.start()]) if wrong else (what, held)


class Diagram:
    """One picture in the making: `y` is how far down it has come."""

    def __init__(self, exchange: Exchange, number: str) -> None:
        self.number = number  # keeps its ids apart from those of others
        self.rows = rows(exchange)
        self.hidden = self.rows[FIRST:-LAST] if len(self.rows) > FIRST + LAST else []
        if self.hidden:
            self.rows = self.rows[:FIRST] + self.rows[-LAST:]
        self.death = (exchange.death or "").partition(";")[0]
        names = dict.fromkeys(event.peer for event, _, _ in self.rows)
        self.clients = [name for name in names if is_client(name, exchange.events)]
        self.count = len({event.peer for event in exchange.events if event.arrow != "·"})
        self.crowd = len(self.clients) > MOST_CLIENTS
        self.y = HEAD
        self.ends: dict[float, int] = {}  # where a lifeline stands → where it ends
        self.parts: list[str] = []

    def draw(self, title: str, summary: str) -> str:
        """The whole SVG."""
        number = self.number
        for index, (event, times, what) in enumerate(self.rows):
            if self.hidden and index == FIRST:
                self._gap()
            self._row(event, times, what)
        if self.death:
            self._death()
        height = self.y + 8
        return "".join(
            [
                f'<svg class="sequence" role="img" aria-labelledby="t{number}" '
                f'aria-describedby="d{number}" width="100%" height="{height}">'
                f'<title id="t{number}">{line(title)}</title>'
                f'<desc id="d{number}">{line(summary)}</desc>'
                f'<linearGradient id="f{number}"><stop class="clear" offset="0"/>'
                f'<stop class="full" offset=".5"/></linearGradient>',
                *self._lifelines(height),
                *self.parts,
                "</svg>\n",
            ]
        )

    def _x(self, peer: str) -> float:
        """Where a peer's lifeline stands, in per cent."""
        return CLIENT if self.crowd else CLIENT + NEXT * self.clients.index(peer)

    def _lifelines(self, height: int) -> list[str]:
        places = [(self._x(name), name) for name in self.clients]
        if self.crowd:
            places = [(CLIENT, f"{self.count} clients")]
        out = [f'<text class="time" x="{TIME}%" y="16">s</text>']
        for x, name in [*places, (SERVER, "server")]:
            prefix, dash, rest = name.partition("-")
            if dash and len(places) > 1:  # on a narrow page, the number alone
                name = f'<tspan class="wide">{line(prefix)}-</tspan>{line(rest)}'
            end = self.ends.get(x, height)
            out.append(
                f'<text class="name" x="{x}%" y="16">{name}</text>'
                f'<line class="life" x1="{x}%" x2="{x}%" y1="{HEAD - 10}" y2="{end}"/>'
            )
        return out

    def _row(self, event: Event, times: int, what: str) -> None:
        label, held = split(event)
        if self.crowd and event.peer in self.clients:
            label = f"{event.peer}  {label}"
        repeated = f' <tspan class="times">× {times:,}</tspan>' if times > 1 else ""
        wash = ""
        if what == "problem":
            wash = f'<rect class="wash" x="{CLIENT - 2}%" width="{SERVER - CLIENT + 4}%" '
            wash += f'y="{self.y}" height="{SHORT - 4}"/>'
        self.parts.append(
            f'<g class="{what}"><title>{event.at:.3f} s  {line(event.peer)} {event.arrow} '
            f"{line(event.text)}</title>{wash}"
            f'<text class="time" x="{TIME}%" y="{self.y + 18}">{event.at:.3f}</text>'
        )
        if event.peer not in self.clients:
            self._aside(event, repeated)
        elif event.arrow == "·":
            self._note(event, label, repeated, CROSS if what == "problem" else BAR)
        else:
            self._arrow(event, label, held, repeated)
        self.parts.append("</g>\n")

    def _arrow(self, event: Event, label: str, held: str, repeated: str) -> None:
        """A line from lifeline to lifeline, what it is above it, what it holds below."""
        x, y = self._x(event.peer), self.y + 20
        height = TALL if held else SHORT
        self._text(x, label, held, repeated, height)
        tip, start, head = (SERVER, x, "M-9-4.5 0 0-9 4.5z")
        if event.arrow == "←":
            tip, start, head = (x, SERVER, "M9-4.5 0 0 9 4.5z")
        self.parts.append(
            f'<line class="way" x1="{start}%" x2="{tip}%" y1="{y}" y2="{y}"/>'
            + _at(tip, y, f'<path class="head" d="{head}"/>')
        )
        self.y += height

    def _text(self, x: float, label: str, held: str, repeated: str, height: int) -> None:
        """Label and payload between two lifelines; what is too long fades out."""
        shown = (label[:LONGEST_LABEL], held[:LONGEST_LABEL])
        below = f'<text class="held" x="12" y="34">{line(shown[1])}</text>' if held else ""
        long = max(len(part) for part in shown) > LONG_LABEL
        text = f'x="12" y="14">{line(shown[0])}{repeated}</text>{below}'
        self._between(x, height, text, fades=long)

    def _between(self, x: float, height: int, text: str, *, fades: bool) -> None:
        """A label that ends at the server's lifeline at the latest."""
        fade = f'<rect fill="url(#f{self.number})" x="86%" width="20%" height="{height}"/>'
        self.parts.append(
            f'<svg x="{x}%" y="{self.y}" width="{SERVER - x - 0.2:g}%" height="{height}">'
            f'<text class="label" {text}{fade if fades else ""}</svg>'
        )

    def _note(self, event: Event, label: str, repeated: str, end: str) -> None:
        """What happened to a connection, at its lifeline; `end` is the sign of its end."""
        x, y = self._x(event.peer), self.y + 12
        ended = event.text in ENDS
        if ended and not self.crowd:
            self.ends[x] = y
        text = f'x="12" y="16">{line(label[:LONGEST_LABEL])}{repeated}</text>'
        self._between(x, SHORT, text, fades=False)
        self.parts.append(_at(x, y, end if ended else DIAMOND))
        self.y += SHORT - 4

    def _aside(self, event: Event, repeated: str) -> None:
        """What the program printed stands at the server; what befell the line goes across."""
        y, text = self.y + 12, f"{event.peer}: {event.text}"[:LONGEST_LABEL]
        if event.peer == "wire":
            self.parts.append(
                f'<line class="across" x1="{CLIENT - 4}%" x2="{SERVER + 4}%" y1="{y + 10}" '
                f'y2="{y + 10}"/>'
            )
        else:
            self.parts.append(_at(CLIENT if event.peer in PIPES else SERVER, y, DIAMOND))
        near = event.peer not in ("wire", *PIPES) and len(text) <= LONG_LABEL
        place = 'text-anchor="end" x="100%" dx="-12"' if near else 'x="12"'
        label = f'{place} y="16">{line(text)}{repeated}</text>'
        self._between(CLIENT, SHORT, label, fades=len(text) > LONG_LABEL)
        self.y += SHORT - 4

    def _gap(self) -> None:
        """Where events are left out the picture is torn."""
        count = sum(times for _, times, _ in self.hidden)
        top, middle = self.y + 4, (CLIENT + SERVER) / 2
        self.parts.append(
            f'<rect class="torn" x="0" y="{top}" width="100%" height="30"/>'
            f'<line class="tear" x1="0" x2="100%" y1="{top}" y2="{top}"/>'
            f'<line class="tear" x1="0" x2="100%" y1="{top + 30}" y2="{top + 30}"/>'
            f'<text class="more" x="{middle}%" y="{top + 20}">… {count:,} more</text>\n'
        )
        self.y += 40

    def _death(self) -> None:
        """The end of the server's lifeline, when its process ended during the check."""
        y = self.y + 12
        self.ends[SERVER] = y
        self.parts.append(
            f'<g class="problem"><text class="death" x="{SERVER}%" dx="-14" y="{y + 4}">'
            f"{line(self.death)}</text>{_at(SERVER, y, CROSS)}</g>\n"
        )
        self.y += SHORT


def _at(x: float, y: int, shape: str) -> str:
    """A shape around the origin, moved to a place."""
    return f'<svg class="at" x="{x}%" y="{y}">{shape}</svg>'
