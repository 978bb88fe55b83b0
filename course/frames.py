"""Frames as bytes: build any, good or bad; read a stream of them; say in one line what one is.

The shape of a frame is RFC 6455 §5.2, of a compressed one RFC 7692 §7. Reading stands on the parser
of the websockets library (its Sans-I/O `Frame.parse` and `StreamReader`). Writing is done by hand,
because a library refuses to write what a check must send.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import re
import struct
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from websockets import frames as ws
from websockets.exceptions import InvalidHeader, PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.headers import parse_extension
from websockets.streams import StreamReader

try:
    from websockets.speedups import apply_mask
except ImportError:  # no wheel for this machine: the same, slower
    from websockets.utils import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

OPCODES: dict[int, str] = {
    CONTINUATION: "continuation",
    TEXT: "text",
    BINARY: "binary",
    CLOSE: "close",
    PING: "ping",
    PONG: "pong",
}
"""The opcodes of RFC 6455 §5.2; all others are reserved."""

CLOSE_CODES: dict[int, str] = {
    1000: "done",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no code given",
    1006: "lost, no close frame",
    1007: "not UTF-8",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension missing",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1015: "TLS failed",
    4008: "slow consumer",
    4400: "protocol error",
    4401: "unauthorized",
    4403: "forbidden",
    4408: "authentication timed out",
    4409: "replaced by a newer connection",
    4410: "credentials expired",
    4429: "too many requests",
}
"""RFC 6455 §7.4.1 and the course's own 4xxx. 1005, 1006 and 1015 never travel in a frame."""

RSV1 = 0b100
"""The reserved bit that marks a compressed message (RFC 7692 §6), as counted in `Frame.rsv`."""

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_SHOWN = 80  # characters of a payload in a description


# Writing


def build(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
    length: int | None = None,
) -> bytes:
    """One frame as bytes, valid or not (RFC 6455 §5.2).

    opcode  0 to 15, defined or reserved
    rsv     the three reserved bits as a number 0 to 7; RSV1 is 4
    mask    four bytes: masked with them, as a client must; None: unmasked, as a server must
    length  the payload length to announce, 0 to 2⁶⁴-1; None is the true one. It is written in the
            shortest of the 7, 16 and 64 bit forms

    Raises ValueError for what has no place in a frame at all.
    """
    if not 0 <= opcode <= 15 or not 0 <= rsv <= 7:
        raise ValueError("an opcode is 0 to 15 and the reserved bits are 0 to 7")
    if mask is not None and len(mask) != 4:
        raise ValueError("a masking key is four bytes")
    announced = len(payload) if length is None else length
    masked = 0 if mask is None else 0x80
    head = fin << 7 | rsv << 4 | opcode
    if announced < 126:
        header = struct.pack("!BB", head, masked | announced)
    elif announced < 1 << 16:
        header = struct.pack("!BBH", head, masked | 126, announced)
    elif announced < 1 << 64:
        header = struct.pack("!BBQ", head, masked | 127, announced)
    else:
        raise ValueError("a length has at most 64 bits")
    return header + payload if mask is None else header + mask + apply_mask(payload, mask)


def close_payload(code: int, reason: str = "") -> bytes:
    """What a close frame carries: two bytes of code, then the reason in UTF-8 (RFC 6455 §5.5.1)."""
    return struct.pack("!H", code) + reason.encode()


# The handshake


@dataclass(frozen=True, slots=True)
class Address:
    """Where a URL leads: host, port, whether through TLS, and the path with its query."""

    host: str
    port: int
    secure: bool
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host header: an IPv6 host in brackets, a default port left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def address(url: str) -> Address:
    """Take a ws, wss, http or https URL apart. Raises ValueError with a sentence."""
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not a WebSocket URL such as ws://127.0.0.1:8080/ws")
    secure = parts.scheme in ("wss", "https")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError(f"the path of {url!r} must be percent-encoded")
    default = 443 if secure else 80
    return Address(parts.hostname, default if port is None else port, secure, path)


