"""The lower hops, one function each: a name, TCP and TLS, and one request in HTTP.

By hand, since a library that says "connection failed" has thrown away what a doctor wants to know.
Nothing here waits without a deadline or reads without a bound: the server may be hostile.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from causes import Sick
from settings import CONNECT_TIMEOUT

HEAD_BYTES = 32_768  # of a response's head
BODY_BYTES = 2_048  # of its body: enough for an error message

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Place:
    """Where a URL leads. `target` is its path and query; the query may hold a secret."""

    secure: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def is_engine(self) -> bool:
        """Whether Socket.IO lives there, whose Engine.IO has a handshake of its own."""
        return "/socket.io/" in self.target


def place_of(url: str) -> Place:
    """Raises ValueError for what is no address of a WebSocket."""
    parts = urlsplit(url)
    if (
        parts.scheme not in ("ws", "wss", "http", "https")
        or not parts.hostname
        or not url.isascii()
    ):
        raise ValueError(url)
    secure = parts.scheme in ("wss", "https")
    query = f"?{parts.query}" if parts.query else ""
    port = parts.port or (443 if secure else 80)
    return Place(secure, parts.hostname, port, (parts.path or "/") + query)


async def resolve(place: Place) -> str:
    """DNS: the addresses behind the name."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            rows = await asyncio.get_running_loop().getaddrinfo(
                place.host, place.port, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError, UnicodeError) as error:
        raise Sick(
            "unreachable", f"{place.host}: {error or 'no answer from the resolver'}"
        ) from None
    return ", ".join(dict.fromkeys(str(row[4][0]) for row in rows))


async def connect(place: Place) -> Line:
    """TCP, and TLS where the URL asks for it."""
    trust = ssl.create_default_context() if place.secure else None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await asyncio.open_connection(
                place.host, place.port, ssl=trust, limit=HEAD_BYTES
            )
    except ssl.SSLCertVerificationError as error:
        raise Sick("bad-certificate", error.verify_message) from None
    except ssl.SSLError as error:
        raise Sick("no-tls", f"{error.reason or error}") from None
    except (OSError, TimeoutError) as error:
        raise Sick("unreachable", f"{place.authority}: {error or 'no answer'}") from None


async def ask(line: Line, place: Place, target: str, headers: dict[str, str]) -> tuple[str, str]:
    """One GET: the head of the answer, and the beginning of its body if it is no 101."""
    reader, writer = line
    lines = [f"GET {target} HTTP/1.1", f"Host: {place.authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            writer.write("\r\n".join([*lines, "", ""]).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if not head.startswith("HTTP/1."):
                raise Sick("no-answer", f"no HTTP: {head[:40]!r}")
            upgraded = head.split(" ")[1] == "101"
            return head, "" if upgraded else (await reader.read(BODY_BYTES)).decode("latin-1")
    except TimeoutError:
        raise Sick("no-answer", f"nothing for {CONNECT_TIMEOUT:g} s") from None
    except (OSError, asyncio.IncompleteReadError):
        raise Sick("no-answer", "the connection ended before an answer") from None
    except asyncio.LimitOverrunError:
        raise Sick("no-answer", f"a head of more than {HEAD_BYTES} bytes") from None
