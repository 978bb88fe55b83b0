"""Programs: what runs beside this one. What each prints, whether it is well, and its end."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path

START_SECONDS = 30.0  # for an instance to be well
STOP_SECONDS = 5.0  # from SIGTERM until SIGKILL
ASK_SECONDS = 0.05  # between two questions: nothing tells
BEHIND = Path(__file__).resolve().with_name("behind.py")


class Failed(Exception):
    """Something that we need does not work; the message says it in one line."""


class Program:
    """One process. Its name stands in front of each line that it prints."""

    process: asyncio.subprocess.Process
    relaying: asyncio.Task[None] | None = None
    stopping = False
    last_words = ""

    def __init__(self, name: str, *command: str, **environment: str) -> None:
        self.name, self.command, self.environment = name, command, environment
        self.ended: Callable[[str], None] = print  # is told when it ends by itself

    async def start(self) -> None:
        self.stopping = False
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,  # Ctrl-C is for us: nginx first, Valkey last
        )
        print(f"{self.name} | process {self.process.pid}", flush=True)
        self.relaying = asyncio.create_task(self.relay())

    async def relay(self) -> None:
        """Print what it prints, to its end."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.last_words = line.decode(errors="replace").rstrip()
            print(f"{self.name} | {self.last_words}", flush=True)
        code = await self.process.wait()
        if not self.stopping:
            self.ended(f"{self.name} has ended by itself, with {code}: {self.last_words}")

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if it takes too long."""
        self.stopping = True
        if self.relaying is None:
            return
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
            except TimeoutError:
                self.process.kill()
        await self.relaying


class Instance(Program):
    """One server behind nginx. While it is `down`, nginx sends nobody there."""

    def __init__(self, name: str, folder: Path, port: int, **settings: str) -> None:
        command = (sys.executable, str(BEHIND), str(folder / "server.py"))
        super().__init__(name, *command, **settings, HOST="127.0.0.1", PORT=str(port))
        self.port, self.down = port, False

    async def well(self) -> None:
        """Wait until GET /api/health says 200: it listens, and it is on the bus. Raises Failed."""
        said = ""
        try:
            async with asyncio.timeout(START_SECONDS):
                while (said := (await get(self.port, "/api/health"))[0]) != "200":
                    if self.process.returncode is not None:
                        raise Failed(f"{self.name} did not start: {self.last_words}")
                    await asyncio.sleep(ASK_SECONDS)
        except TimeoutError:
            raise Failed(f"{self.name} is not well after {START_SECONDS:g} s: {said}") from None


async def get(port: int, path: str, ssl: object = None) -> tuple[str, str]:
    """The status and the body of a GET; no status if nobody answers."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ssl)  # type: ignore[arg-type]
    except OSError as error:
        return "", error.strerror or str(error)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode("latin-1").partition("\r\n\r\n")
        return ([*head.split(), "", ""])[1], body.strip()
    except OSError as error:
        return "", error.strerror or str(error)
    finally:
        writer.close()
