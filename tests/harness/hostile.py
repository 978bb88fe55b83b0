"""The hostile server: what a client is up against, played by the harness.

It listens on a raw socket and does, connection by connection, what the check's script says: refuse
the handshake, accept and close, reset, fall silent, vanish and come back. It keeps a record: when
each connection arrived and ended, what the client said there, and whether two lived at one time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from course import frames
from tests.harness.client import Client
from tests.harness.exchange import Exchange
from tests.harness.peer import CLOSE, PING, PONG, TEXT, WITHIN, Ended
from tests.harness.verdict import CheckFailure, fail

HEAD_SECONDS = 5.0  # for a client to send its request
REASONS = {401: "Unauthorized", 403: "Forbidden", 429: "Too Many Requests", 503: "Unavailable"}
# Seconds that two connections may seem to overlap: what ended the first may be read after the
# arrival of the second.
BLINK = 0.25

Script = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One connection of the client, seen from the server.

    Everything the client sends is read at once and kept, whatever the script does; pings and close
    frames are answered, as a library would, until `blackhole()`.
    """

    def __init__(
        self, server: Hostile, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.exchange = server.exchange
        self.number = len(server.connections) + 1  # from 1, in the order of arrival
        self.name = f"conn-{self.number}"
        self.reader, self.writer = reader, writer
        self.arrived = _now()
        self.left: float | None = None  # when the client said goodbye, or TCP ended
        self.path = ""
        self.headers: dict[str, str] = {}  # of the request; names in lower case
        self.accepted = False  # whether it was given a 101
        self.dead = False  # nothing is answered any more
        self.dead_after: int | None = None  # how many messages come before it is
        self.most_bytes: int | None = None  # of a message: who sends more gets 1009 at once
        self.sent_close = False
        self.close_code: int | None = None  # of the client's close frame; 1005 if it has none
        self.how_ended: str | None = None  # "end" (FIN) or "reset", once TCP has ended
        self.messages: list[str] = []  # all text messages of the client
        self._unread: deque[str] = deque()
        self._news = asyncio.Event()
        self._parser = frames.FrameReader(masked=True)
        self._reading: asyncio.Task[None] | None = None

    # The handshake

    async def read_request(self) -> bool:
        """Read the client's request; False if it never came."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                raw = await self.reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            self._end("end")
            return False
        line, *rest = raw.decode("latin-1").split("\r\n")
        pairs = (field.partition(":") for field in rest if field)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        words = line.split(" ")
        self.path = words[1] if len(words) > 1 else ""
        self.exchange.add(self.name, "→", line)
        self._reading = asyncio.create_task(self._read())
        return True

    async def accept(self, *, heartbeat_ms: int | None = None, key: str | None = None) -> None:
        """Answer 101. With `heartbeat_ms`, welcome the client as the course's servers do.

        key  what is answered to in place of the client's own
        """
        key = self.headers.get("sec-websocket-key", "") if key is None else key
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {frames.accept_for(key)}",
        ]
        self.accepted = True
        await self._write("\r\n".join([*lines, "", ""]).encode(), lines[0])
        if heartbeat_ms is not None:
            await self.send_json(
                {"type": "welcome", "ts": 0, "data": {"heartbeatMs": heartbeat_ms}}
            )

    async def refuse(self, status: int, *, body: str = "", **headers: str) -> None:
        """Answer the handshake with an HTTP error, and hang up."""
        line = f"HTTP/1.1 {status} {REASONS.get(status, 'Refused')}"
        fields = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = [line, *fields, f"Content-Length: {len(body)}", "Connection: close"]
        await self._write("\r\n".join([*head, "", body]).encode(), line)
        self.drop()

    # What the server says

    async def send(self, opcode: int, payload: bytes = b"") -> None:
        """Send one frame; after `blackhole()` it is lost."""
        frame = frames.Frame(opcode, payload, True, 0, False, b"", len(payload))
        await self._write(frames.build(opcode, payload), frames.describe(frame))

    async def send_text(self, text: str) -> None:
        await self.send(TEXT, text.encode())

    async def send_json(self, value: object) -> None:
        await self.send_text(json.dumps(value, ensure_ascii=False))

    async def close(self, code: int, reason: str = "", within: float = WITHIN) -> None:
        """Close with a code: say so, wait for the client's answer, then end TCP."""
        self.sent_close = True
        await self.send(CLOSE, frames.close_payload(code, reason))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.left is None:
                    await self._wait()
        self.writer.close()

    def drop(self) -> None:
        """End TCP without a close frame."""
        if self.how_ended is None:
            self.exchange.add(self.name, "·", "the server ends TCP")
            self.leave()
            self.writer.close()

    def reset(self) -> None:
        """End TCP with a reset, as a machine that has crashed does."""
        if self.how_ended is None:
            self.exchange.add(self.name, "·", "the server resets the connection")
            self.leave()
            raw = self.writer.get_extra_info("socket")
            if raw.fileno() != -1:  # else the client has just reset it itself
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()

    def blackhole(self, *, after: int = 0) -> None:
        """From here on nothing is answered and nothing sent: the link is half open.

        after  the client's messages, counted from the first, that come before that
        """
        if len(self.messages) < after:
            self.dead_after = after
            return
        self.exchange.add(self.name, "·", "from here on the server is silent, as a cut line")
        self.dead = True

    async def _write(self, raw: bytes, text: str) -> None:
        if self.dead:
            return
        self.exchange.add(self.name, "←", text)
        try:
            async with asyncio.timeout(WITHIN):
                self.writer.write(raw)
                await self.writer.drain()
        except (OSError, TimeoutError):
            pass  # the client has gone, or reads nothing: the reading notes what became of it

    # What the client says

    async def _read(self) -> None:
        parts: list[bytes] = []
        try:
            while data := await self.reader.read(65536):
                for item in self._parser.feed(data):
                    await self._take(item, parts)
        except ConnectionError:
            self._end("reset")
        except CheckFailure as failure:
            self.server.problem = self.server.problem or failure
            self._end("end")
        else:
            self._end("end")

    async def _take(self, item: frames.Item, parts: list[bytes]) -> None:
        self.exchange.add(self.name, "→", frames.describe(item).replace(" masked", "", 1))
        if not isinstance(item, frames.Frame) or item.mask_wrong:
            fail("the client sends a broken frame", got=frames.describe(item))
        if item.opcode == PING:
            if not self.sent_close:
                await self.send(PONG, item.payload)
        elif item.opcode == CLOSE:
            self.close_code = item.close_code
            if not self.dead:
                self.leave()
                if not self.sent_close:
                    await self.send(CLOSE, item.payload[:2])
                self.writer.close()
            # To a line that is cut, a close frame is only more silence: but the client has let go.
            self.leave()
        elif item.opcode != PONG:
            parts.append(item.payload)
            if self.most_bytes is not None and sum(map(len, parts)) > self.most_bytes:
                self.sent_close = True
                await self.send(CLOSE, frames.close_payload(1009))
            if item.fin:
                text = b"".join(parts).decode(errors="backslashreplace")
                parts.clear()
                self.messages.append(text)
                self._unread.append(text)
                if len(self.messages) == self.dead_after:
                    self.blackhole()
        self._wake()

    async def text(self, expecting: str = "a message", within: float = WITHIN) -> str:
        """The client's next message. Fails when none comes."""
        try:
            async with asyncio.timeout(within):
                while not self._unread:
                    if self.how_ended is not None:
                        fail(
                            "the client ended the connection",
                            expected=expecting,
                            got=f"{Ended(self.close_code, '', self.how_ended)} on {self.name}",
                        )
                    await self._wait()
        except TimeoutError:
            fail(f"the client sent nothing for {within:g} s", expected=expecting, got="nothing")
        return self._unread.popleft()

    async def json(self, expecting: str = "a message", within: float = WITHIN) -> dict[str, Any]:
        """The client's next message as a JSON object."""
        text = await self.text(expecting, within)
        try:
            value = json.loads(text)
        except ValueError:
            fail("the client's message is not JSON", expected=expecting, got=text[:200])
        if not isinstance(value, dict):
            fail("the client's message is no JSON object", expected=expecting, got=text[:200])
        return value

    async def ended(self, within: float = WITHIN) -> Ended:
        """Wait until TCP has ended, or the client has said goodbye on a dead line."""
        try:
            async with asyncio.timeout(within):
                while self.how_ended is None and not (self.dead and self.left is not None):
                    await self._wait()
        except TimeoutError:
            fail(
                f"the client still holds {self.name} {within:g} s later",
                expected="the end of the connection",
                got="it is open",
            )
        return Ended(self.close_code, "", self.how_ended or "end")

    async def answer_pings(self) -> None:
        """Answer the client's application pings until it is gone."""
        while self.left is None and not self.dead:
            while self._unread:
                with contextlib.suppress(ValueError):
                    message = json.loads(self._unread.popleft())
                    if isinstance(message, dict) and message.get("type") == "ping":
                        pong = {"type": "pong", "ts": 0, "requestId": message.get("requestId")}
                        await self.send_json({k: v for k, v in pong.items() if v is not None})
            await self._wait()

    # Its end

    def leave(self) -> None:
        """Note the moment from which this is no live connection any more."""
        if self.left is None:
            self.left = _now()
        self._wake()

    def _end(self, how: str) -> None:
        if self.how_ended is None:
            if self.left is None or self.close_code is not None:
                what = "the connection was reset" if how == "reset" else "the client ended TCP"
                self.exchange.add(self.name, "·", what)
            self.how_ended = how
        self.writer.close()
        self.leave()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _wake(self) -> None:
        self._news.set()
        self.server.wake()


class Hostile:
    """A server that does what `script` says to each connection, one after the other or at once.

    A script that returns leaves its connection open. What fails in a script fails the check.
    """

    def __init__(self, exchange: Exchange, script: Script) -> None:
        self.exchange = exchange
        self.script = script
        self.port = 0
        self.connections: list[Connection] = []
        self.client: Client | None = None  # whose connections are waited for
        self.problem: BaseException | None = None  # what went wrong in a script
        self._listening: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def listen(self) -> Hostile:
        """Open the port: a new one at first, the same again later."""
        again = self.port != 0
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]
        if again:
            self.exchange.add("server", "·", "the port is open again")
        return self

    def shut(self, *, reset: bool = False) -> None:
        """Close the port: who comes now is refused. `reset` ends all connections as well."""
        assert self._listening is not None
        self.exchange.add("server", "·", "the port is closed")
        self._listening.close()
        for connection in self.live if reset else []:
            connection.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self.connections.append(connection)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if await connection.read_request():
                self.wake()
                await self.script(connection)
        except CheckFailure as failure:
            self.problem = self.problem or failure
        except (OSError, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001  a mistake of the script is no quiet server
            self.problem = self.problem or error
        self.wake()

    # The record

    @property
    def live(self) -> list[Connection]:
        """The connections that live at this moment."""
        return [connection for connection in self.connections if connection.left is None]

    @property
    def accepted(self) -> list[Connection]:
        """The connections that were given a 101."""
        return [connection for connection in self.connections if connection.accepted]

    def most_at_once(self) -> int:
        """How many connections lived at one moment, at most. A blink does not count."""
        spans = [(c.arrived + BLINK, c.left or _now()) for c in self.connections]
        moments = [start for start, end in spans if start < end]
        at_once = (sum(start <= moment < end for start, end in spans) for moment in moments)
        return max(at_once, default=min(1, len(spans)))

    def watch(self, client: Client) -> Client:
        """Whose connections are waited for: when it has ended, none will come any more."""
        self.client = client
        client.on_end.append(self.wake)
        return client

    async def connection(self, number: int, within: float = WITHIN) -> Connection:
        """The connection with this number, counted from 1, once its request has come."""

        def there() -> bool:
            return len(self.connections) >= number and bool(self.connections[number - 1].path)

        def over() -> bool:
            return self.client is not None and self.client.code is not None

        if not await self.until(lambda: there() or over(), within) or not there():
            if self.client is not None and over():
                if not self.connections:
                    self.client.need_life()
                fail(
                    "the client has ended",
                    expected=f"connection {number}",
                    got=f"exit code {self.client.code} after {len(self.connections)}",
                )
            fail(
                f"the client does not connect within {within:g} s",
                expected=f"connection {number}",
                got=f"{len(self.connections)} so far",
            )
        return self.connections[number - 1]

    async def until(self, condition: Callable[[], bool], within: float) -> bool:
        """Wait until something holds of the record; whether it came to that in time."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self.raise_problem()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def stays_at(self, number: int, seconds: float) -> bool:
        """Whether no connection beyond this number comes for so long; one that does ends the wait.

        That nothing comes is no event: it can only be seen by waiting for it to come.
        """
        return not await self.until(lambda: len(self.connections) > number, seconds)

    async def holds(self, connection: Connection, seconds: float) -> bool:
        """Whether a connection lives on for so long; its end ends the wait."""
        return not await self.until(lambda: connection.left is not None, seconds)

    def raise_problem(self) -> None:
        """Pass on what went wrong in a script."""
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem

    def wake(self) -> None:
        self._news.set()

    async def stop(self) -> None:
        """End everything."""
        if self._listening is not None:
            self._listening.close()
        for connection in self.connections:
            connection.writer.transport.abort()
        reading = [c._reading for c in self.connections if c._reading is not None]
        tasks = [*self._tasks, *reading]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
