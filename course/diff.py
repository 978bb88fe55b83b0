"""`make diff-N`: what chapter N changes in the chapter it builds on, file by file.

A large change is told in steps, in the order to read it; STEP=2 shows the second one alone.
"""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from course import console
from course.cli import chapter_number
from course.language import language
from course.manifest import Chapter, Step, load

# What a learner writes. A transcript is recorded, and `start` is for those who begin.
CODE = (".py", ".js", ".json", ".html", ".css", ".conf")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("diff", help="the solution as a diff", description=__doc__)
    parser.add_argument("chapter", type=chapter_number)
    parser.add_argument("--mine", action="store_true", help="from your work/ instead of the base")
    parser.add_argument("--step", default=os.environ.get("STEP"), help="one step of the change")


def main(options: argparse.Namespace) -> int:
    course = load()
    chapter = course.chapter(options.chapter)
    base = course.base(chapter)
    before = base.folder if base else None
    if options.mine:
        if not chapter.work.exists():
            console.stop(f"there is no work/{chapter.slug}/ yet: make start-{chapter.number}")
        before = chapter.work
    others = [] if options.mine else [course.chapter(number).folder for number in chapter.also]
    found = changes(chapter, before, others)
    for number, step in chosen(chapter, options.step):
        title = f"── step {number} of {len(chapter.steps)} · {step.title[language()]}"
        print(console.bold(title))
        show(found.pop(name) for name in step.files if name in found)
    if not options.step:
        show(found.values())
    return 0


def chosen(chapter: Chapter, number: str | None) -> list[tuple[int, Step]]:
    """The steps to show, with their numbers; stops with one line if there is no such step."""
    steps = list(enumerate(chapter.steps, 1))
    if number is None:
        return steps
    there = f"has steps 1 to {len(steps)}" if steps else "is one step"
    return [it for it in steps if str(it[0]) == number] or console.stop(
        f"STEP={number}: chapter {chapter.number} {there}"
    )


def show(diffs: Iterable[str]) -> None:
    for diff in diffs:
        for line in diff.splitlines():
            print(_coloured(line))


def files(folder: Path) -> list[str]:
    """The names of a folder's code files, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.suffix in CODE)


def nearest(path: Path, folders: Iterable[Path]) -> Path | None:
    """The folder that has a file of this name, and the one most like it; None if none has."""
    lines = _lines(path)

    def unlike(folder: Path) -> int:
        old = _lines(folder / path.name)
        alike = difflib.SequenceMatcher(None, old, lines, autojunk=False).get_matching_blocks()
        return len(old) + len(lines) - 2 * sum(block.size for block in alike)

    there = [folder for folder in folders if (folder / path.name).exists()]
    return min(there, key=unlike) if len(there) > 1 else next(iter(there), None)


def changes(chapter: Chapter, before: Path | None, others: Iterable[Path] = ()) -> dict[str, str]:
    """A unified diff for each code file that differs: name → diff. `before` None: all is new.

    A file that the chapter has from one of the `others` is compared with that one.
    """
    names = set(files(chapter.folder)) | set(files(before) if before else [])
    base, others = before, list(others)
    found = {}
    for name in sorted(names):
        before = nearest(chapter.folder / name, [base, *others]) if base and others else base
        before = before or base
        old, new = (_lines(folder / name) if folder else [] for folder in (before, chapter.folder))
        origin = f"{before.name}/{name}" if before and old else "/dev/null"
        target = f"{chapter.slug}/{name}" if new else "/dev/null"
        diff = "".join(difflib.unified_diff(old, new, origin, target))
        if diff:
            found[name] = diff
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []


def _coloured(line: str) -> str:
    if line.startswith(("---", "+++")):
        return console.bold(line)
    if line.startswith("@@"):
        return console.control(line)
    if line.startswith("+"):
        return console.good(line)
    return console.problem(line) if line.startswith("-") else line
