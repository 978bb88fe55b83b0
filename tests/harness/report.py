"""The report: a line for each check while they run, then what a stuck learner needs to act."""

from __future__ import annotations

import json
import re
import shlex
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from course import console
from course.catalogue import Check
from course.frames import escape
from course.manifest import load
from tests.harness.exchange import Event, Exchange, folded

EXPLAINED = 4  # failures in full; the others in a line each
SHOWN_EVENTS = 14  # of an exchange, the first two and the last
KEPT_EVENTS = 1_000  # of an exchange, in the results: as many from its beginning as from its end
LAST_WORDS = 6  # lines of what a dead program printed
LONGEST_LINE = 400  # characters of anything that the program said
TYPEABLE_BYTES = 200  # more than that, nobody types
ONLY_STARTED = "the grader would have to start the program itself"
LEARNERS_SITE = "127.0.0.1:8443"  # and a deployment
LEARNERS_PORT = 8080  # where `python server.py` listens when nothing else is said
# `RangeError: Max payload size exceeded`, `panic: …`: the line that says what it died of.
ERROR = re.compile(r"\b\w*(?:error|exception|panic|fatal)\w*\b[^:]{0,40}:", re.IGNORECASE)


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
        print(console.bold(f"chapter {self.task['chapter']} · {safe(self.task['name'])}"))

    def could_not_run(self, reason: str) -> None:
        if self.stopped:
            return
        self.stopped = True
        lines = [safe(line) for line in reason.split("\n")]
        print(console.problem("course: " + "\n".join(lines), sys.stderr), file=sys.stderr)

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
        line = f"  {sign.get(result.outcome, '○')} {result.check.sentence(self.task['language'])}"
        print(line + (f"  (not asked: {result.what})" if result.outcome == "not asked" else ""))

    def finish(self) -> None:
        """Print the failures in full and the score; write the results.

        Whatever it was that kept a check from running: less than was asked is no result.
        """
        failed = [result for result in self.results if result.outcome == "failed"]
        for result in failed[:EXPLAINED]:
            print("\n" + "\n".join(self.explain(result)))
        if len(failed) > EXPLAINED:
            print(f"\n{len(failed) - EXPLAINED} more fail. Begin with {failed[0].check.id}; then:")
            for result in failed[EXPLAINED:]:
                print(f"  {console.problem('✗')} {result.check.id}  {safe(result.what)}")
        ran = {result.check.id for result in self.results}
        never = [name for name in self.task["asked"] if name not in ran]
        if never or not ran:
            first = f": {never[0]} …" if never else ""
            total = len(self.task["asked"])
            self.could_not_run(f"{len(never)} of {total} checks did not run{first}")
        elif all(result.outcome == "not asked" for result in self.results):
            self.could_not_run(f"nothing could be asked: {ONLY_STARTED}; give CMD= or a folder")
        if self.stopped or not self._page_written():
            return
        passed = sum(result.outcome == "passed" for result in self.results)
        missing = len(self.results) - passed - len(failed)
        total = len(self.results) - missing
        print()
        if missing:
            print(f"{missing} not asked: {ONLY_STARTED}; give CMD= or a folder")
        line = f"{passed} of {total} checks pass"
        print(console.problem(line) if failed else console.good(line))
        results = {**self.as_json(), "passed": passed, "failed": len(failed), "not_asked": missing}
        Path(self.task["results"]).write_text(json.dumps(results), encoding="utf-8")

    def _page_written(self) -> bool:
        """Write the page that was asked for; say so when that cannot be."""
        if not self.task["html"]:
            return True
        from tests.harness.html import page

        try:
            Path(self.task["html"]).write_text(page(self.task, self.results), encoding="utf-8")
        except OSError as error:
            self.could_not_run(f"cannot write {self.task['html']}: {error.strerror}")
            return False
        return True

    def explain(self, result: Result) -> list[str]:
        """Everything about one failure: how to see it, who said what, the hint, where to read."""
        check = result.check
        lines = [
            console.problem(f"✗ {check.id}"),
            f"  {check.sentence(self.task['language'])}",
            f"  {safe(result.what[:1].upper() + result.what[1:])}.",
            "",
        ]
        command = by_hand(result.exchange, address(self.task))
        if command:
            lines += ["  by hand:", *self.run_yours(), *(f"    {line}" for line in command), ""]
        lines += [f"  {line}" for line in transcript(result.exchange)]
        if result.exchange.death:
            words = last_words(result.exchange.death)
            lines += ["", *(f"  {console.problem(safe(word))}" for word in words)]
        lines.append("")
        if result.expected:
            lines.append(f"  expected  {safe(result.expected)}")
        if result.got:
            lines.append(f"  got       {safe(result.got)}")
        lines += [f"            {safe(note)}" for note in result.notes]
        lines += ["", *textwrap.wrap(f"hint: {check.hint[0]}", 92, initial_indent="  ",
                                     subsequent_indent="        ")]  # fmt: skip
        speak = self.task["language"]
        lesson = f"site/{speak}/{self.task['lesson'].rstrip('/')}.md"
        online = load().site + ("" if speak == "en" else f"{speak}/") + self.task["lesson"]
        lines.append(f"  read: {check.source} · {lesson} · {online} (make site)")
        return lines

    def run_yours(self) -> list[str]:
        """How to start the program that is graded, so that it can be tried by hand."""
        if self.task["kind"] == "url":
            return []
        secrets = load().chapter(self.task["chapter"]).secrets_by_hand
        if self.task["cwd"] is None:
            return [
                f"    {secrets}PORT={LEARNERS_PORT} {self.task['name']}   (your program, first)"
            ]
        program = f"{secrets}../../.venv/bin/{load().chapter(self.task['chapter']).run}"
        return [f"    cd {self.task['name']} && {program}   (yours, first)"]

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
                        for e in kept(result.exchange.events)
                    ],
                    "left_out": max(0, len(result.exchange.events) - KEPT_EVENTS),
                }
                for result in self.results
            ],
        }


