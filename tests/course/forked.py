"""`course check`, and the course's programs, in processes that are forked, not started.

To start Python and import its libraries costs more than most gradings, and half of what many a test
of a page costs. So one process for each test worker imports them once. Every grading is a fork of
that process, with a working directory, environment, output and exit code of its own. What is
graded, and what the tests start as a `Process` of the harness, is forked too, from a nursery, if it
is in Python.
"""

import io
import multiprocessing
import os
import socket
import sys
from collections.abc import Mapping
from functools import cache
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Lock

from course.manifest import ROOT
from tests.course.nursery import Nursery, serve
from tests.harness import spawning
from tests.harness.spawning import Child

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
    under_way.add(process)
    ended = connection.wait([process.sentinel], within)
    if not ended:
        process.terminate()  # the grader ends what it has started
        connection.wait([process.sentinel])
    under_way.remove(process)
    with FAMILY:
        process.join()
    if not ended:
        raise TimeoutError(f"course check {' '.join(arguments)} was not done in {within:.0f} s")
    assert process.exitcode is not None
    return process.exitcode


under_way: set[ForkServerProcess] = set()


def terminate() -> None:
    """End the gradings that are under way: Ctrl-C does not reach them."""
    for process in [*under_way]:
        process.terminate()


async def spawn(
    command: list[str], cwd: str | None, environment: Mapping[str, str], stdin: int
) -> Child:
    """As spawning.Spawn, for a test: in a nursery that the fork server begins when it is needed."""
    return await _nursery().spawn(command, cwd, environment, stdin)


@cache
def _nursery() -> Nursery:
    def begin(link: socket.socket) -> None:
        with FAMILY:
            FORKS.Process(target=serve, args=(link,), daemon=True).start()

    return Nursery(begin)


def end() -> None:
    """End that nursery, and what it has forked."""
    if _nursery.cache_info().currsize:
        _nursery().link.close()
        _nursery.cache_clear()


def _check(arguments: list[str], environment: dict[str, str], output: str) -> None:
    """Become the command: in the forked process.

    It has a session of its own, as what it grades: Linux shares out its cores among sessions first
    (sched(7), autogroup), and in the one of all test workers it would often come too late.
    """
    os.setsid()
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
