"""Chapter 1 without a library: the grader has to find it right.

Each rule of RFC 6455 stands in a line of its own, so that a broken program can leave out just one.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import os
import signal
import sys
import time

HOST, PORT = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080"))
LIMIT = int(os.environ.get("MAX_MESSAGE_BYTES", "65536"))
ORIGINS = os.environ.get("ALLOWED_ORIGINS", f"http://{HOST}:{PORT}").split(",")
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PAGE = b"<!doctype html><title>by hand</title><p>A page."


class Refuse(Exception):
    """The handshake is refused with this HTTP status."""


class Break(Exception):
    """The connection is closed with this code."""


def parse(head: str) -> tuple[str, str, dict[str, str]]:
    """The method, the path without its query, and the headers with names in lower case."""
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return method, target.partition("?")[0], headers


def key_of(headers: dict[str, str]) -> str:
    key = headers.get("sec-websocket-key", "")
    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error as error:
        raise Refuse("400 Bad Request") from error
    if len(raw) != 16:
        raise Refuse("400 Bad Request")
    return key


def accept(method: str, path: str, headers: dict[str, str]) -> str:
    """The value of Sec-WebSocket-Accept. Raises Refuse."""
    if path != "/ws":
        raise Refuse("404 Not Found")
    if method != "GET":
        raise Refuse("405 Method Not Allowed")
    words = [word.strip().lower() for word in headers.get("connection", "").split(",")]
    if headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in words:
        raise Refuse("426 Upgrade Required")
    if headers.get("sec-websocket-version") != "13":
        raise Refuse("426 Upgrade Required\r\nSec-WebSocket-Version: 13")
    if headers.get("origin", ORIGINS[0]) not in ORIGINS:
        raise Refuse("403 Forbidden")
    key = key_of(headers)
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes([size])
    else:
        length = b"\x7e" + size.to_bytes(2) if size < 65536 else b"\x7f" + size.to_bytes(8)
    return bytes([0x80 | opcode]) + length + payload


async def read_frame(reader: asyncio.StreamReader, room: int) -> tuple[bool, int, bytes]:
    """One frame: FIN, opcode, payload. `room` is how many bytes its message may still have."""
    first, second = await reader.readexactly(2)
    fin, rsv, opcode = bool(first & 0x80), first >> 4 & 7, first & 0x0F
    masked, size = bool(second & 0x80), second & 0x7F
    if rsv != 0:
        raise Break(1002)
    if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        raise Break(1002)
    if opcode >= CLOSE and size > 125:
        raise Break(1002)
    if opcode >= CLOSE and not fin:
        raise Break(1002)
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
    if opcode < CLOSE and size > room:
        raise Break(1009)
    if not masked:
        raise Break(1002)
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    return fin, opcode, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def closing(payload: bytes) -> bytes:
    """The payload of the close frame that answers this one."""
    if len(payload) == 1:
        raise Break(1002)
    code = int.from_bytes(payload[:2]) if payload else 1000
    if code < 1000:
        raise Break(1002)
    if code in (1004, 1005, 1006, 1015):
        raise Break(1002)
    return payload[:2]


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo until the close frame."""
    kind, whole = 0, b""
    while True:
        fin, opcode, payload = await read_frame(reader, LIMIT - len(whole))
        if opcode == PING:
            writer.write(frame(PONG, payload))
        elif opcode == CLOSE:
            writer.write(frame(CLOSE, closing(payload)))
            return
        elif opcode != PONG:
            if opcode == CONTINUATION and kind == 0:
                raise Break(1002)
            if opcode != CONTINUATION and kind != 0:
                raise Break(1002)
            kind, whole = kind or opcode, whole + payload
            if fin:
                if kind == TEXT:
                    whole.decode()
                writer.write(frame(kind, whole))
                kind, whole = 0, b""
        await writer.drain()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: a page, a refusal, or a WebSocket."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, headers = parse(head)
        if path == "/" and "upgrade" not in headers:
            page = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(PAGE)}"
            writer.write(f"{page}\r\n\r\n".encode() + PAGE)
            return
        answer = accept(method, path, headers)
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {answer}\r\n\r\n".encode()
        )
        welcome = {"type": "welcome", "ts": int(time.time() * 1000)}
        writer.write(frame(TEXT, json.dumps(welcome).encode()))
        await converse(reader, writer)
    except Refuse as refusal:
        writer.write(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
    except Break as broken:
        writer.write(frame(CLOSE, broken.args[0].to_bytes(2)))
    except UnicodeDecodeError:
        writer.write(frame(CLOSE, (1007).to_bytes(2)))
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the client has gone
    finally:
        await linger(reader, writer)


async def linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End without a reset: what the client still sends is read and thrown away for a moment."""
    try:
        writer.write_eof()
        async with asyncio.timeout(1):
            while await reader.read(65536):
                pass
    except (OSError, TimeoutError, RuntimeError):
        pass
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, HOST, PORT)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
