"""How a graded program is started: one place, so that a test may do it in a way of its own."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from typing import Protocol

LONGEST_LINE = 1 << 20  # bytes of one printed line


class Child(Protocol):
    """A running program: what is used of `asyncio.subprocess.Process`."""

    @property
    def stdin(self) -> asyncio.StreamWriter | None: ...

    @property
    def stdout(self) -> asyncio.StreamReader | None: ...

    @property
    def stderr(self) -> asyncio.StreamReader | None: ...

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def send_signal(self, signal: int, /) -> None: ...


class Spawn(Protocol):
    """Starts a program in a session of its own, with pipes for its output.

    `stdin` is PIPE or DEVNULL. Raises OSError if it cannot be started.
    """

    async def __call__(
        self, command: list[str], cwd: str | None, environment: Mapping[str, str], stdin: int
    ) -> Child: ...


async def start(
    command: list[str], cwd: str | None, environment: Mapping[str, str], stdin: int
) -> Child:
    """As Spawn says, as a process of its own."""
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=environment,
        stdin=stdin,
        stdout=PIPE,
        stderr=PIPE,
        limit=LONGEST_LINE,
        start_new_session=True,
    )


spawn: Spawn = start
