"""The subject: the program under check, a process of any language or an address that is up already.

A process is told its settings through the environment and counts as ready when its port accepts a
connection: not every correct server answers a plain GET, and not every one greets.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import shlex
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from course.tools import free_port, local_secrets
from course.wire import Wire
from tests.harness import spawning
from tests.harness.again import ask_again
from tests.harness.door import DEFAULT_USERS, Door
from tests.harness.exchange import Exchange
from tests.harness.member import Member
from tests.harness.peer import PING, PONG, WITHIN, Peer, Response
from tests.harness.socketio_peer import (
    WEBSOCKET,
    PollingPeer,
    SocketMember,
    SocketPeer,
    WebSocketPeer,
    admitted,
)
from tests.harness.spawning import LONGEST_LINE, Child
from tests.harness.verdict import CheckFailure, NotAsked, fail, require

READY_SECONDS = 20.0  # a slow language on a busy machine
STOP_SECONDS = 5.0  # from SIGTERM until SIGKILL
DYING_SECONDS = 0.5  # after a failed check: the exit of a program may lag behind its sockets' end
IMPATIENCE = 1.0  # seconds to wait for the welcome of a program that did not greet once before
SETTLE_SECONDS = 3.0  # for what the statistics should soon say
KEPT_LINES = 40  # of what the program prints
# Variables that are for the grader alone.
OURS = ("CMD", "CLIENT", "URL", "PORT", "ONLY", "JSON", "HTML")
ORIGIN = "http://page.example"  # the one web page that may connect
FOREIGN_ORIGIN = "http://evil.example"


class CannotRun(Exception):
    """The program could not be started; the message says it in one line."""


@dataclass(frozen=True)
class Settings:
    """The settings of the wire contract that checks depend on; times in seconds."""

    heartbeat: float = 1.0
    max_message_bytes: int = 66_000  # not the default: a program that ignores it is found out
    history: int = 200  # events of a channel
    ack_seconds: float = 1.0
    outbox_limit: int = 8
    flush_ms: int = 200
    queue_limit: int = 300  # messages
    queue_bytes: int = 262_144

    def environment(self) -> dict[str, str]:
        return {
            "HEARTBEAT_SECONDS": f"{self.heartbeat:g}",
            "MAX_MESSAGE_BYTES": str(self.max_message_bytes),
            "ALLOWED_ORIGINS": ORIGIN,
            "HISTORY": f"{self.history}",
            "ACK_SECONDS": f"{self.ack_seconds:g}",
            "OUTBOX_LIMIT": f"{self.outbox_limit}",
            "FLUSH_MS": str(self.flush_ms),
            "QUEUE_LIMIT": str(self.queue_limit),
            "QUEUE_BYTES": str(self.queue_bytes),
            "BUSINESS_SECONDS": "0",  # nothing happens but what a check does
        }

    @classmethod
    def of_running(cls, environment: Mapping[str, str]) -> Settings:
        """A running program has settings of its own: told to us the same way, or the defaults."""
        return cls(
            heartbeat=float(environment.get("HEARTBEAT_SECONDS") or 20.0),
            max_message_bytes=int(float(environment.get("MAX_MESSAGE_BYTES") or 65_536)),
            history=int(environment.get("HISTORY") or 1_000),
            ack_seconds=float(environment.get("ACK_SECONDS") or 5.0),
            outbox_limit=int(environment.get("OUTBOX_LIMIT") or 100),
            flush_ms=int(float(environment.get("FLUSH_MS") or 200)),
            queue_limit=int(float(environment.get("QUEUE_LIMIT") or 256)),
            queue_bytes=int(float(environment.get("QUEUE_BYTES") or 1_048_576)),
        )


@dataclass(frozen=True)
class Stats:
    """What GET /api/stats says."""

    connections: int
    channels: dict[str, int]  # name → members

    def members(self, channel: str) -> int:
        return self.channels.get(channel, 0)


async def printed_lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of what is printed, whole, however they were written; an endless one in pieces."""
    rest = b""
    while data := await stream.read(65536):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            yield line.decode(errors="replace").removesuffix("\r")
    if rest:
        yield rest.decode(errors="replace")


