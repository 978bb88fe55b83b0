"""`course check` in a process that is forked, not started: for the many broken programs.

To start Python and import pytest costs more than most gradings. So one process for each test worker
imports it once, and every grading is a fork of that process, with a working directory, environment,
output and exit code of its own. What is graded is forked too, from a nursery, if it is in Python.
"""

import io
import multiprocessing
import os
import sys
from multiprocessing import connection
from pathlib import Path
from threading import Lock

from course.manifest import ROOT
from tests.course.nursery import Nursery
from tests.harness import spawning

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.course.warm"])
# To start a process is to ask how the earlier ones have ended, and only one may read each answer.
FAMILY = Lock()


def check(arguments: list[str], environment: dict[str, str], output: Path, within: float) -> int:
    """`python -m course check ARGUMENTS`; its output goes to a file. Raises TimeoutError.

    Several threads may do this at a time.
    """
    process = FORKS.Process(target=_check, args=(arguments, environment, str(output)))
    with FAMILY:
        process.start()
    ended = connection.wait([process.sentinel], within)
    if not ended:
        process.terminate()  # the grader ends what it has started
        connection.wait([process.sentinel])
    with FAMILY:
        process.join()
    if not ended:
        raise TimeoutError(f"course check {' '.join(arguments)} was not done in {within:.0f} s")
    assert process.exitcode is not None
    return process.exitcode


def _check(arguments: list[str], environment: dict[str, str], output: str) -> None:
    """Become the command: in the forked process."""
    spawning.spawn = Nursery().spawn
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=True)  # both streams go there, in the order of writing
    from course.cli import main

    code = main(["check", *arguments])
    sys.stdout.flush()
    sys.exit(code)
