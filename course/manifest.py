"""The manifest: `course.toml`, read once, checked, and given types.

Everything that needs to know which chapters exist asks here. Nothing else parses the file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("en", "zh")


class ManifestError(Exception):
    """`course.toml` says something that cannot be; the message names the chapter and the field."""


class NoSuchChapter(Exception):
    """A number was asked for that no chapter has; the message says which there are."""


@dataclass(frozen=True)
class Demo:
    """One command of a chapter's transcript, and what is typed into it."""

    command: str
    env: dict[str, str] = field(default_factory=dict)
    say: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """A part of a chapter's change that is read in one sitting."""

    title: dict[str, str]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """One runnable step of the course; the fields are those of a `[[chapter]]` table."""

    number: int
    slug: str
    title: dict[str, str]
    goal: dict[str, str]
    minutes: int
    seed: tuple[str, ...]
    adds: tuple[str, ...]
    retires: tuple[str, ...]
    carries: tuple[str, ...]
    run: str  # the program: what is graded
    launch: str  # what `make chapter-N` starts: the same, or what starts several of it
    needs: tuple[str, ...]
    dialect: Literal["native", "socketio"]
    # What is graded. A deployment starts servers of other chapters, and has none of its own.
    role: Literal["server", "client", "deployment"]
    suggestions: tuple[dict[str, str], ...]
    demos: tuple[Demo, ...]
    steps: tuple[Step, ...] = ()  # the change, in the order to read it
    builds_on: int | None = None
    also: tuple[int, ...] = ()  # chapters of other lines that it puts together with its base
    client: str | None = None  # the command of the client that is graded
    secrets: tuple[str, ...] = ()  # variables that have to be set: the runner makes one for a run
    # "ticket": a handshake needs one; "token": a Socket.IO namespace does. Then the peers of every
    # check fetch it.
    entry: str = ""

    @property
    def folder(self) -> Path:
        return ROOT / "chapters" / self.slug

    @property
    def secrets_by_hand(self) -> str:
        """What its command begins with in a shell: a fresh value for each secret."""
        return "".join(f"{name}=$(openssl rand -hex 32) " for name in self.secrets)

    @property
    def work(self) -> Path:
        """Where a learner's own version lives; git does not track it."""
        return ROOT / "work" / self.slug


@dataclass(frozen=True)
class Course:
    title: dict[str, str]
    site: str
    chapters: tuple[Chapter, ...]

    def chapter(self, number: int) -> Chapter:
        """The chapter with this number. Raises NoSuchChapter."""
        for chapter in self.chapters:
            if chapter.number == number:
                return chapter
        last = self.chapters[-1].number
        raise NoSuchChapter(f"no chapter {number}: there are chapters 1 to {last}")

    def base(self, chapter: Chapter) -> Chapter | None:
        """The chapter whose finished code is this one's starting point."""
        return None if chapter.builds_on is None else self.chapter(chapter.builds_on)

    def bases(self, chapter: Chapter) -> tuple[Chapter, ...]:
        """The chapters whose checks it has to pass, the one it builds on first."""
        base = self.base(chapter)
        others = (self.chapter(number) for number in chapter.also)
        alike = tuple(other for other in others if other.dialect == chapter.dialect)
        return ((base,) if base else ()) + alike

    def checks(self, chapter: Chapter) -> tuple[str, ...]:
        """The check modules a chapter has to pass: all of its line's, less what was retired.

        Those of the lines that it puts together come too, as far as they are of its dialect.
        """
        names = [name for base in self.bases(chapter) for name in self.checks(base)]
        before = [name for name in dict.fromkeys(names) if name not in chapter.retires]
        return (*before, *chapter.adds)


@cache
def load() -> Course:
    """Read `course.toml`. Raises ManifestError."""
    return parse((ROOT / "course.toml").read_text(encoding="utf-8"))


def parse(text: str) -> Course:
    """Make a Course of the manifest's text. Raises ManifestError."""
    data = tomllib.loads(text)
    chapters: list[Chapter] = []
    for table in data["chapter"]:
        where = f"chapter {table.get('number', '?')}"
        try:
            chapters.append(_chapter(table))
        except KeyError as error:
            raise ManifestError(f"{where} lacks the field {error}") from error
        _check(chapters[-1], chapters[:-1], where)
    return Course(data["course"]["title"], data["course"]["site"], tuple(chapters))


def _chapter(table: dict[str, Any]) -> Chapter:
    return Chapter(
        number=table["number"],
        slug=table["slug"],
        builds_on=table.get("builds_on"),
        also=tuple(table.get("also", ())),
        client=table.get("client"),
        secrets=tuple(table.get("secrets", ())),
        entry=table.get("entry", ""),
        title=table["title"],
        goal=table["goal"],
        minutes=table["minutes"],
        seed=tuple(table["seed"]),
        adds=tuple(table["adds"]),
        retires=tuple(table["retires"]),
        carries=tuple(table["carries"]),
        steps=tuple(
            Step({name: step[name] for name in LANGUAGES}, tuple(step["files"]))
            for step in table.get("steps", ())
        ),
        run=table["run"],
        launch=table.get("launch", table["run"]),
        needs=tuple(table["needs"]),
        dialect=table["dialect"],
        role=table["role"],
        suggestions=tuple(table["try"]),
        demos=tuple(
            Demo(demo["command"], demo.get("env", {}), tuple(demo.get("say", ())))
            for demo in table["demo"]
        ),
    )


def _check(chapter: Chapter, earlier: list[Chapter], where: str) -> None:
    """Hold one chapter to the rules that need no look at the disk."""
    if chapter.slug != f"{chapter.number:02d}-{chapter.slug[3:]}":
        raise ManifestError(f"{where}: the slug {chapter.slug!r} does not begin with the number")
    if chapter.builds_on is not None and chapter.builds_on not in [c.number for c in earlier]:
        raise ManifestError(f"{where} builds on {chapter.builds_on}, which does not come before it")
    if chapter.role == "client" and chapter.client is None:
        raise ManifestError(f"{where}: a client is graded, so the field 'client' says which")
    if missing := set(chapter.also) - {c.number for c in earlier}:
        raise ManifestError(f"{where} puts together {missing}, which do not come before it")
    for name in ("title", "goal"):
        if set(getattr(chapter, name)) != set(LANGUAGES):
            raise ManifestError(f"{where}: {name} is needed in each of {', '.join(LANGUAGES)}")
