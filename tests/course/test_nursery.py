"""A program that is forked cannot be told from one that was started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from course.manifest import ROOT

# Runs a program both ways, in a process where nothing else has begun, and prints what was seen.
BOTH_WAYS = """
import asyncio, json, os, sys
from asyncio.subprocess import PIPE
from tests.course.nursery import Nursery
from tests.harness import spawning

async def run(spawn, order):
    environment = {"PATH": os.environ["PATH"], "WORD": "帧"}
    child = await spawn([sys.executable, sys.argv[1], "one", "two"], sys.argv[2], environment, PIPE)
    child.stdin.write("line\\n".encode())
    said = (await child.stdout.readline()).decode()
    if order == "terminate":
        child.terminate()
    elif order == "interrupt":
        child.send_signal(2)
    child.stdin.close()
    said += (await child.stdout.read()).decode()
    errors = (await child.stderr.read()).decode().splitlines()
    return [await child.wait(), child.returncode, said, errors[-1:]]

async def main():
    ways = [Nursery().spawn, spawning.start]
    print(json.dumps([await run(spawn, sys.argv[3]) for spawn in ways]))

asyncio.run(main())
"""
HELLO = "print('ready', flush=True)\n"
PROGRAMS = {
    "what it is told": (
        "import os, sys, json\n"
        "told = [sys.argv[1:], os.getcwd(), os.environ['WORD'], __name__, sys.path[0], input()]\n"
        "print(json.dumps(told))\n",
        "",
    ),
    "its neighbours": ("import neighbour\nprint(neighbour.WORD)\n", ""),
    "the end": (HELLO, ""),
    "an exit code": (HELLO + "raise SystemExit(3)\n", ""),
    "last words": (HELLO + "raise SystemExit('no port')\n", ""),
    "an exception": (HELLO + "1 / 0\n", ""),
    "a session of its own": ("import os\nprint(os.getpid() == os.getsid(0))\n", ""),
    "SIGTERM": (HELLO + "import time\ntime.sleep(60)\n", "terminate"),
    "Ctrl-C": (HELLO + "import time\ntime.sleep(60)\n", "interrupt"),
    "what is left for the end": (
        HELLO + "import atexit\natexit.register(print, 'goodbye', flush=True)\n",
        "",
    ),
    "a handler": (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n" + HELLO + "time.sleep(60)\n",
        "terminate",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_forked_is_as_started(name: str, tmp_path: Path) -> None:
    source, order = PROGRAMS[name]
    program = tmp_path / "program.py"
    program.write_text(source, encoding="utf-8")
    (tmp_path / "neighbour.py").write_text("WORD = 'beside it'\n", encoding="utf-8")

    forked, started = both_ways(program, tmp_path, order)

    assert forked == started
    assert forked[2], "it said nothing, so nothing was compared"


def both_ways(program: Path, folder: Path, order: str) -> list[list[Any]]:
    done = subprocess.run(
        [sys.executable, "-c", BOTH_WAYS, str(program), str(folder), order],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ways: list[list[Any]] = json.loads(done.stdout)
    return ways