def handshake_request(
    url: str,
    *,
    key: str,
    headers: Mapping[str, str | None] | None = None,
    method: str = "GET",
) -> bytes:
    """The upgrade request of RFC 6455 §4.1 as bytes.

    `headers` are added; one of the same name replaces a standard one in its place, and None leaves
    it out, so that a request can be wrong on purpose. Raises ValueError for a URL that is none.
    """
    place = address(url)
    standard: dict[str, str | None] = {
        "Host": place.authority,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }
    names = {name.lower(): name for name in standard}
    for name, value in (headers or {}).items():
        standard[names.get(name.lower(), name)] = value
    lines = [f"{method} {place.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in standard.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def accept_for(key: str) -> str:
    """The Sec-WebSocket-Accept that answers this Sec-WebSocket-Key (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


# What a stream holds


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it was on the wire.

    payload     unmasked, still compressed if it was; at most the first `keep` bytes of its reader
    rsv         the reserved bits, 0 to 7
    header      the raw bytes before the payload, masking key included
    length      bytes of the whole payload
    mask_wrong  masked where it must not be, or the other way round (RFC 6455 §5.1)
    compressed  part of a compressed message (RFC 7692)
    inflated    what it held before compression, at most the first `keep` bytes; None if it was not
                compressed, or cannot be inflated
    inflated_length  bytes of all that
    problem     why no peer may send this frame, in a few words; only from a lenient reader
    """

    opcode: int
    payload: bytes
    fin: bool
    rsv: int
    masked: bool
    header: bytes
    length: int
    mask_wrong: bool = False
    compressed: bool = False
    inflated: bytes | None = None
    inflated_length: int = 0
    problem: str = ""

    @property
    def size(self) -> int:
        """Bytes on the wire, header and payload."""
        return len(self.header) + self.length

    @property
    def data(self) -> bytes:
        """What an application would be given of this frame."""
        return self.payload if self.inflated is None else self.inflated

    @property
    def control(self) -> bool:
        """Whether it is a control frame: close, ping, pong (RFC 6455 §5.5)."""
        return self.opcode >= CLOSE

    @property
    def close_code(self) -> int | None:
        """The code of a close frame, 1005 if it carries none; None for half a code, or no close."""
        if self.opcode != CLOSE:
            return None
        if not self.payload:
            return 1005
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) > 1 else None


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A frame that no peer may send, or the first part of one. What follows is not read as frames.

    reason  a few words
    raw     its bytes, at most about the first `keep` of its reader
    size    how many bytes on the wire it is, as far as it came
    """

    reason: str
    raw: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Opaque:
    """Bytes that are not read any further; `what` says why."""

    data: bytes
    what: str

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an HTTP request or response: its first line, and its headers in their order."""

    line: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """A header's value, those of one name joined by commas (RFC 9110 §5.3); None if absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def status(self) -> int | None:
        """The status code of a response; None for a request."""
        return int(self.line[9:12]) if self.line.startswith("HTTP/") else None

    @property
    def upgrades(self) -> bool:
        """Whether it asks for WebSocket, or grants it with a 101 (RFC 6455 §4)."""
        websocket = "websocket" in (self.get("Upgrade") or "").lower()
        return websocket and self.status in (None, 101)


Item: TypeAlias = Frame | BadFrame | Opaque | Head


class _Witness(Extension):
    """Sees what the library's parser has read, in place of the extensions that were agreed on.

    It inflates what was compressed, and hands back an empty frame, so that the library's own
    judgement, which would end the reading, has nothing to judge.
    """

    def __init__(self, inflate: PerMessageDeflate | None) -> None:
        self.inflate = inflate
        self.lost = False  # the inflater has missed something: it cannot make sense of the rest
        self.payload = b""
        self.compressed = False
        self.inflated: bytes | None = None

    def decode(self, frame: ws.Frame, *, max_size: int | None = None) -> ws.Frame:
        self.payload, self.compressed, self.inflated = bytes(frame.data), False, None
        if self.inflate is not None and frame.opcode not in ws.CTRL_OPCODES:
            continued = frame.opcode is ws.CONT and self.inflate.decode_cont_data
            self.compressed = frame.rsv1 or continued
            if self.compressed and not self.lost:
                try:
                    self.inflated = bytes(self.inflate.decode(frame, max_size=max_size).data)
                except (ProtocolError, PayloadTooBig):
                    self.lost = True
        return ws.Frame(ws.BINARY, b"")


class FrameReader:
    """Reads the frames of one direction from bytes, however they are cut up. It never raises.

    masked   what the direction asks for: True where a client sends, False where a server sends,
             None for either. A frame that is otherwise is read all the same, and says `mask_wrong`
    lenient  False: a reserved opcode or bit, or a control frame that is too long or in fragments,
             is a BadFrame, and all that follows is Opaque. True: it is a Frame with a `problem`,
             and the reading goes on
    inflate  the compression that the handshake agreed on; may be set later, once that is known
    limit    the longest payload, in bytes, that is read as a whole. Of a longer one the beginning
             is kept, and it is not inflated
    keep     how many bytes of a payload an item holds (default: `limit`)

    The rules between frames (a continuation needs a beginning) are not looked at.
    """

    def __init__(
        self,
        *,
        masked: bool | None = None,
        lenient: bool = False,
        inflate: PerMessageDeflate | None = None,
        limit: int = 1 << 20,
        keep: int | None = None,
    ) -> None:
        self._masked = masked
        self._lenient = lenient
        self._limit = limit
        self._keep = limit if keep is None else min(keep, limit)
        self._witness = _Witness(inflate)
        self._stream = StreamReader()
        self._raw = bytearray()  # how the frame that is being read begins
        self._read = 0  # how many bytes of it have been taken from the stream
        self._parser: Generator[Item | None, None, None] = self._frames()

    @property
    def inflate(self) -> PerMessageDeflate | None:
        """The compression that the handshake agreed on."""
        return self._witness.inflate

    @inflate.setter
    def inflate(self, inflate: PerMessageDeflate | None) -> None:
        self._witness.inflate = inflate

    def feed(self, data: bytes) -> list[Item]:
        """The items that `data` completes."""
        return [item for item, _ in self.split(data)]

    def split(self, data: bytes) -> list[tuple[Item, int]]:
        """The items that `data` completes, each with where in `data` it ends, in bytes."""
        self._stream.feed_data(data)
        return [(item, len(data) - len(self._stream.buffer)) for item in self._items()]

    def eof(self) -> list[Item]:
        """What the end of the stream completes: nothing, or the first part of something."""
        if not self._stream.eof:
            self._stream.feed_eof()
        return list(self._items())

    def _items(self) -> Iterator[Item]:
        for item in self._parser:
            if item is None:  # the parser waits for more bytes
                return
            yield item

    # From here on: generators that yield None when they need more bytes, and else an item.

    def _wait(self) -> Generator[None, None, None]:
        """Wait until there is a byte, or the end."""
        while not self._stream.buffer and not self._stream.eof:
            yield

    def _exact(self, size: int) -> Generator[None, None, bytes]:
        """Take exactly `size` bytes. Raises EOFError."""
        data = bytes((yield from self._stream.read_exact(size)))
        self._read += size
        room = self._keep + 14 - len(self._raw)  # a header has at most 14 bytes
        self._raw += data[: max(0, room)]
        return data

    def _skip(self, size: int) -> Generator[None, None, None]:
        """Take `size` bytes, however many, and forget them. Raises EOFError."""
        while size:
            yield from self._wait()
            if not self._stream.buffer:
                raise EOFError
            part = min(size, len(self._stream.buffer))
            yield from self._stream.read_exact(part)
            self._read += part
            size -= part

    def _opaque(self, what: str, first: bytes = b"") -> Generator[Item | None, None, None]:
        """All the rest, as it comes, behind `first`."""
        while True:
            if not first:
                yield from self._wait()
            data = first + bytes(self._stream.buffer)
            self._stream.discard()
            if not data:
                return
            yield Opaque(data, what)
            first = b""

    def _frames(self) -> Generator[Item | None, None, None]:
        while True:
            yield from self._wait()
            if not self._stream.buffer:
                return
            self._raw.clear()
            self._read = 0
            try:
                frame = yield from self._frame()
            except EOFError:
                raw, size = bytes(self._raw + self._stream.buffer), len(self._stream.buffer)
                self._stream.discard()
                yield BadFrame("the stream ends inside it", raw[: self._keep], self._read + size)
                return
            if frame.problem and not self._lenient:
                yield BadFrame(frame.problem, bytes(self._raw), frame.size)
                break
            yield frame
        yield from self._opaque("after a bad frame")

    def _frame(self) -> Generator[None, None, Frame]:
        """One frame, whatever it says. Raises EOFError."""
        first, second = yield from self._exact(2)
        opcode, masked = first & 0x0F, bool(second & 0x80)
        # The library refuses a reserved opcode before it knows the length: show it another one.
        known = first if opcode in OPCODES else first & 0xF0 | BINARY
        pushed_back = [bytes([known, second])]

        def read_exact(size: int) -> Generator[None, None, bytes]:
            return pushed_back.pop() if pushed_back else (yield from self._exact(size))

        witness = self._witness
        try:
            yield from ws.Frame.parse(
                read_exact, mask=masked, max_size=self._limit, extensions=[witness]
            )
            payload, length = witness.payload, len(witness.payload)
            header = bytes(self._raw[: self._read - length])
        except PayloadTooBig:  # raised once the length is known, before the masking key is read
            length = int.from_bytes(self._raw[2:], "big") or second & 0x7F
            mask = (yield from self._exact(4)) if masked else bytes(4)
            header = bytes(self._raw)
            payload = apply_mask((yield from self._exact(self._keep)), mask)
            yield from self._skip(length - self._keep)
            witness.compressed = self.inflate is not None and bool(first & 0x40)
            witness.inflated = None
            witness.lost = witness.lost or witness.compressed
        rsv = first >> 4 & 0b111
        inflated = witness.inflated
        return Frame(
            opcode=opcode,
            payload=payload[: self._keep],
            fin=bool(first & 0x80),
            rsv=rsv,
            masked=masked,
            header=header,
            length=length,
            mask_wrong=self._masked not in (None, masked),
            compressed=witness.compressed,
            inflated=None if inflated is None else inflated[: self._keep],
            inflated_length=0 if inflated is None else len(inflated),
            problem=_problem(first, length, witness.compressed),
        )


def _problem(first: int, length: int, compressed: bool) -> str:
    """Why no peer may send a frame of this first byte and length (RFC 6455 §5.2, §5.5)."""
    opcode = first & 0x0F
    bits = first & (0x30 if compressed and opcode != CONTINUATION else 0x70)
    if opcode not in OPCODES:
        return "reserved opcode"
    if bits:
        return "reserved bits must be 0"
    if opcode >= CLOSE and length > 125:
        return "a control frame has at most 125 bytes"
    if opcode >= CLOSE and not first & 0x80:
        return "a control frame cannot be fragmented"
    return ""


_REQUEST = re.compile(rb"[A-Z]+ \S+ HTTP/1\.[01]\r?\n")
_RESPONSE = re.compile(rb"HTTP/1\.[01] \d{3}\b.*\r?\n")
_LINE, _LINES = 8192, 128  # bytes of a line and lines of a head that are read, as in websockets


def agreed_deflate(head: Head) -> tuple[PerMessageDeflate | None, PerMessageDeflate | None]:
    """Inflaters for what the client sends and for what the server sends, as a 101 agreed on.

    Both are None if it did not agree on permessage-deflate, or not in a way that RFC 7692 §7.1 has.
    """
    try:
        extensions = dict(parse_extension(head.get("Sec-WebSocket-Extensions") or ""))
        agreed = dict(extensions[PerMessageDeflate.name])
        client, server = (
            PerMessageDeflate(
                remote_no_context_takeover=f"{side}_no_context_takeover" in agreed,
                local_no_context_takeover=True,  # this one never compresses
                remote_max_window_bits=int(agreed.get(f"{side}_max_window_bits") or 15),
                local_max_window_bits=15,
            )
            for side in ("client", "server")
        )
    except (InvalidHeader, KeyError, ValueError, AssertionError):
        return None, None
    return client, server


class TalkReader(FrameReader):
    """Reads one direction of a connection that begins as HTTP/1.1 and may become WebSocket.

    Its items are Heads, then, after one that `upgrades`, frames. Bodies are passed over; what is
    not HTTP is Opaque. The arguments are FrameReader's; `masked` must be given: True reads
    requests, False responses. A reader of responses sets its own `inflate`; for a reader of
    requests do that when the answer is known (`agreed_deflate`).
    """

    def __init__(self, *, masked: bool, **options: Any) -> None:
        super().__init__(masked=masked, **options)
        self.bodiless = False
        """Whether the next response has no body whatever its head says: it answers a HEAD."""
        self._parser = self._talk()

    def refused(self) -> None:
        """The upgrade that was asked for was not granted: what follows is HTTP again."""
        self._parser = self._talk()

    def _talk(self) -> Generator[Item | None, None, None]:
        while True:
            yield from self._wait()
            if not self._stream.buffer:
                return
            self._raw.clear()
            try:
                head = yield from self._head()
                if head.status == 101:
                    self.inflate = agreed_deflate(head)[1]
                yield head
                if head.upgrades:
                    break
                yield from self._body(head)
            except (ValueError, RuntimeError, EOFError):
                yield from self._opaque("not HTTP/1.1", bytes(self._raw))
                return
        yield from self._frames()

    def _line(self) -> Generator[None, None, bytes]:
        """A line with its end. Raises EOFError, and RuntimeError if it is too long."""
        line = bytes((yield from self._stream.read_line(_LINE)))
        self._raw += line
        return line

    def _head(self) -> Generator[None, None, Head]:
        """The lines to the first empty one. Raises ValueError, RuntimeError, EOFError."""
        first = yield from self._line()
        if not (_REQUEST if self._masked else _RESPONSE).fullmatch(first):
            raise ValueError("not the first line of a request or response")
        headers: list[tuple[str, str]] = []
        for _ in range(_LINES):
            line = (yield from self._line()).decode("latin-1").rstrip("\r\n")
            if not line:
                self._raw.clear()
                return Head(first.decode("latin-1").rstrip("\r\n"), tuple(headers))
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError("not a header")
            headers.append((name, value.strip()))
        raise ValueError("too many headers")

    def _body(self, head: Head) -> Generator[None, None, None]:
        """Pass over a body (RFC 9112 §6.3). Raises ValueError, RuntimeError, EOFError."""
        status = head.status
        if status is not None and (status < 200 or status in (204, 304) or self.bodiless):
            return
        if "chunked" in (head.get("Transfer-Encoding") or "").lower():
            while size := int((yield from self._line()).partition(b";")[0], 16):
                self._raw.clear()
                yield from self._skip(size + 2)
            while (yield from self._line()).strip():
                self._raw.clear()
        elif (length := head.get("Content-Length")) is not None:
            yield from self._skip(int(length))
        elif status is not None:  # to the end of the connection
            while not self._stream.eof:
                self._stream.discard()
                yield
        self._raw.clear()


# In words


def close_meaning(code: int) -> str:
    """What a close code says, in a few words (RFC 6455 §7.4)."""
    if code in CLOSE_CODES:
        return CLOSE_CODES[code]
    if 4000 <= code <= 4999:
        return "private code"
    if 3000 <= code <= 3999:
        return "registered code"
    return "not a valid code"


def escape(text: str) -> str:
    """`text`, but what a terminal obeys instead of showing (ESC, bidi marks) written as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def plural(count: int, unit: str = "byte") -> str:
    """`1 byte`, `2 bytes`."""
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie"}
_SECRETS = (
    re.compile(r"([?&][^=&\s]*(?:token|ticket)[^=&\s]*=)[^&\s#]+", re.IGNORECASE),  # in a query
    re.compile(r"\b((?:token|ticket)\.)[^\s,]+", re.IGNORECASE),  # offered as a subprotocol
    re.compile(  # in JSON, even if the end of the string is not shown
        r'("[^"\\]*(?:token|ticket|password)[^"\\]*"\s*:\s*")(?:[^"\\]|\\.)+', re.IGNORECASE
    ),
)


