"""`make progress` and `make hint-N`: what has passed, and the next step when something does not.

Both read `work/progress.json`, which `make check-N` writes when it has graded a program of yours.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from course import catalogue, console
from course.cli import chapter_number
from course.language import language
from course.manifest import ROOT, load

FILE = ROOT / "work" / "progress.json"


@dataclass
class Graded:
    """The last grading of one chapter."""

    passed: int
    total: int
    failed: list[str]
    subject: str
    when: str


@dataclass
class Progress:
    chapters: dict[str, Graded] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)  # check id → paragraphs already shown


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("progress", help="what has passed", description=__doc__)
    hint = subparsers.add_parser("hint", help="the next hint", description=__doc__)
    hint.add_argument("chapter", type=chapter_number)


def main(options: argparse.Namespace) -> int:
    return show_hint(options.chapter) if options.command == "hint" else show_progress()


def read() -> Progress:
    """What is known so far; nothing, when no program was graded yet."""
    if not FILE.exists():
        return Progress()
    try:
        data: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
        chapters = {number: Graded(**entry) for number, entry in data["chapters"].items()}
        return Progress(chapters, dict(data["hints"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        console.stop(f"{FILE.relative_to(ROOT)} cannot be read: delete it to begin anew")


def write(progress: Progress) -> None:
    FILE.parent.mkdir(exist_ok=True)
    unfinished = FILE.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(progress), indent=2) + "\n", encoding="utf-8")
    unfinished.replace(FILE)


def record(number: int, passed: int, failed: list[str], total: int, subject: str) -> None:
    """Keep the result of one grading."""
    progress = read()
    when = datetime.now(UTC).isoformat(timespec="seconds")
    progress.chapters[str(number)] = Graded(passed, total, failed, subject, when)
    write(progress)


def mark(progress: Progress, number: int) -> str:
    """A sign for one chapter: passed, begun, or not yet."""
    graded = progress.chapters.get(str(number))
    if graded is None:
        return "·"
    return console.good("✓") if graded.passed == graded.total else "◐"


def show_progress() -> int:
    progress, speak = read(), language()
    for chapter in load().chapters:
        graded = progress.chapters.get(str(chapter.number))
        line = f"{mark(progress, chapter.number)} {chapter.number:>2}  {chapter.title[speak]}"
        if graded is None:
            print(f"{line}  {console.control(f'make start-{chapter.number}')}")
            continue
        day = graded.when.partition("T")[0]
        score = f"{graded.passed} of {graded.total}"
        print(f"{line}  {score}  {console.control(f'{graded.subject}, {day}')}")
    return 0


def show_hint(number: int) -> int:
    """Show one more paragraph about the first check that failed."""
    chapter = load().chapter(number)
    progress = read()
    graded = progress.chapters.get(str(number))
    if graded is not None and not graded.failed and graded.passed < graded.total:
        missing = graded.total - graded.passed
        print(f"Nothing failed; {missing} checks were not asked: they need CMD= or a folder.")
        return 0
    if graded is not None and not graded.failed:
        print(f"Chapter {number} passes; there is nothing left to hint at.")
        return 0
    if graded is None:
        check = catalogue.modules()[chapter.adds[0]].checks[0]
        print(f"Not graded yet (make check-{number}), so from the beginning.\n")
    else:
        check = catalogue.find(graded.failed[0])
    shown = progress.hints.get(check.id, 0)
    print(f"{console.bold(check.id)}  {check.sentence(language())}\n")
    for paragraph in check.hint[: shown + 1]:
        print(f"{textwrap.fill(paragraph, 92)}\n")
    if shown + 1 >= len(check.hint):
        print(console.control(f"{check.source}. That was the last hint: make diff-{number} shows"))
        print(console.control("a solution, and the lesson explains it."))
    else:
        print(console.control(f"Still stuck? make hint-{number} again."))
        progress.hints[check.id] = shown + 1
        write(progress)
    return 0
