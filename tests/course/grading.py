"""Run `course check` as a learner does, and read what it found."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from course import catalogue
from course.manifest import ROOT, Chapter
from course.tools import path_with_wheels
from tests.course import forked
from tests.harness.broken import Broken

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


def grade_broken(program: Broken, folder: Path) -> Grade:
    """Write a broken program below `build/` (where Node finds its packages) and grade it.

    It is asked the checks of the module that it was written for and of those that it is said to
    fail: the others hardly differ from its right base. Costly checks are asked only if it names
    them. PROOFS=all in the environment asks all.
    """
    target = ROOT / "build" / "broken" / program.name
    command, *rest = program.write(target)
    words = [sys.executable if command == "python" else command]
    words += [str(target / part) for part in rest]
    modules = {program.module, *(name.partition("::")[0] for name in program.fails)}
    known = catalogue.modules()
    asked = {check.id for module in modules for check in known[module].checks if not check.costly}
    only = only_unless_all(asked | program.fails)
    flag = f"--{'client' if program.role == 'client' else 'cmd'}"
    return grade_forked(folder, str(program.chapter), flag, shlex.join(words), *only)


def grade_base(chapter: Chapter, base: Chapter, folder: Path) -> Grade:
    """Grade the chapter before as this one: `start` hands it out, and it is not done.

    It is asked the modules that this chapter adds; the others it passes as what it is. PROOFS=all
    in the environment asks all. As a deployment it is what starts its instances, without a proxy.
    """
    known = catalogue.modules()
    only = only_unless_all({check.id for name in chapter.adds for check in known[name].checks})
    what = ["--folder", str(base.folder)]
    if chapter.role == "deployment":
        program = base.folder / shlex.split(base.launch)[-1]
        what = ["--cmd", shlex.join([sys.executable, str(program)])]
    return grade_forked(folder, str(chapter.number), *what, *only)


def only_unless_all(asked: set[str]) -> list[str]:
    """The option that asks these checks alone, or nothing where PROOFS=all asks for all."""
    return [] if os.environ.get("PROOFS") == "all" else ["--only", ",".join(sorted(asked))]


def grade_forked(folder: Path, *arguments: str) -> Grade:
    """As `grade`, in a process that is forked, unless PROOFS=all: see forked.py."""
    if os.environ.get("PROOFS") == "all":
        return grade(folder, *arguments)
    results, output = folder / "results.json", folder / "output.txt"
    words = [*arguments, "--no-progress", "--json", str(results)]
    code = forked.check(words, clean_environment(), output, LONGEST)
    return Grade(code, output.read_text(encoding="utf-8"), outcomes(results))


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
    "JSON",
    "HTML",
    "HEARTBEAT_SECONDS",
    "FLUSH_MS",
    "QUEUE_LIMIT",
    "QUEUE_BYTES",
    "FORCE_COLOR",
)