def hide(text: str) -> str:
    """`text` without the values of tokens, tickets and passwords that it shows: `…` instead."""
    for secret in _SECRETS:
        text = secret.sub(r"\1…", text)
    return text


def head_lines(head: Head) -> list[str]:
    """A head's lines, safe to print, with its secrets hidden."""
    lines = [head.line]
    for name, value in head.headers:
        lines.append(f"{name}: {'…' if name.lower() in _SECRET_HEADERS else value}")
    return [escape(hide(line)) for line in lines]


def describe(item: Item, shown: int = _SHOWN) -> str:
    """An item in one line, safe to print: what it is, its size, and what it holds.

    shown  how many characters of a payload; what is left out is marked with `…`. Nothing is hidden:
           see `hide`
    """
    if isinstance(item, Head):
        return escape(item.line)
    if isinstance(item, Opaque):
        return f"{plural(item.size)} {item.what} {_hex(item.data, item.size, shown)}"
    if isinstance(item, BadFrame):
        raw = _hex(item.raw, item.size, shown)
        return f"bad frame, {plural(item.size)} ({item.reason}) {raw}"
    words = [OPCODES.get(item.opcode, f"opcode {item.opcode:#x}")]
    code = item.close_code
    if code is None:
        words.append(plural(item.length))
    elif code == 1005:
        words.append(f"{plural(0)} ({close_meaning(code)})")
    else:
        words.append(f"{code} ({close_meaning(code)})")
    words += _flags(item)
    if item.compressed:
        whole = plural(item.inflated_length)
        words.append("deflate" if item.inflated is None else f"deflate of {whole}")
    return " ".join([*words, _contents(item, shown)]).rstrip()


