"""An open WebSocket: what comes, how long an answer takes, and how it ends.

What is read is bounded: after TALK_BYTES a server is said to send without end, and nobody listens
on.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from course.doctor.net import Line, now
from course.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    BadFrame,
    Frame,
    FrameReader,
    build,
    close_payload,
)

TALK_BYTES = 2_097_152  # read in one conversation, in all
MESSAGE_BYTES = 65_536  # kept of one message
READ_BYTES = 65_536
KEPT = 1_000  # messages; the first ones are enough to judge
FRAMES = 5_000  # in one conversation; more is a flood, however small they are
PONGS = 100  # that are sent


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the server, its fragments joined; at most MESSAGE_BYTES of it."""

    opcode: int
    data: bytes
    at: float

    @property
    def text(self) -> str | None:
        """Its text, even if it came as binary; None where it is not UTF-8."""
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            return None


class Talk:
    """A conversation after the 101. Pings are answered, as a browser does.

    ended     how: "close" (with a code), "cut" without a close frame, "flood", "bad" frame; or None
    pings     when the server pinged
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.began = now()
        self.messages: list[Message] = []
        self.pings: list[float] = []
        self.pongs: dict[bytes, float] = {}
        self.ended: str | None = None
        self.ended_at = 0.0
        self.code: int | None = None
        self.reason = ""
        self.bad = ""
        self.last = self.began  # when anything came or went
        self._read = 0
        self._count = 0
        self._frames = FrameReader(masked=False, keep=MESSAGE_BYTES, limit=TALK_BYTES)
        self._parts: tuple[int, bytearray] | None = None

    async def send(self, opcode: int, payload: bytes) -> None:
        """One masked frame. A server that takes nothing is not waited for: see `until`."""
        if self.ended is None:
            self.line.writer.write(build(opcode, payload, mask=secrets.token_bytes(4)))
            self.last = now()

    async def say(self, text: str) -> None:
        await self.send(TEXT, text.encode())

    async def until(self, happened: Callable[[], bool], seconds: float) -> bool:
        """Read until `happened`, the end, or the deadline; whether it happened."""
        deadline = now() + seconds
        while not happened() and self.ended is None:
            left = deadline - now()
            if left <= 0:
                return False
            try:
                data = await asyncio.wait_for(self.line.reader.read(READ_BYTES), left)
            except TimeoutError:
                return happened()
            except OSError:
                data = b""
            self._take(data)
        return happened()

    async def ping(self, seconds: float) -> float | None:
        """Seconds until the pong; None if none came."""
        payload, sent = secrets.token_hex(4).encode(), now()
        await self.send(PING, payload)
        if not await self.until(lambda: payload in self.pongs, seconds):
            return None
        return self.pongs[payload] - sent

    async def close(self, seconds: float) -> tuple[int | None, float | None]:
        """Close with 1000; the code of the answer, and seconds until the server ended TCP."""
        await self.send(CLOSE, close_payload(1000))
        await self.until(lambda: False, seconds)  # ends with the answer
        if self.ended != "close":
            return None, None
        began = now()
        try:
            async with asyncio.timeout(seconds):
                while await self.line.reader.read(READ_BYTES):
                    self._read += READ_BYTES
                    if self._read > TALK_BYTES:
                        return self.code, None
        except TimeoutError:
            return self.code, None
        except OSError:
            pass
        return self.code, now() - began

    def _take(self, data: bytes) -> None:
        if not data:
            self._end("cut")
            return
        self.last = now()
        self._read += len(data)
        for item in self._frames.feed(data):
            self._count += 1
            if isinstance(item, Frame):
                self._frame(item)
            elif isinstance(item, BadFrame):
                self.bad = item.reason
                self._end("bad")
        if self.ended is None and (self._read > TALK_BYTES or self._count > FRAMES):
            self._end("flood")

    def _frame(self, frame: Frame) -> None:
        if self.ended is not None:
            return
        if frame.mask_wrong:
            self.bad = "a server must not mask"
            self._end("bad")
        elif frame.opcode == PING:
            if len(self.pings) < PONGS:
                self.pings.append(now())
                pong = build(PONG, frame.payload[:125], mask=secrets.token_bytes(4))
                self.line.writer.write(pong)
        elif frame.opcode == PONG:
            if len(self.pongs) < KEPT:
                self.pongs[frame.payload] = now()
        elif frame.opcode == CLOSE:
            self.code = frame.close_code
            self.reason = frame.payload[2:].decode("utf-8", "replace")
            self._end("close")
        else:
            self._part(frame)

    def _part(self, frame: Frame) -> None:
        if frame.opcode in (TEXT, BINARY):
            self._parts = (frame.opcode, bytearray())
        if self._parts is None:
            self.bad = "a continuation of nothing"
            self._end("bad")
            return
        opcode, whole = self._parts
        whole += frame.payload[: MESSAGE_BYTES - len(whole)]
        if frame.fin:
            self._parts = None
            if len(self.messages) < KEPT:
                self.messages.append(Message(opcode, bytes(whole), now()))

    def _end(self, how: str) -> None:
        self.ended, self.ended_at = how, now()
