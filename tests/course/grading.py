"""Run `course check` as a learner does, and read what it found."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from course import catalogue
from course.manifest import ROOT, Chapter, load
from course.start import begun, copy_base
from course.tools import path_with_wheels
from tests.course import forked
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
    """Write a broken program below `build/` (where Node finds its packages) and grade it.

    It is asked the checks that it is said to fail, and an eighth of the others of their modules:
    for each program another eighth, the same in every run. Left out are costly checks, those of a
    scene that none of its own needs, and what it `fails_too`. PROOFS=all in the environment asks
    all checks of the chapter.
    """
    target = ROOT / "build" / "broken" / program.name
    command, *rest = program.write(target)
    words = [sys.executable if command == "python" else command]
    words += [str(target / part) for part in rest]
    modules = {program.module, *(name.partition("::")[0] for name in program.fails)}
    known = catalogue.modules()
    scenes = {"", *(catalogue.find(name).scene for name in program.fails)}
    cheap = [
        check.id
        for module in modules
        for check in known[module].checks
        if not check.costly and check.scene in scenes
    ]
    asked = {name for name in cheap if crc32(f"{program.name} {name}".encode()) % SHARE == 0}
    only = only_unless_all((asked - program.fails_too) | program.fails)
    flag = f"--{'client' if program.role == 'client' else 'cmd'}"
    return grade_forked(folder, str(program.chapter), flag, shlex.join(words), *only)


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
    """The checks that our own chapter is asked: all of them.

    One that puts several lines together would cost as much as all of those. Of what they ask, it is
    asked `delivery` alone: its own checks touch on the rest. PROOFS=all asks all.
    """
    course, known = load(), catalogue.modules()
    if not chapter.also or os.environ.get("PROOFS") == "all":
        return {check.id for name in course.checks(chapter) for check in known[name].checks}
    cheap = {check.id for check in known["delivery"].checks if not check.costly}
    return cheap | {check.id for name in chapter.adds for check in known[name].checks}


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
    """This process's environment without what belongs to this test run alone.

    Threads ask for it while pytest sets and removes variables of its own: their values are not
    looked at.
    """
    names = [name for name in os.environ if name not in UNWANTED and name[:7] != "PYTEST_"]
    clean = {name: os.environ[name] for name in names}
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
