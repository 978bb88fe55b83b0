"""A chapter's programs, started in their folder; also those that must not start."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from tests.harness import spawning
from tests.harness.spawning import Child

WITHIN = 20.0  # seconds for a program to do its part on a busy machine


async def start(folder: Path, program: str, **environment: str) -> Child:
    """A program that reads what is typed; how it is started is for tests/conftest.py to say."""
    settings = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
    return await spawning.spawn([sys.executable, program], str(folder), settings, PIPE)


async def all_it_says(program: Child, typed: bytes = b"") -> tuple[str, str]:
    """Type this, end the input, and wait for the end: what was printed, and the errors."""
    if program.stdin is not None:
        program.stdin.write(typed)
        program.stdin.close()
    assert program.stdout and program.stderr
    async with asyncio.timeout(WITHIN):
        printed, errors = await asyncio.gather(program.stdout.read(), program.stderr.read())
        await program.wait()
    return printed.decode(), errors.decode()


async def does_not_start(folder: Path, name: str, value: str, **environment: str) -> str:
    """Start the chapter with this setting; it has to refuse it by name. Returns all it said."""
    settings = {**os.environ, **environment, name: value}
    server = await spawning.spawn([sys.executable, "server.py"], str(folder), settings, DEVNULL)
    printed, errors = await all_it_says(server)
    assert server.returncode == 1
    assert errors.count("\n") == 1
    assert name in errors
    return printed + errors
