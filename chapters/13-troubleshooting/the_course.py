"""The course's own tools, as programs: the broken deployments, and the doctor that examines them.

A chapter imports nothing from outside its folder. So they are started as you would start them in a
terminal, `python -m course break NAME`, and heard by what they print.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

from settings import PORT

COURSE = Path(__file__).resolve().parents[2]  # where this chapter was in the repository
STAND_SECONDS = 60.0  # until a deployment stands and its symptom was seen, on a busy machine
VISIT_SECONDS = 60.0  # of the doctor
STOP_SECONDS = 15.0  # it has programs of its own to end first
LONGEST_LINE = 1 << 20


class Unavailable(Exception):
    """A deployment cannot be set up here; the message says why."""


def here() -> bool:
    """Whether the rest of the course is there: a copied chapter is alone."""
    return (COURSE / "course" / "labs").is_dir()


async def start(*words: str) -> asyncio.subprocess.Process:
    """`python -m course WORDS`. Its deployments let in the pages of this server."""
    if not here():
        raise Unavailable("the deployments are in the course's repository: make chapter-13")
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "course", *words),
        cwd=COURSE,
        env={**os.environ, "LAB_PAGE": f"http://127.0.0.1:{PORT}", "URL": "", "CURED": ""},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        limit=LONGEST_LINE,
    )


async def ask(*words: str) -> Any:
    """What one command prints as JSON. Raises Unavailable."""
    process = await start(*words, "--json")
    try:
        async with asyncio.timeout(VISIT_SECONDS):
            output, complaint = await process.communicate()
        return json.loads(output)
    except (TimeoutError, ValueError):
        last = complaint.decode(errors="replace").strip() if process.returncode else "time ran out"
        raise Unavailable(last) from None
    finally:
        await stop(process)


class Deployment:
    """One broken deployment, or the same cured, from `open` until `close`."""

    def __init__(self, process: asyncio.subprocess.Process, told: dict[str, Any]) -> None:
        self.process = process
        self.url: str = told["url"]
        self.seen: list[dict[str, str]] = told["seen"]
        self.doctor: list[str] = told["doctor"]  # what to type so that the doctor asks the same
        self.swallowing = asyncio.create_task(self.swallow())

    async def swallow(self) -> None:
        """Read what it still complains about: with a full pipe it would stand still."""
        assert self.process.stderr is not None
        while await self.process.stderr.read(65_536):
            pass

    @classmethod
    async def open(cls, name: str, *, cured: bool = False) -> "Deployment":
        """Set it up. Raises Unavailable."""
        process = await start("break", name, "--json", *(["--cured"] if cured else []))
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.timeout(STAND_SECONDS):
                line = await process.stdout.readline()
            if line:
                return cls(process, json.loads(line))
            complaint = (await process.stderr.read(2000)).decode(errors="replace").strip()
        except TimeoutError:
            complaint = "time ran out"
        except BaseException:
            await stop(process)
            raise
        await stop(process)
        raise Unavailable(complaint or f"{name} cannot be set up")

    async def close(self) -> None:
        await stop(self.process)
        await self.swallowing


async def stop(process: asyncio.subprocess.Process) -> None:
    """End a program and wait for its end: it takes with it what it has started."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
