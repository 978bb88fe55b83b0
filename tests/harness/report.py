"""The report: a line for each check while they run, then what a stuck learner needs to act."""

from __future__ import annotations

import json
import re
import shlex
import sys
import textwrap
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from course import console
from course.catalogue import Check
from course.manifest import load
from tests.harness.exchange import Event, Exchange

SHOWN_EVENTS = 14  # of an exchange, the first two and the last
TYPEABLE_BYTES = 400  # more than that, nobody types
LEARNERS_PORT = 8080  # where `python server.py` listens when nothing else is said


@dataclass
class Result:
    """The outcome of one check: passed, failed, or not asked."""

    check: Check
    outcome: str
    exchange: Exchange
    what: str = ""
    expected: str = ""
    got: str = ""
    notes: list[str] = field(default_factory=list)


class Report:
    """Prints one run, and writes its results for the caller."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.results: list[Result] = []
        self.module = ""
        self.stopped = False

    def begin(self, names: list[str]) -> None:
        print(console.bold(f"chapter {self.task['chapter']} · {self.task['name']}"))

    def could_not_run(self, reason: str) -> None:
        if self.stopped:
            return
        self.stopped = True
        print(console.problem(f"course: {reason}", sys.stderr), file=sys.stderr)

    def add(self, result: Result) -> None:
        self.results.append(result)

    def show_last(self) -> None:
        """Print the line of the check that has just ended."""
        result = self.results[-1]
        if result.exchange.death and result.outcome == "passed":
            result.outcome, result.what = "failed", "the answers were right, but the server died"
        if result.check.module != self.module:
            self.module = result.check.module
            print(f"\n{self.module}")
        sign = {"passed": console.good("✓"), "failed": console.problem("✗")}
        line = f"  {sign.get(result.outcome, '○')} {result.check.behaviour}"
        print(line + (f"  (not asked: {result.what})" if result.outcome == "not asked" else ""))

    def finish(self) -> None:
        """Print the failures in full and the score; write the results."""
        if not self.results:
            self.could_not_run("no check was run")
        if self.stopped:
            return
        failed = [result for result in self.results if result.outcome == "failed"]
        for result in failed:
            print("\n" + "\n".join(self.explain(result)))
        passed = sum(result.outcome == "passed" for result in self.results)
        missing = len(self.results) - passed - len(failed)
        total = len(self.results) - missing
        print()
        if missing:
            print(f"{missing} not asked: they have to start the program, so give CMD= or a folder")
        line = f"{passed} of {total} checks pass"
        print(console.problem(line) if failed else console.good(line))
        results = {**self.as_json(), "passed": passed, "failed": len(failed), "not_asked": missing}
        Path(self.task["results"]).write_text(json.dumps(results), encoding="utf-8")
        if self.task["html"]:
            from tests.harness.html import page

            Path(self.task["html"]).write_text(page(self.task, self.results), encoding="utf-8")

    def explain(self, result: Result) -> list[str]:
        """Everything about one failure: how to see it, who said what, the hint, where to read."""
        check = result.check
        lines = [
            console.problem(f"✗ {check.id}"),
            f"  {check.behaviour} {result.what[:1].upper()}{result.what[1:]}.",
            "",
        ]
        command = by_hand(result.exchange)
        if command:
            lines += ["  by hand:", *(f"    {line}" for line in command), ""]
        lines += [f"  {line}" for line in transcript(result.exchange)]
        if result.exchange.death:
            lines += ["", *(f"  {console.problem(t)}" for t in result.exchange.death.splitlines())]
        lines.append("")
        if result.expected:
            lines.append(f"  expected  {result.expected}")
        if result.got:
            lines.append(f"  got       {result.got}")
        lines += [f"            {note}" for note in result.notes]
        lines += ["", *textwrap.wrap(f"hint: {check.hint[0]}", 92, initial_indent="  ",
                                     subsequent_indent="        ")]  # fmt: skip
        lesson = f"site/en/{self.task['lesson'].rstrip('/')}.md"
        online = load().site + self.task["lesson"]
        lines.append(f"  read: {check.source} · {lesson} · {online} (make site)")
        return lines

    def as_json(self) -> dict[str, Any]:
        """The results as data: `checks` in the order in which they ran."""
        return {
            "chapter": self.task["chapter"],
            "subject": self.task["name"],
            "checks": [
                {
                    "id": result.check.id,
                    "behaviour": result.check.behaviour,
                    "outcome": result.outcome,
                    "what": result.what,
                    "expected": result.expected,
                    "got": result.got,
                    "notes": result.notes,
                    "died": result.exchange.death,
                    "source": result.check.source,
                    "exchange": [
                        {"at": round(e.at, 4), "peer": e.peer, "arrow": e.arrow, "text": e.text}
                        for e in result.exchange.events
                    ],
                }
                for result in self.results
            ],
        }


def transcript(exchange: Exchange) -> list[str]:
    """Who sent what, in order: repetitions in one line, of a long exchange beginning and end."""
    lines = []
    for _, group in groupby(
        exchange.events, key=lambda e: (e.peer, e.arrow, _without_time(e.text))
    ):
        events = list(group)
        lines.append(line(events[0]) + (f"  (× {len(events)})" if len(events) > 1 else ""))
    if len(lines) <= SHOWN_EVENTS:
        return lines
    gap = console.control(f"  …      {len(lines) - SHOWN_EVENTS} more lines")
    return [*lines[:2], gap, *lines[-(SHOWN_EVENTS - 2) :]]


def _without_time(text: str) -> str:
    """What is the same about two messages that differ only in their `ts`."""
    return re.sub(r"\d{13}", "…", text)


def line(event: Event) -> str:
    """`0.012  client-1 →  text 5 bytes hello`."""
    paint = {"→": console.to_server, "←": console.to_client}.get(event.arrow, console.control)
    return f"{event.at:6.3f}  {event.peer} {paint(f'{event.arrow}  {event.text}')}"


def by_hand(exchange: Exchange) -> list[str]:
    """The command that a person would type to see the same, made of what the first client sent."""
    sent = [e for e in exchange.events if e.arrow == "→" and e.raw]
    if not sent:
        return []
    first = [e for e in sent if e.peer == sent[0].peer]
    address = exchange.url.replace("ws://", "").partition("/")[0]
    here = f"127.0.0.1:{LEARNERS_PORT}"
    request, frames = first[0].raw, [e.raw for e in first[1:]]
    if sum(len(raw) for raw in frames) > TYPEABLE_BYTES:
        return []
    if frames:
        words = " ".join(shlex.quote(raw.hex()) for raw in frames)
        return [f"python -m course send ws://{here}{_path(request)} {words}"]
    return [_curl(request, address, here)]


def _path(request: bytes) -> str:
    return request.split(b" ", 2)[1].decode("latin-1")


def _curl(request: bytes, address: str, here: str) -> str:
    """The same HTTP request for curl: the method, the headers, the path."""
    head, *headers = request.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
    method, path = head.split(" ")[:2]
    words = ["curl", "-i", "--http1.1", "--max-time", "5"]
    words += ["-X", method] if method != "GET" else []
    for header in headers:
        if not header.lower().startswith("host:"):
            words += ["-H", header.replace(address, here)]
    return shlex.join([*words, f"http://{here}{path}"])
