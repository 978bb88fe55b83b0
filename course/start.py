"""`make start-N`: a learner's own folder for chapter N, with the code to begin from."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from course import catalogue, console
from course.cli import chapter_number
from course.language import language
from course.manifest import ROOT, Chapter, load

# What belongs to the chapter and not to its code.
NOT_COPIED = shutil.ignore_patterns("__pycache__", "transcript.txt", "start")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("start", help="begin a chapter", description=__doc__)
    parser.add_argument("chapter", type=chapter_number)


def main(options: argparse.Namespace) -> int:
    """Copy the starting point, and list the checks that are new."""
    course = load()
    chapter = course.chapter(options.chapter)
    work = chapter.work.relative_to(ROOT)
    if chapter.work.exists():
        console.stop(f"{work}/ is there already and is yours: move it away to begin again")
    copy_start(chapter)
    base = course.base(chapter)
    origin = f"chapter {base.number}, finished" if base else "a server that speaks only HTTP"
    if base and begun(chapter).is_dir():
        names = ", ".join(sorted(path.name for path in begun(chapter).glob("*.py")))
        origin += f", and a {names} to begin with"
    print(f"{work}/ is ready: it holds {origin}. New in chapter {chapter.number}:\n")
    modules = catalogue.modules()
    for name in chapter.adds:
        print(f"  {console.bold(name)}")
        for check in modules[name].checks:
            print(f"    {console.control('·')} {check.sentence(language())}")
    print(f"\nEdit it, then: make check-{chapter.number}   (stuck? make hint-{chapter.number})")
    print(f"Run it: cd {work} && {chapter.secrets_by_hand}../../.venv/bin/{chapter.run}")
    return 0


def copy_start(chapter: Chapter) -> None:
    """Fill `chapter.work` with the base chapter's code, and what the chapter's `start/` has."""
    copy_base(chapter, load().base(chapter) or chapter, chapter.work)


def copy_base(chapter: Chapter, base: Chapter, target: Path) -> None:
    shutil.copytree(base.folder, target, ignore=NOT_COPIED)
    if begun(chapter).is_dir():
        shutil.copytree(begun(chapter), target, dirs_exist_ok=True)


def begun(chapter: Chapter) -> Path:
    """What a learner of this chapter begins with beside its base: a server, or a new program."""
    return chapter.folder / "start"
