"""Run `course check` as a learner does, and read what it found."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

from course import catalogue
from course.manifest import ROOT, Chapter, load
from course.start import begun, copy_base
from course.tools import path_with_wheels
from tests.course import forked
from tests.harness import broken
from tests.harness.broken import Broken

SHARE = 8  # one check of so many is asked of a broken program that is to pass it
LONGEST = 240  # seconds for one grading on a busy machine


@dataclass(frozen=True)
class Grade:
    """One run of `course check`."""

    code: int
    output: str
    outcomes: dict[str, str]  # check id → passed, failed, not asked

    @property
    def failed(self) -> set[str]:
        return {name for name, outcome in self.outcomes.items() if outcome == "failed"}


def grade(folder: Path, *arguments: str, **environment: str) -> Grade:
    """`python -m course check ARGUMENTS`; `folder` takes the results."""
    results = folder / "results.json"
    done = course("check", *arguments, "--no-progress", "--json", str(results), **environment)
    return Grade(done.returncode, done.stdout + done.stderr, outcomes(results))


def outcomes(results: Path) -> dict[str, str]:
    """What `course check --json` wrote, if it came so far."""
    if not results.exists():
        return {}
    checks = json.loads(results.read_text(encoding="utf-8"))["checks"]
    return {check["id"]: check["outcome"] for check in checks}


def grade_broken(folder: Path, program: Broken) -> Grade:
    """Write a broken program below `build/` (where Node finds its packages) and grade it."""
    target = ROOT / "build" / "broken" / program.name
    command, *rest = program.write(target)
    words = [sys.executable if command == "python" else command]
    words += [str(target / part) for part in rest]
    flag = f"--{'client' if program.role == 'client' else 'cmd'}"
    only = only_unless_all(asked_of_broken(program))
    return grade_forked(folder, str(program.chapter), flag, shlex.join(words), *only)


def asked_of_broken(program: Broken) -> set[str]:
    """The checks that a broken program is asked.

    Of those that it is said to fail, the ones that it is the proof of; and an eighth of all others
    of their modules, for each program another eighth, the same in every run. What shows in the
    scene of one of them is asked as well: it costs nothing more. Left out are costly checks that it
    is to pass, and those of other scenes. PROOFS=all in the environment asks all.
    """
    if os.environ.get("PROOFS") == "all":
        return set(broken.checks_of(program.chapter))
    known = catalogue.modules()
    asked = proofs()[program.name]
    scenes = {"", *(catalogue.find(name).scene for name in asked)}
    modules = {program.module, *(name.partition("::")[0] for name in program.fails)}
    for check in (check for module in modules for check in known[module].checks):
        fails = check.id in program.fails
        sampled = crc32(f"{program.name} {check.id}".encode()) % SHARE == 0
        wanted = fails if check.scene or sampled else False
        if check.scene in scenes and (wanted or (sampled and not check.costly)):
            asked = asked | {check.id}
    return asked


@cache
def proofs() -> dict[str, set[str]]:
    """By the name of each broken program, the checks that it is to show to be able to fail.

    Each check has one such program: the one of those that fail it that fails the fewest others. A
    program that nobody would need for that shows the first of its own.
    """
    programs = sorted(broken.programs(), key=lambda program: (len(program.fails), program.name))
    shown: dict[str, set[str]] = {}
    for program in programs:
        new = program.fails - set().union(*shown.values())
        shown[program.name] = new or {min(program.fails)}
    return shown


def grade_base(folder: Path, chapter: Chapter, module: str) -> Grade:
    """Grade the chapter before as this one, which it is not: up to the first check that it fails.

    module  one that this chapter adds; its checks are asked one by one (a scene at once), for one
            failure is proof enough. PROOFS=all in the environment asks all checks of the chapter.

    As a deployment it is what starts its instances, without a proxy.
    """
    base = load().base(chapter)
    assert base is not None
    start = base.folder
    if begun(chapter).is_dir():
        start = folder / "start"
        copy_base(chapter, base, start)
    what = ["--folder", str(start)]
    if chapter.role == "deployment":
        program = base.folder / shlex.split(base.launch)[-1]
        what = ["--cmd", shlex.join([sys.executable, str(program)])]
    for asked in together(module):
        only = only_unless_all(asked)
        result = grade_forked(folder, str(chapter.number), *what, *only)
        if result.failed or result.code:
            break
    return result


def together(module: str) -> list[set[str]]:
    """A module's checks, each by itself, or with those that judge the same scene."""
    groups: dict[str, set[str]] = {}
    for check in catalogue.modules()[module].checks:
        groups.setdefault(check.scene or check.id, set()).add(check.id)
    return list(groups.values())


def only_unless_all(asked: set[str]) -> list[str]:
    """The option that asks these checks alone, or nothing where PROOFS=all asks for all."""
    return [] if os.environ.get("PROOFS") == "all" else ["--only", ",".join(sorted(asked))]


def grade_forked(folder: Path, *arguments: str, **environment: str) -> Grade:
    """As `grade`, in a process that is forked, unless PROOFS=all: see forked.py."""
    if os.environ.get("PROOFS") == "all":
        return grade(folder, *arguments, **environment)
    results, output = folder / "results.json", folder / "output.txt"
    words = [*arguments, "--no-progress", "--json", str(results)]
    code = forked.check(words, clean_environment(**environment), output, LONGEST)
    return Grade(code, output.read_text(encoding="utf-8"), outcomes(results))


def asked_of_ours(chapter: Chapter) -> set[str]:
    """The checks that our own chapter is asked: all of them, but for what costs much and is known.

    A costly check of a module that the chapter before had passed is not asked again. A chapter that
    puts several lines together would cost as much as all of those: of what they ask, it is asked
    `delivery` alone, for its own checks touch on the rest. PROOFS=all asks all.
    """
    course, known = load(), catalogue.modules()
    asked = [check for name in course.checks(chapter) for check in known[name].checks]
    base = course.base(chapter)
    if os.environ.get("PROOFS") == "all" or base is None:
        return {check.id for check in asked}
    carried = set(course.checks(base)) if base.dialect == chapter.dialect else set()
    if chapter.also:
        carried = {"delivery"}
        asked = [check for check in asked if check.module in {*carried, *chapter.adds}]
    return {check.id for check in asked if not (check.costly and check.module in carried)}


def course(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m course ARGUMENTS`, with nothing of this test run's own environment in the way."""
    return subprocess.run(
        [sys.executable, "-m", "course", *arguments],
        cwd=ROOT,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without what belongs to this test run alone."""
    clean = {k: v for k, v in os.environ.items() if k not in UNWANTED and k[:7] != "PYTEST_"}
    return {**clean, "PATH": path_with_wheels(), **CHEAP, **more}


# A password that costs what it should costs us a fifth of all proofs; no check asks for the cost.
CHEAP = {"SCRYPT_LOG_N": "10"}
UNWANTED = (
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "CMD",
    "CLIENT",
    "URL",
    "PORT",
    "ONLY",
    "STEP",
    "JSON",
    "HTML",
    "HEARTBEAT_SECONDS",
    "FLUSH_MS",
    "QUEUE_LIMIT",
    "QUEUE_BYTES",
    "FORCE_COLOR",
)
