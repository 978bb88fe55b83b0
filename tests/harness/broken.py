"""Broken programs: a right one plus a small named edit, and the checks that must catch it.

They are data, in `tests/broken/MODULE.toml`. `base` says what is edited: `chapter` (the course's
own program of that chapter), or one of the other right programs in `tests/harness/servers/` and
`tests/harness/clients/`.
"""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from course import catalogue
from course.manifest import ROOT, load

FOLDER = ROOT / "tests" / "broken"
SERVERS = ROOT / "tests" / "harness" / "servers"
CLIENTS = ROOT / "tests" / "harness" / "clients"
# The other right programs: where they are, the file that is edited, and the command that runs it
# there.
BASES = {
    "by_hand": (SERVERS / "by_hand", "server.py", "python server.py"),
    "node": (SERVERS / "node", "server.mjs", "node server.mjs"),
    "node_client": (CLIENTS / "node", "client.mjs", "node client.mjs"),
    "node_doctor": (CLIENTS / "node_doctor", "doctor.mjs", "node doctor.mjs"),
    "node_delivery": (SERVERS / "node_delivery", "server.mjs", "node server.mjs"),
    "node_socketio": (SERVERS / "node_socketio", "server.mjs", "node server.mjs"),
}


class EditError(Exception):
    """An edit does not fit the program any more; the message says which."""


@dataclass(frozen=True)
class Broken:
    """One program that is wrong on purpose."""

    name: str
    module: str  # the file it stands in: the check module it was written for
    why: str
    chapter: int
    base: str
    edits: tuple[dict[str, str], ...]  # {file, find, to}
    patterns: tuple[str, ...]  # the checks it fails; `echo::*` is the whole module
    patterns_too: tuple[str, ...] = ()  # and what it fails beside, which says nothing new of it
    perhaps: frozenset[str] = frozenset()  # ids of what a race decides

    @property
    def role(self) -> str:
        """What it is, a server or a client: what its module grades."""
        return catalogue.modules()[self.module].role

    @property
    def fails(self) -> set[str]:
        """The ids of the checks that this program must fail."""
        return self._matched(self.patterns)

    @property
    def fails_too(self) -> set[str]:
        """The ids of those that it fails beside; with `fails` these are all of its chapter's."""
        return self._matched(self.patterns_too)

    def _matched(self, patterns: tuple[str, ...]) -> set[str]:
        asked = checks_of(self.chapter)
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in asked):
                raise EditError(f"{self.name}: chapter {self.chapter} has no check {pattern}")
        return {name for name in asked for pattern in patterns if fnmatchcase(name, pattern)}

    def write(self, folder: Path) -> list[str]:
        """Make the program in `folder`; returns the command that runs it there."""
        chapter = load().chapter(self.chapter)
        origin, main_file, command = chapter.folder, "server.py", chapter.run
        if self.role == "client" and chapter.client:
            main_file, command = "client.py", chapter.client
        if self.base != "chapter":
            origin, main_file, command = BASES[self.base]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(origin, folder, ignore=shutil.ignore_patterns("__pycache__", "start"))
        for edit in self.edits:
            path = folder / edit.get("file", main_file)
            if edit.get("file", "").startswith("nginx/") and not path.exists():
                shutil.copytree(ROOT / "nginx", folder / "nginx")  # taken before that of the course
            text = path.read_text(encoding="utf-8")
            if text.count(edit["find"]) != 1:
                times = text.count(edit["find"])
                raise EditError(f"{self.name}: found {times} times, not once: {edit['find']!r}")
            path.write_text(text.replace(edit["find"], edit["to"]), encoding="utf-8")
        return command.split()


def checks_of(number: int) -> list[str]:
    """The ids of all checks that chapter `number` has to pass."""
    course, known = load(), catalogue.modules()
    names = course.checks(course.chapter(number))
    return [check.id for name in names for check in known[name].checks]


@cache
def programs() -> tuple[Broken, ...]:
    """All broken programs. Raises EditError for two of one name."""
    found: list[Broken] = []
    for path in sorted(FOLDER.glob("*.toml")):
        for table in tomllib.loads(path.read_text(encoding="utf-8"))["program"]:
            found.append(
                Broken(
                    name=table["name"],
                    module=path.stem,
                    why=table["why"],
                    chapter=table["chapter"],
                    base=table["base"],
                    edits=tuple(table["edit"]),
                    patterns=tuple(table["fails"]),
                    patterns_too=tuple(table.get("fails_too", ())),
                    perhaps=frozenset(table.get("perhaps", ())),
                )
            )
    names = [program.name for program in found]
    if len(names) != len(set(names)):
        raise EditError("two broken programs have one name")
    return tuple(found)
