"""Connections on which nothing waits for ever and nothing is read without a bound.

A server may be slow, hostile or endless: each step has a deadline, each read a limit in bytes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from course.frames import Address, Head, accept_for, handshake_request

HEAD_BYTES = 32_768  # of a response's head
BODY_BYTES = 65_536  # of its body; the rest is not read
_STATUS = re.compile(r"HTTP/1\.[01] [1-5]\d\d( |$)")


class Unreadable(Exception):
    """What came is no answer in HTTP; `kind` is "silent", "ended" or "not_http"."""

    def __init__(self, kind: str, shown: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.shown = shown


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to one request: its head, and the beginning of its body."""

    head: Head
    body: bytes = b""

    @property
    def status(self) -> int:
        return self.head.status or 0

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


async def resolve(place: Address, seconds: float) -> list[str]:
    """The addresses of a host, each once. Raises OSError, TimeoutError.

    In a thread of its own that nobody waits for: a resolver may hang for longer than we do.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str], error: OSError | None) -> None:
        if not found.done():
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

    def look() -> None:
        addresses: list[str] = []
        problem: OSError | None = None
        try:
            rows = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(row[4][0]) for row in rows))
        except OSError as error:
            problem = error
        except UnicodeError as error:
            problem = OSError(str(error))
        try:
            loop.call_soon_threadsafe(settle, addresses, problem)
        except RuntimeError:
            pass  # the loop has ended: nobody asks any more

    threading.Thread(target=look, daemon=True).start()
    return await asyncio.wait_for(found, seconds)


class Line:
    """One TCP (or TLS) connection. Leaving the block cuts it, without a word."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, place: Address, trust: ssl.SSLContext | None, seconds: float) -> Line:
        """Connect, with TLS where the address asks for it. Raises OSError, TimeoutError."""
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(
                place.host,
                place.port,
                ssl=trust if place.secure else None,
                server_hostname=place.host if place.secure else None,
                limit=HEAD_BYTES,
            )
        return cls(reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()

    def cut(self) -> None:
        self.writer.transport.abort()

    async def ask(self, request: bytes, seconds: float, *, body: bool = True) -> Answer:
        """Send a request and read the head, and the beginning of the body. Raises Unreadable."""
        head: Head | None = None
        try:
            async with asyncio.timeout(seconds):
                self.writer.write(request)
                await self.writer.drain()
                head = read_head(await self.reader.readuntil(b"\r\n\r\n"))
                if head.status == 101 or not body:
                    return Answer(head)
                return Answer(head, await self._body(head))
        except TimeoutError:
            if head is not None:
                return Answer(head)  # the head came, the body did not: that is answer enough
            raise Unreadable("silent") from None
        except asyncio.IncompleteReadError as error:
            if error.partial and not error.partial.startswith(b"HTTP/"):
                raise Unreadable("not_http", _shown(error.partial)) from error
            raise Unreadable("ended") from error
        except asyncio.LimitOverrunError as error:
            raise Unreadable("not_http", f"> {HEAD_BYTES} bytes") from error
        except OSError as error:
            if head is not None:
                return Answer(head)
            raise Unreadable("ended") from error

    async def _body(self, head: Head) -> bytes:
        """What follows the head, at most BODY_BYTES of it."""
        length = head.get("Content-Length") or ""
        wanted = min(int(length), BODY_BYTES) if length[:9].isdecimal() else BODY_BYTES
        data = bytearray()
        while len(data) < wanted:
            part = await self.reader.read(wanted - len(data))
            if not part:
                break
            data += part
        if "chunked" in (head.get("Transfer-Encoding") or "").lower():
            return unchunk(bytes(data))
        return bytes(data)


def read_head(raw: bytes) -> Head:
    """Raises Unreadable for what is not HTTP/1."""
    first, *lines = raw.decode("latin-1").split("\r\n")
    if not _STATUS.match(first):
        raise Unreadable("not_http", _shown(raw))
    pairs = (line.partition(":") for line in lines if ":" in line)
    return Head(first, tuple((name.strip(), value.strip()) for name, _, value in pairs))


def unchunk(data: bytes) -> bytes:
    """The chunks of a body put together, as far as they came (RFC 9112 §7.1)."""
    whole = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            break
        if length <= 0:
            break
        whole, data = whole + data[:length], data[length + 2 :]
    return whole


def _shown(raw: bytes) -> str:
    return raw[:40].decode("ascii", "backslashreplace")


def upgrade_request(
    url: str, headers: Mapping[str, str | None], key: str | None = None
) -> tuple[bytes, str]:
    """An upgrade request, and the Sec-WebSocket-Accept that answers it."""
    key = key or base64.b64encode(secrets.token_bytes(16)).decode()
    return handshake_request(url, key=key, headers=headers), accept_for(key)


def http_request(
    place: Address, path: str, headers: Mapping[str, str | None], body: bytes | None = None
) -> bytes:
    """A plain request on a connection of its own: GET, or POST if there is a body."""
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: {place.authority}"]
    lines += ["Connection: close", "Accept: */*"]
    if body is not None:
        lines += ["Content-Type: text/plain;charset=UTF-8", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + (body or b"")


def token_expiry(url: str) -> float | None:
    """The `exp` of a JWT in the query, in seconds since 1970; None where there is none.

    Read, not verified: whoever holds the URL may read it as well.
    """
    for _, value in parse_qsl(urlsplit(url).query):
        parts = value.split(".")
        if len(parts) != 3:
            continue
        try:
            claims: Any = json.loads(
                base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
            )
        except (ValueError, RecursionError):
            continue
        exp = claims.get("exp") if isinstance(claims, dict) else None
        if isinstance(exp, int | float) and not isinstance(exp, bool):
            return float(exp)
    return None


def now() -> float:
    return time.monotonic()
