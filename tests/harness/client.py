"""The client under check: a program of any language, told its URL, heard through its output.

It is told what to do through its environment and its standard input, one line a message. What it
prints are JSON objects, one a line: `{"event":"open"}`. All of it goes into the check's exchange,
beside what passes on the wire: `stdin` and `stdout` stand there for the two pipes, `stderr` for
what it complains about.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.harness import spawning
from tests.harness.exchange import Exchange
from tests.harness.peer import WITHIN
from tests.harness.spawning import LONGEST_LINE
from tests.harness.subject import KEPT_LINES, OURS, CannotRun
from tests.harness.verdict import fail

STARTED_SECONDS = 20.0  # a slow language on a busy machine
MOST_EVENTS = 20_000  # printed by one client: more than that is a storm, and no record
# The times that checks give a client, unless they say otherwise.
SETTINGS = {
    "HEARTBEAT_SECONDS": "20",  # the welcome says better
    "BACKOFF_BASE_MS": "50",
    "BACKOFF_CAP_MS": "200",
    "STABLE_MS": "60000",
    "CONNECT_TIMEOUT": "5",
}
NOT_INHERITED = (*OURS, *SETTINGS, "HOST")


@dataclass(frozen=True)
class Heard:
    """One event that the client has printed, and when, in the loop's time."""

    at: float
    kind: str
    fields: dict[str, Any]

    def __str__(self) -> str:
        return json.dumps(self.fields, ensure_ascii=False)[:200]


