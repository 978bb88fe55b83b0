"""Run `course check` as a learner does, and read what it found."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from course.manifest import ROOT
from course.tools import path_with_wheels
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
    outcomes = {}
    if results.exists():
        checks = json.loads(results.read_text(encoding="utf-8"))["checks"]
        outcomes = {check["id"]: check["outcome"] for check in checks}
    return Grade(done.returncode, done.stdout + done.stderr, outcomes)


def grade_broken(program: Broken, folder: Path) -> Grade:
    """Write a broken program below `build/` (where Node finds its packages) and grade it.

    It is asked the checks of the module that it was written for and of those that it is said to
    fail: the others hardly differ from its right base. PROOFS=all in the environment asks all.
    """
    target = ROOT / "build" / "broken" / program.name
    command, *rest = program.write(target)
    words = [sys.executable if command == "python" else command]
    words += [str(target / part) for part in rest]
    modules = {program.module, *(name.partition("::")[0] for name in program.fails)}
    everything = os.environ.get("PROOFS") == "all"
    only = [] if everything else ["--only", ",".join(sorted(modules))]
    return grade(folder, str(program.chapter), "--cmd", shlex.join(words), *only)


def course(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m course ARGUMENTS`, with nothing of this test run's own environment in the way."""
    clean = {k: v for k, v in os.environ.items() if k not in UNWANTED and k[:7] != "PYTEST_"}
    return subprocess.run(
        [sys.executable, "-m", "course", *arguments],
        cwd=ROOT,
        env={**clean, "PATH": path_with_wheels(), **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


UNWANTED = (
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "CMD",
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