def kept(events: list[Event]) -> list[Event]:
    """The beginning and the end of a long exchange; of a flood nobody wants the middle."""
    if len(events) <= KEPT_EVENTS:
        return events
    return events[: KEPT_EVENTS // 2] + events[-KEPT_EVENTS // 2 :]


def transcript(exchange: Exchange) -> list[str]:
    """Who sent what, in order: repetitions in one line, of a long exchange beginning and end."""
    lines = [
        line(event) + (f"  (× {times})" if times > 1 else "")
        for event, times in folded(exchange.events)
    ]
    if len(lines) <= SHOWN_EVENTS:
        return lines
    gap = console.control(f"  …      {len(lines) - SHOWN_EVENTS} more lines")
    return [*lines[:2], gap, *lines[-(SHOWN_EVENTS - 2) :]]


def line(event: Event) -> str:
    """`0.012  client-1 →  text 5 bytes hello`."""
    paint = {"→": console.to_server, "←": console.to_client}.get(event.arrow, console.control)
    return f"{event.at:6.3f}  {event.peer} {paint(f'{event.arrow}  {safe(event.text)}')}"


def safe(text: str) -> str:
    """What a program said, so that it cannot steer the terminal, nor fill it."""
    return escape(text[:LONGEST_LINE]) + ("…" if len(text) > LONGEST_LINE else "")


def last_words(death: str) -> list[str]:
    """How a program died and its last lines; the one that names the error, if it stands before."""
    how, *words = death.splitlines()
    shown = words[-LAST_WORDS:]
    error = next((word for word in words if ERROR.search(word)), None)
    if error is not None and error not in shown:
        shown = [error, "  …", *shown]
    return [how, *shown]


def address(task: dict[str, Any]) -> str:
    """Where a person finds the program: one that runs where it is, another where it will listen."""
    if task["kind"] == "url":
        return urlsplit(str(task["url"])).netloc
    return f"127.0.0.1:{LEARNERS_PORT}"


def by_hand(exchange: Exchange, here: str) -> list[str]:
    """The command that a person would type to see the same.

    It is made of what the first client that sent a frame sent; where nobody did, of the last
    request, since a check ends with the one that was answered wrongly. `here` is the host and port
    to type, which need not be those of the check.
    """
    talks: dict[str, list[bytes]] = {}
    for event in exchange.events:
        if event.arrow == "→" and event.raw:
            talks.setdefault(event.peer, []).append(event.raw)
    whole = [talk for talk in talks.values() if b"\r\n\r\n" in talk[0]]
    if not whole:
        return []
    request, *frames = next((talk for talk in whole if len(talk) > 1), whole[-1])
    if exchange.url.startswith("https:"):  # and only curl speaks TLS here
        return [_curl(request, urlsplit(exchange.url).netloc, LEARNERS_SITE, "-k", scheme="https")]
    if sum(len(raw) for raw in frames) > TYPEABLE_BYTES:
        return []
    if frames:
        words = " ".join(shlex.quote(raw.hex()) for raw in frames)
        return [f"python3 -m course send ws://{here}{_path(request)} {words}"]
    return [_curl(request, urlsplit(exchange.url).netloc, here)]


def _path(request: bytes) -> str:
    return request.split(b" ", 2)[1].decode("latin-1")


def _curl(request: bytes, address: str, here: str, *options: str, scheme: str = "http") -> str:
    """The same HTTP request for curl: the method, the headers, the path."""
    head, *headers = request.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
    method, path = head.split(" ")[:2]
    words = ["curl", *options, "-i", "--http1.1", "--max-time", "5"]
    words += ["-X", method] if method != "GET" else []
    for header in headers:
        if not header.lower().startswith("host:"):
            words += ["-H", header.replace(address, here)]
    return shlex.join([*words, f"{scheme}://{here}{path}"])