@dataclass
class Client:
    """One run of the client. `exchange` records it, and ends it with the check."""

    exchange: Exchange
    command: list[str]
    cwd: str | None
    environment: dict[str, str]
    heard: list[Heard] = field(default_factory=list)
    code: int | None = None  # the exit code, once it has ended

    def __post_init__(self) -> None:
        self.cursor = 0  # events before this one were asked for
        self.news = asyncio.Event()  # something was printed, or the client has ended
        self.on_end: list[Callable[[], None]] = []  # called when it has ended
        self.malformed: str | None = None
        self.stderr: list[str] = []

    async def start(self) -> Client:
        """Start the program in a process group of its own. Raises CannotRun."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in NOT_INHERITED and name[:7] != "PYTEST_"
        }
        shown = {k: v for k, v in self.environment.items() if SETTINGS.get(k) != v}
        words = [f"{name}={value}" for name, value in shown.items()]
        self.exchange.add("shell", "·", " ".join([*words, shlex.join(self.command)]))
        try:
            self.process = await spawning.spawn(
                self.command,
                self.cwd,
                {**inherited, "PYTHONUNBUFFERED": "1", **self.environment},
                asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise CannotRun(f"cannot start {self.command[0]!r}: {error.strerror}") from error
        self.exchange.closers.append(self.stop)
        self.readers = [
            asyncio.create_task(self._read_events()),
            asyncio.create_task(self._read_complaints()),
        ]
        self.watcher = asyncio.create_task(self._watch())
        return self

    # What it says

    async def _read_events(self) -> None:
        assert self.process.stdout is not None
        try:
            while raw := await self.process.stdout.readline():
                self._hear(raw)
                self.news.set()
        except ValueError:  # asyncio's word for a line beyond the limit
            self.malformed = f"a line of more than {LONGEST_LINE:,} bytes"
            self.news.set()
            while await self.process.stdout.read(65536):
                pass  # it must not wait because nobody reads

    def _hear(self, raw: bytes) -> None:
        text = raw.decode(errors="backslashreplace").rstrip("\r\n")
        if len(self.heard) < MOST_EVENTS:
            self.exchange.add("stdout", "·", text)
        try:
            event = json.loads(text)
            kind = event["event"] if isinstance(event, dict) else None
        except (ValueError, KeyError, RecursionError):
            kind = None
        if not isinstance(kind, str):
            self.malformed = self.malformed or text[:200]
        elif len(self.heard) < MOST_EVENTS:
            self.heard.append(Heard(asyncio.get_running_loop().time(), kind, event))

    async def _read_complaints(self) -> None:
        assert self.process.stderr is not None
        rest = b""
        while data := await self.process.stderr.read(65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._complain(line)
            rest = rest[:LONGEST_LINE]
        if rest:
            self._complain(rest)

    def _complain(self, raw: bytes) -> None:
        line = raw.decode(errors="replace").rstrip("\r")
        if len(self.stderr) < KEPT_LINES:
            self.exchange.add("stderr", "·", line)
        self.stderr.append(line)
        del self.stderr[:-KEPT_LINES]

    async def _watch(self) -> None:
        """Note the end of the program, when all that it said was read."""
        code = await self.process.wait()
        # Somebody it has started may hold its pipes open: it has ended even so.
        await asyncio.wait(self.readers, timeout=WITHIN)
        self.code = code
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        self.exchange.add("shell", "·", f"the client ended with {how}")
        self.news.set()
        for call in self.on_end:
            call()

    def need_life(self) -> None:
        """For a wait that is in vain once the client has ended. Raises CannotRun if it never began.

        A program that ends at once and says nothing is no wrong client: it is none.
        """
        if self.code is not None and not self.heard and not self.malformed:
            last = next((line.strip() for line in reversed(self.stderr) if line.strip()), "")
            said = f"; its last words: {last}" if last else ""
            how = f"{shlex.join(self.command)} ended with exit code {self.code}"
            raise CannotRun(f"{how} before it said or did anything{said}")

    def all(self, kind: str) -> list[Heard]:
        """Every event of one kind that was printed so far."""
        return [heard for heard in self.heard if heard.kind == kind]

    async def event(
        self,
        kind: str,
        within: float = WITHIN,
        *,
        where: Callable[[dict[str, Any]], bool] = lambda fields: True,
    ) -> Heard:
        """The next event of this kind; those before it are passed over. Fails when none comes.

        Only what was printed after the last event that was asked for counts.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    self.news.clear()
                    while self.cursor < len(self.heard):
                        heard = self.heard[self.cursor]
                        self.cursor += 1
                        if heard.kind == kind and where(heard.fields):
                            return heard
                    self._still_sane(f'an event "{kind}"')
                    await self.news.wait()
        except TimeoutError:
            last = str(self.heard[-1]) if self.heard else "it has printed nothing"
            fail(
                f"the client does not print what it has to within {within:g} s",
                expected=f'an event "{kind}"',
                got=f"last of all: {last}",
            )

    def _still_sane(self, expecting: str) -> None:
        """`fail()` if the output cannot be read, or nothing more can come."""
        if self.malformed is not None:
            fail(
                "the client prints something that is no event",
                expected='JSON objects, one a line: {"event":"open"}',
                got=self.malformed,
            )
        if self.code is not None:
            fail("the client has ended", expected=expecting, got=f"exit code {self.code}")

    # What it is told

    async def say(self, *lines: str) -> None:
        """Type lines, each a message."""
        assert self.process.stdin is not None
        for line in lines:
            self.exchange.add("stdin", "·", line)
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        try:
            async with asyncio.timeout(WITHIN):
                await self.process.stdin.drain()
        except TimeoutError:
            fail(f"the client read nothing of what was typed for {WITHIN:g} s")
        except ConnectionError:
            self.exchange.add("stdin", "·", "the client does not read any more")

    def end_input(self) -> None:
        """Type Ctrl-D: the end of the input, which closes."""
        assert self.process.stdin is not None
        self.exchange.add("stdin", "·", "end of input")
        self.process.stdin.close()

    # Its end

    async def ended(self, within: float = WITHIN) -> int:
        """The exit code. Fails when it still runs after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while self.code is None:
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            fail(f"the client still runs {within:g} s later", expected="that the process ends")
        return self.code

    async def stop(self) -> None:
        """End the program and all it started. It is nobody's to be asked politely any more."""
        self._kill_group()
        await self.process.wait()
        for task in (self.watcher, *self.readers):
            task.cancel()
        await asyncio.gather(self.watcher, *self.readers, return_exceptions=True)
        assert self.process.stdin is not None
        self.process.stdin.close()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class ClientProgram:
    """What is graded, where it is a client: how to run it. Each check starts it anew."""

    command: list[str]
    cwd: str | None

    async def start(self, exchange: Exchange, url: str, **environment: str) -> Client:
        """Start it against a server; `environment` overrides SETTINGS."""
        settings = {"URL": url, **SETTINGS, **environment}
        return await Client(exchange, self.command, self.cwd, settings).start()
