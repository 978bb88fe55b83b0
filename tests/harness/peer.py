"""Peers: clients made of bytes, so that they can also do what no library would let them do.

A `Peer` sends frames by hand and reads what comes back; all of it goes into the check's exchange.
Whatever it waits for has a deadline and a name: "nothing came in 5 s; expected the echo".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import socket
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from course import frames
from tests.harness.exchange import Exchange
from tests.harness.verdict import fail, require

PAUSE = 0.02  # seconds between two pieces of what is sent in pieces
WITHIN = 5.0  # seconds to wait for what should come at once
CLOSING_SECONDS = 1.0  # for a connection to end by itself
LAST_BYTES = 1 << 20  # an HTTP answer longer than this is cut
RFC_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the sample of RFC 6455 §1.3
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
MASK = bytes.fromhex("37fa213d")  # any four bytes will do; these are the RFC's


@dataclass(frozen=True)
class Response:
    """The answer to an HTTP request."""

    status: int
    reason: str
    headers: dict[str, str]  # names in lower case
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


@dataclass(frozen=True)
class Message:
    """A whole message: its fragments joined."""

    opcode: int
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode()

    def __str__(self) -> str:
        return f"{frames.OPCODES[self.opcode]} of {len(self.data)} bytes"


@dataclass(frozen=True)
class Ended:
    """How a connection ended: with which close frame, if any, and how TCP did."""

    code: int | None  # None: no close frame came
    reason: str
    how: str  # "end" (FIN) or "reset" (RST)

    def __str__(self) -> str:
        if self.code is None:
            return f"the {self.how} of the connection without a close frame"
        return f"close {self.code} ({frames.close_meaning(self.code)})"


class Door(Protocol):
    """What a server wants to see before it lets somebody in: see `door.py`."""

    async def let_in(
        self, host: str, port: int, path: str, headers: dict[str, str] | None
    ) -> tuple[str, dict[str, str]]: ...

    async def auth(self, host: str, port: int) -> str: ...


class Peer:
    """One client, on its own TCP connection."""

    door: Door | None = None  # of the server under check, where there is one

    def __init__(self, exchange: Exchange, name: str = "") -> None:
        self.exchange = exchange
        self.name = name or exchange.next_name()
        # The first mask is the RFC's, the others differ from it and are the same in each run.
        self.masks = _masks(self.name)
        self.parser = frames.FrameReader(masked=False)
        self.waiting: deque[frames.Frame] = deque()  # read, and not yet asked for
        self.answers = True  # pings and close frames, as a library would; False: it stays mute
        self.sent_close = False
        self.pings: list[float] = []  # when control pings came, in the loop's time
        self.how_ended: str | None = None
        self.most = LAST_BYTES  # of one HTTP answer

    async def dial(self, host: str, port: int, *, receive_buffer: int | None = None) -> None:
        """Open TCP. A small `receive_buffer`, in bytes, is soon full if nobody reads."""
        try:
            async with asyncio.timeout(WITHIN):
                how: dict[str, Any] = {"host": host, "port": port}
                if receive_buffer is not None:
                    how = {"sock": await _connected(host, port, receive_buffer)}
                self.reader, self.writer = await asyncio.open_connection(**how)
        except (OSError, TimeoutError) as error:
            fail(f"the server accepts no connection ({error or 'time ran out'})")
        self.exchange.closers.append(self.close)

    # HTTP

    async def request(
        self,
        path: str = "/ws",
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        leave_out: tuple[str, ...] = (),
        upgrade: bool = True,
        body: bytes = b"",
        pieces: int = 1,
        within: float = WITHIN,
    ) -> Response:
        """Send one HTTP request, by default a correct upgrade, and read its answer.

        `headers` adds to or replaces the usual ones; those named in `leave_out` are not sent.
        """
        host, port = self.writer.get_extra_info("peername")[:2]
        fields = {"Host": f"{host}:{port}"}
        if self.door is not None:
            path, more = await self.door.let_in(host, port, path, headers)
            fields |= more
        if upgrade:
            fields |= {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Key": RFC_KEY,
                "Sec-WebSocket-Version": "13",
            }
        fields |= headers or {}
        lines = [f"{name}: {value}" for name, value in fields.items() if name not in leave_out]
        raw = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body
        self.exchange.add(self.name, "→", f"{method} {path} HTTP/1.1", raw)
        size = -(-len(raw) // pieces)
        for start in range(0, len(raw), size):
            await self._write(raw[start : start + size])
            await asyncio.sleep(PAUSE if pieces > 1 else 0)  # so that they travel one by one
        return await self._response(path, within)

    async def _response(self, path: str, within: float) -> Response:
        try:
            async with asyncio.timeout(within):
                head = await self.reader.readuntil(b"\r\n\r\n")
                status_line, *lines = head.decode("latin-1").split("\r\n")
                version, _, rest = status_line.partition(" ")
                number, _, reason = rest.partition(" ")
                require(
                    version.startswith("HTTP/1.1") and number.isdigit(),
                    "the answer is not HTTP/1.1",
                    got=status_line[:80],
                )
                pairs = (line.partition(":") for line in lines if line)
                fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
                body = b""
                if int(number) != 101:
                    body = await self._body(fields)
        except TimeoutError:
            fail(f"no answer to the request for {path} came in {within:.0f} s")
        except (asyncio.IncompleteReadError, ConnectionError):
            fail(f"the server hung up without an answer to the request for {path}")
        except asyncio.LimitOverrunError:
            fail("the head of the answer is longer than 64 KiB")
        self.exchange.add(self.name, "←", status_line)
        return Response(int(number), reason, fields, body)

    async def _body(self, fields: dict[str, str]) -> bytes:
        length = fields.get("content-length", "")
        if length.isdigit():
            return await self.reader.readexactly(min(int(length), self.most))
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return await self._chunks()
        return await self.reader.read(LAST_BYTES)

    async def _chunks(self) -> bytes:
        body = b""
        while line := await self.reader.readline():
            digits = line.split(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", digits):
                fail("the size of a chunk is no number", got=digits[:20])
            if int(digits, 16) == 0:
                break
            body += await self.reader.readexactly(min(int(digits, 16), LAST_BYTES))
            await self.reader.readline()
        return body

    # Sending

    async def send(
        self,
        opcode: int,
        payload: bytes = b"",
        *,
        fin: bool = True,
        rsv: int = 0,
        masked: bool = True,
        length: int | None = None,
    ) -> None:
        """Send one frame, right or wrong: `rsv` sets reserved bits, `length` may lie."""
        self.sent_close = self.sent_close or opcode == CLOSE
        mask = next(self.masks) if masked else None
        raw = frames.build(opcode, payload, fin=fin, rsv=rsv, mask=mask, length=length)
        await self.send_raw(raw, _described(opcode, payload, fin, rsv, masked, length))

    async def send_raw(self, raw: bytes, text: str, within: float = WITHIN) -> None:
        """Send bytes as they are; `text` says what. The server takes them `within` seconds."""
        self.exchange.add(self.name, "→", text, raw)
        await self._write(raw, within)

    async def send_bytewise(self, opcode: int, payload: bytes) -> None:
        """Send one frame byte by byte, each in a packet of its own."""
        raw = frames.build(opcode, payload, mask=next(self.masks))
        self.exchange.add(self.name, "→", f"{frames.OPCODES[opcode]}, byte by byte", raw)
        for byte in raw:
            await self._write(bytes([byte]))
            await asyncio.sleep(PAUSE)

    async def send_text(self, text: str) -> None:
        await self.send(TEXT, text.encode())

    async def send_json(self, value: object) -> None:
        await self.send_text(json.dumps(value, ensure_ascii=False))

    async def _write(self, raw: bytes, within: float = WITHIN) -> None:
        try:
            async with asyncio.timeout(within):
                self.writer.write(raw)
                await self.writer.drain()
        except TimeoutError:
            fail(f"the server took no bytes for {within:g} s")
        except ConnectionError:
            # What the server said before it hung up may still be waiting to be read: look there.
            self.exchange.add(self.name, "·", "the connection was gone before all was sent")

    # Receiving

    async def next_frame(self) -> frames.Frame | None:
        """The next frame of any kind, or None at the end. It has no deadline of its own."""
        while not self.waiting:
            if self.how_ended is not None:
                return None
            try:
                data = await self.reader.read(65536)
            except ConnectionError:
                self._end("reset")
                return None
            if not data:
                self._end("end")
                return None
            for frame in self.parser.feed(data):
                self.exchange.add(self.name, "←", frames.describe(frame))
                if not isinstance(frame, frames.Frame):
                    reason = getattr(frame, "reason", "bytes that are no frame")
                    fail(f"the server sent a broken frame: {reason}")
                if frame.mask_wrong:
                    fail("the server masked a frame; only clients do (RFC 6455 §5.1)")
                self.waiting.append(frame)
        frame = self.waiting.popleft()
        if frame.opcode == PING:
            self.pings.append(asyncio.get_running_loop().time())
            if self.answers and not self.sent_close:  # after a close frame comes nothing more
                await self.send(PONG, frame.payload)
        return frame

    def _end(self, how: str) -> None:
        self.how_ended = how
        what = "the server ended the connection" if how == "end" else "the connection was reset"
        self.exchange.add(self.name, "·", what)

    async def frame(self, expecting: str, within: float = WITHIN) -> frames.Frame:
        """The next frame that is no control ping. Fails when none comes."""
        while self.waiting:  # what has come needs no deadline, and a flood no thousand of them
            frame = await self.next_frame()
            if frame is not None and frame.opcode != PING:
                return frame
        try:
            async with asyncio.timeout(within):
                while (frame := await self.next_frame()) is not None:
                    if frame.opcode != PING:
                        return frame
        except TimeoutError:
            fail("what has to come does not come in time", expected=expecting, got="nothing")
        fail(
            "the server ended the connection",
            expected=expecting,
            got=str(Ended(None, "", self.how_ended or "end")),
        )

    async def message(self, expecting: str, within: float = WITHIN) -> Message:
        """The next whole message. Control frames are passed over; a close frame fails."""
        opcode, data = 0, b""
        until = asyncio.get_running_loop().time() + within
        while True:
            left = until - asyncio.get_running_loop().time()
            frame = await self.frame(expecting, max(left, 0.0))
            if frame.opcode == CLOSE:
                got = str(_ended(frame, "end"))
                fail("the server closed the connection", expected=expecting, got=got)
            if frame.opcode == PONG:
                continue
            if (frame.opcode == 0) != (opcode != 0):
                fail("the server's fragments do not make a message (RFC 6455 §5.4)")
            opcode, data = opcode or frame.opcode, data + frame.payload
            require(len(data) <= LAST_BYTES, "the server's message does not end", got=len(data))
            if frame.fin:
                return Message(opcode, data)

    async def json(self, expecting: str, within: float = WITHIN) -> dict[str, Any]:
        """The next message as a JSON object in a text frame."""
        message = await self.message(expecting, within)
        require(
            message.opcode == TEXT,
            "the message is not in a text frame",
            expected=expecting,
            got=message,
        )
        try:
            value = STRICT.decode(message.text)
        except (ValueError, RecursionError) as error:  # nested deeper than our parser bears
            fail(f"the message is not JSON ({error})", expected=expecting, got=message.data[:200])
        require(isinstance(value, dict), "the message is not a JSON object", expected=expecting)
        return dict(value)

    async def welcome(self, within: float = WITHIN) -> dict[str, Any]:
        """The first message of every server of this course."""
        welcome = await self.json('the welcome: {"type":"welcome","ts":…}', within)
        require(
            welcome.get("type") == "welcome",
            "the first message is not the welcome",
            expected="type welcome",
            got=json.dumps(welcome, ensure_ascii=False)[:200],
        )
        return welcome

    async def ended(
        self, expecting: str, within: float = WITHIN, *, leaving: bool = False
    ) -> Ended:
        """Wait for the end of the connection; frames that come before it are passed over.

        leaving  after the closing handshake we end our side of TCP as well. A library that has
                 stopped reading after a broken frame sees this at once, and need not wait.
        """
        code, reason = None, ""
        try:
            async with asyncio.timeout(within):
                while (frame := await self.next_frame()) is not None:
                    if frame.opcode == CLOSE and code is None:
                        closed = _ended(frame, "end")
                        code, reason = closed.code, closed.reason
                        if self.answers and not self.sent_close:
                            await self.send(CLOSE, frame.payload[:2])
                        if leaving:
                            with contextlib.suppress(OSError):  # the server was quicker
                                self.writer.write_eof()
        except TimeoutError:
            got = "the connection is still open"
            if code is not None:
                got = f"close {code}, and then TCP stays open"
            fail(f"the connection did not end in {within:g} s", expected=expecting, got=got)
        return Ended(code, reason, self.how_ended or "end")

    # Leaving

    async def close(self) -> None:
        """Let go of the connection, whatever its state. It may be called again."""
        self.writer.close()
        # A task, since to cancel wait_closed() is to cancel it for whoever waits next.
        closed = asyncio.ensure_future(self.writer.wait_closed())
        await asyncio.wait({closed}, timeout=CLOSING_SECONDS)
        if not closed.done():
            self.writer.transport.abort()
            await asyncio.wait({closed})
        error = closed.exception()
        if error and not isinstance(error, ConnectionError):
            raise error

    def reset(self) -> None:
        """End with a TCP reset, as a crashed machine does when it is back."""
        raw = self.writer.get_extra_info("socket")
        if raw.fileno() != -1:  # else the server has just reset it itself
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.exchange.add(self.name, "·", "the client resets the connection")
        self.writer.transport.abort()


async def _connected(host: str, port: int, receive_buffer: int) -> socket.socket:
    """A TCP connection whose buffer is set before it is made: the window comes from it."""
    raw = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (host, port))
    except BaseException:
        raw.close()
        raise
    return raw


def _masks(seed: str) -> Iterator[bytes]:
    yield MASK
    numbers = random.Random(seed)
    while True:
        yield numbers.randbytes(4)


def random_key(seed: int) -> str:
    """A key that no server can have learnt by heart, the same for the same seed."""
    import base64

    return base64.b64encode(random.Random(seed).randbytes(16)).decode()


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


STRICT = json.JSONDecoder(parse_constant=_refuse)  # NaN is not JSON, whatever Python says


def _ended(frame: frames.Frame, how: str) -> Ended:
    """What a close frame says; 1005 stands for a close frame without a code (RFC 6455 §7.1.5)."""
    if not frame.payload:
        return Ended(1005, "", how)
    code = int.from_bytes(frame.payload[:2])
    return Ended(code, frame.payload[2:].decode(errors="replace"), how)


def _described(
    opcode: int, payload: bytes, fin: bool, rsv: int, masked: bool, length: int | None
) -> str:
    """A frame that we send, in a line; what is wrong with it on purpose is named."""
    frame = frames.Frame(opcode, payload, fin, rsv, masked, b"", len(payload))
    claim = "" if length is None else f" (claims {length} bytes)"
    text = frames.describe(frame).replace(" masked", "", 1)  # as a client's frames are
    return text + ("" if masked else " (not masked)") + claim
