"""A server under measurement: started on a core of its own, and what it has used."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from course import tools
from course.benches.load import LoadError

READY_SECONDS = 20.0


@contextmanager
def serving(
    program: Sequence[str], folder: Path, settings: Mapping[str, str], cores: list[int]
) -> Iterator[tuple[int, int]]:
    """A fresh server on the first core, with this process on the second; yields port and pid."""
    port = tools.free_port()
    arguments = [tools.find(program[0]), *(part.format(port=port) for part in program[1:])]
    given = {"PORT": str(port), "MALLOC_TOP_PAD_": str(1 << 20), **settings}
    os.sched_setaffinity(0, cores[:1])  # a child begins where its parent is
    try:
        process = subprocess.Popen(
            arguments, cwd=folder, env={**os.environ, **given}, stdout=subprocess.DEVNULL
        )
    finally:
        os.sched_setaffinity(0, cores[1:2] or cores)
    try:
        wait_for(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise LoadError(f"a server did not start: {process.args!r}")


def cpu(pid: int) -> float:
    """The seconds of CPU time that a process has used, all its threads together.

    The scheduler counts nanoseconds where it is asked to; the clock of `stat` ticks every 10 ms.
    """
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Its resident memory in bytes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def machine(cores: int) -> dict[str, Any]:
    asked = subprocess.run(
        [tools.find("node"), "--version"], capture_output=True, text=True, check=True
    )
    return {
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "node": asked.stdout.strip().removeprefix("v"),
    }