class Process:
    """One run of a program: started, watched, and ended with everything it started."""

    def __init__(self, command: list[str], cwd: str | None, environment: dict[str, str]) -> None:
        self.command = command
        self.cwd = cwd
        self.environment = environment
        self.port = int(environment["PORT"])
        self.process: Child | None = None
        self.readers: list[asyncio.Task[None]] = []
        self.stderr: list[str] = []
        self.output: deque[str] = deque(maxlen=KEPT_LINES)
        self.printed = asyncio.Event()  # something new is in the output

    async def start(self) -> None:
        """Start the program in a process group of its own. Raises CannotRun."""
        inherited = {k: v for k, v in os.environ.items() if k not in OURS and k[:7] != "PYTEST_"}
        try:
            process = await spawning.spawn(
                self.command,
                self.cwd,
                {**inherited, **self.environment},
                asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise CannotRun(f"cannot start {self.command[0]!r}: {error.strerror}") from error
        assert process.stdout and process.stderr
        self.process = process
        self.readers = [
            asyncio.create_task(self._read(process.stdout)),
            asyncio.create_task(self._read(process.stderr, self.stderr)),
        ]

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[Process]:
        """Started and ready here, and ended on the way out. Raises CannotRun."""
        try:
            await self.start()
            await self.ready()
            yield self
        finally:
            await self.stop()

    async def _read(self, stream: asyncio.StreamReader, also: list[str] | None = None) -> None:
        """Keep the last lines; a program must never wait because nobody reads what it prints."""
        async for line in printed_lines(stream):
            self.output.append(line)
            self.printed.set()
            if also is not None:
                also.append(line)
                del also[:-KEPT_LINES]

    async def ready(self) -> None:
        """Wait until the port accepts. Raises CannotRun."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self._accepts():
                    if not self.alive:
                        raise CannotRun(await self.epitaph())
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise CannotRun(
                f"{shlex.join(self.command)} did not listen on 127.0.0.1:{self.port} within "
                f"{READY_SECONDS:.0f} s: does it use PORT from its environment?"
            ) from error

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def says(self, text: str) -> None:
        """Wait until one of its last lines has `text` in it. Raises TimeoutError."""
        async with asyncio.timeout(READY_SECONDS):
            while not any(text in line for line in self.output):
                self.printed.clear()
                await self.printed.wait()

    async def epitaph(self) -> str:
        """How the program ended, and its last words, in one line."""
        code = await self.wait(STOP_SECONDS)
        how = f"exit code {code}" if code is not None and code >= 0 else f"signal {-(code or 0)}"
        last = next((line.strip() for line in reversed(self.output) if line.strip()), "")
        said = f"; its last words: {last}" if last else ""
        return f"{shlex.join(self.command)} ended with {how} before it listened{said}"

    async def wait(self, within: float) -> int | None:
        """The exit code, or None if it still runs after `within` seconds."""
        if self.process is None:
            return None
        try:
            async with asyncio.timeout(within):
                await self.process.wait()
                await asyncio.gather(*self.readers)
        except TimeoutError:
            return None
        return self.process.returncode

    async def dies(self, within: float) -> int | None:
        """The exit code; None if the program answers somebody new, or `within` seconds pass."""
        end = asyncio.create_task(self.wait(within))
        answer = asyncio.create_task(self._answer())
        await asyncio.wait((end, answer), timeout=within, return_when=asyncio.FIRST_COMPLETED)
        if answer.done() and answer.result():
            end.cancel()
        answer.cancel()
        await asyncio.wait((end, answer))
        return None if end.cancelled() else end.result()

    async def _answer(self) -> bytes:
        """The first byte of what a plain GET is told, if anything: a process that dies is mute."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return await reader.read(1)
            finally:
                writer.close()
        except OSError:
            return b""

    def terminate(self) -> None:
        """Send SIGTERM to the program, as an operator would."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def memory(self) -> int:
        """The resident bytes of the program and all it started. Raises NotAsked without /proc."""
        if self.process is None or not Path("/proc/self/stat").exists():
            raise NotAsked("it would have to read the program's memory in /proc")
        pages = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                fields = path.read_text().rpartition(")")[2].split()  # from the third field on
                if int(fields[3]) == self.process.pid:  # its session
                    pages += int(fields[21])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def stop(self) -> None:
        """End the program and all it started, by force if need be."""
        if self.process is None:
            return
        self.terminate()
        if await self.wait(STOP_SECONDS) is None:
            self._kill_group(self.process.pid)
            await self.process.wait()
        self._kill_group(self.process.pid)  # what it may have left behind, and holds the pipes
        await asyncio.wait(self.readers, timeout=STOP_SECONDS)
        for reader in self.readers:
            reader.cancel()
        await asyncio.gather(*self.readers, return_exceptions=True)

    def _kill_group(self, group: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


class Subject:
    """What is graded. It is restarted when a check has harmed it, so each check finds it whole."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.exchange = Exchange()  # the record of the check that runs now
        self.running: Process | None = None
        self.patience = WITHIN  # seconds to wait for the welcome
        self.dialect = task.get("dialect", "native")
        self.host, self.port, self.path = "127.0.0.1", 0, "/ws"
        self.settings = Settings()
        if task["kind"] == "url":
            parts = urlsplit(task["url"])
            self.host, self.port = str(parts.hostname), parts.port or 80
            self.path = parts.path or "/ws"
            self.settings = Settings.of_running(os.environ)
        # What the chapter's table in course.toml asks for: secrets, and a ticket to come in.
        self.environment = local_secrets(task.get("secrets", ()), {})
        told = "" if self.is_process else os.environ.get("USERS") or DEFAULT_USERS
        self.door = Door(self.path, told)
        Peer.door = self.door if task.get("entry") else None
        if Peer.door:
            self.environment |= Door.environment
        if self.dialect == "socketio":
            self.path = WEBSOCKET

    @property
    def is_process(self) -> bool:
        return bool(self.task["kind"] == "process")

    @property
    def url(self) -> str:
        return f"ws://{self.host}:{self.port}{self.path}"

    def new_process(self, **environment: str) -> Process:
        """One more run of the program, on a port of its own; `environment` overrides settings."""
        base = {"HOST": "127.0.0.1", "PORT": str(free_port()), **self.settings.environment()}
        base |= self.environment
        cwd = self.task["cwd"]
        return Process(self.task["command"], cwd and str(Path(cwd)), {**base, **environment})

    async def ensure_running(self) -> None:
        """Start the program unless it is up. Raises CannotRun."""
        if not self.is_process or (self.running and self.running.alive):
            return
        await self.stop()  # one that ended by itself may have left something behind
        self.running = self.new_process()
        try:
            await self.running.start()
            await self.running.ready()
        except CannotRun:
            await self.running.stop()
            self.running = None
            raise
        self.port = self.running.port

    def need_process(self) -> None:
        """For checks that start or stop the program. Raises NotAsked for a running one."""
        if not self.is_process:
            raise NotAsked("it would have to start the program")

    def seen(self, exchange: Exchange, through: Wire | None = None) -> Subject:
        """The same program with another record, for a scene of its own; or behind a wire."""
        other = copy.copy(self)
        other.exchange = exchange
        if through is not None:
            other.host, other.port = "127.0.0.1", through.port
        return other

    async def dial(self, *, receive_buffer: int | None = None) -> Peer:
        """A new client with a TCP connection and nothing more."""
        peer = Peer(self.exchange)
        await peer.dial(self.host, self.port, receive_buffer=receive_buffer)
        return peer

    async def connect(self, *, receive_buffer: int | None = None) -> Peer:
        """A new client whose handshake was accepted."""
        peer = await self.dial(receive_buffer=receive_buffer)
        response = await peer.request(self.path)
        require(
            response.status == 101, "the handshake is refused", expected="status 101", got=response
        )
        return peer

    async def client(self, *, receive_buffer: int | None = None) -> Peer:
        """A new client that has been welcomed."""
        if self.dialect == "socketio":
            return await self.socket(receive_buffer=receive_buffer)
        peer = await self.connect(receive_buffer=receive_buffer)
        try:
            await peer.welcome(self.patience)
        except CheckFailure:
            self.patience = IMPATIENCE
            raise
        return peer

    async def member(self, *channels: str, receive_buffer: int | None = None) -> Member:
        """A new client of the rooms, welcomed and in these channels."""
        peer = await self.client(receive_buffer=receive_buffer)
        member = SocketMember(peer) if isinstance(peer, SocketPeer) else Member(peer)
        for channel in channels:
            await member.subscribe(channel)
        return member

    async def socket(
        self,
        transport: str = "",
        *,
        receive_buffer: int | None = None,
        background: bool = True,
        entered: bool = True,
    ) -> SocketPeer:
        """A new Socket.IO client; one with a `receive_buffer` reads only what it is asked for.

        TRANSPORT in the environment, websocket or polling, decides; else they take turns, so that
        every check has some of each.
        """
        name = self.exchange.next_name()
        turns = "websocket" if receive_buffer or name[-1] in "13579" else "polling"
        chosen = transport or os.environ.get("TRANSPORT") or turns
        kind = PollingPeer if chosen == "polling" else WebSocketPeer
        peer = kind(self.exchange, name, background=background and receive_buffer is None)
        await peer.dial(self.host, self.port, receive_buffer=receive_buffer)
        if entered:
            await peer.welcome()
        return peer

    async def greeted(self, peer: Peer) -> None:
        """The handshake, and the server's first words, on a TCP connection that is there."""
        await peer.request(self.path)
        if self.dialect == "native":
            await peer.welcome()
            return
        await peer.message("0{…}, the open packet")
        await peer.send_text(await admitted(peer, "40"))
        await peer.message("40{…}, the welcome of Socket.IO")

    async def http(self, method: str, path: str, body: bytes | None = None) -> Response:
        """One HTTP request with its own connection; a `body` is said to be JSON."""
        peer = Peer(self.exchange, "http")
        await peer.dial(self.host, self.port)
        headers = {"Connection": "close"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        response = await peer.request(
            path, method=method, headers=headers, upgrade=False, body=body or b""
        )
        await peer.close()
        return response

    async def stats(self) -> Stats:
        """GET /api/stats, which has to answer as the contract says."""
        response = await self.http("GET", "/api/stats")
        require(response.status == 200, "GET /api/stats fails", expected=200, got=response)
        expected = '{"connections":n,"channels":{name:members}}'
        try:
            said = json.loads(response.body)
            stats = Stats(said["connections"], dict(said["channels"]))
        except (ValueError, TypeError, KeyError):
            fail("GET /api/stats answers wrongly", expected=expected, got=response.body[:200])
        numbers = (stats.connections, *stats.channels.values())
        right = all(type(number) is int for number in numbers)
        require(right, "a number in /api/stats is none", expected=expected, got=response.body[:200])
        return stats

    @property
    def settles(self) -> float:
        """Seconds until the statistics know. Who polls is missed by the heartbeat alone."""
        beats = 0.0 if self.dialect == "native" else 3 * self.settings.heartbeat + 2
        return max(SETTLE_SECONDS, beats)

    async def until(
        self, what: str, true: Callable[[Stats], bool], within: float | None = None
    ) -> Stats:
        """Ask for the statistics until they are as they should be; `what` says how."""
        within = self.settles if within is None else within
        stats = await ask_again(self.stats, true, within)
        if not true(stats):
            said = {"connections": stats.connections, "channels": stats.channels}
            fail(
                f"after {within:g} s /api/stats does not show what it should",
                expected=what,
                got=json.dumps(said)[:200],
            )
        return stats

    async def until_members(self, channel: str, number: int, within: float | None = None) -> Stats:
        """Wait until the channel has so many members."""
        what = f"{number} in {channel}"
        return await self.until(what, lambda stats: stats.members(channel) == number, within)

    @contextlib.asynccontextmanager
    async def bystander(self) -> AsyncIterator[None]:
        """Somebody else is connected meanwhile and must not notice; then a newcomer is served."""
        other = await self.client()
        yield
        for peer, who in ((other, "a client that was there before"), (None, "a new client")):
            try:
                peer = peer or await self.client()
                await peer.send(PING, b"still there?")
                answer = await peer.frame("a pong")
            except CheckFailure as failure:
                failure.what = f"afterwards {who} is not served: {failure.what}"
                raise
            require(answer.opcode == PONG, f"afterwards {who} is not served", expected="a pong")

    async def stop(self) -> None:
        if self.running:
            await self.running.stop()
            self.running = None

    async def death(self, *, may_be_dying: bool) -> str | None:
        """How the program died, if it did. One that may be dying is given a moment to do so."""
        if self.running is None or (self.running.alive and not may_be_dying):
            return None
        code = await self.running.dies(DYING_SECONDS)
        if code is None:
            return None
        words = "\n".join(self.running.output)
        return f"the server died (exit code {code}); its last words:\n{words}"