def _flags(frame: Frame) -> list[str]:
    """FIN where a frame could lack it, the reserved bits that are set, the mask, what is wrong."""
    flags = [] if frame.control and frame.fin else ["FIN" if frame.fin else "no FIN"]
    flags += [f"RSV{bit + 1}" for bit in range(3) if frame.rsv & 0b100 >> bit]
    flags += ["masked"] if frame.masked else []
    flags += [f"({frame.problem})"] if frame.problem else []
    if frame.mask_wrong:
        flags.append("(a server must not mask)" if frame.masked else "(a client must mask)")
    return flags


def _contents(frame: Frame, shown: int) -> str:
    if frame.close_code not in (None, 1005):
        return _text(frame.payload[2:], frame.length - 2, shown)
    if frame.compressed and frame.inflated is None:
        return _hex(frame.payload, frame.length, shown)
    if frame.opcode in (TEXT, CONTINUATION):
        length = frame.length if frame.inflated is None else frame.inflated_length
        return _text(frame.data, length, shown)
    if frame.opcode in (PING, PONG) and frame.payload:
        plain = frame.payload.decode("latin-1")
        if plain.isascii() and plain.isprintable():
            return f'"{plain[:shown]}"' + ("…" if frame.length > shown else "")
    length = frame.length if frame.inflated is None else frame.inflated_length
    return _hex(frame.data, length, shown)


def _text(data: bytes, length: int, shown: int) -> str:
    """The beginning of a text of `length` bytes. Bytes that are not UTF-8 appear as `\\xff`."""
    part = data[: shown * 4]
    if len(part) < length:  # do not take a character that was cut in two for a wrong one
        part = part[: len(part) - _incomplete(part)]
    text = part.decode("utf-8", "backslashreplace")
    cut = len(text) > shown or len(part) < length
    return escape(text[:shown]) + ("…" if cut else "")


def _incomplete(data: bytes) -> int:
    """How many bytes at the end of `data` begin a UTF-8 character that they do not finish."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    return len(decoder.getstate()[0])


def _hex(data: bytes, length: int, shown: int) -> str:
    """The beginning of `length` bytes in hex, two characters and a space for each."""
    part = data[: shown // 3]
    return part.hex(" ") + ("…" if len(part) < length else "")
