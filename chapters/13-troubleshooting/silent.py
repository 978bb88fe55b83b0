"""A peer that answers nothing: it opens a WebSocket, listens, and never says a word.

The server cannot tell it from a computer whose cable was pulled, and drops it after 2.5 heartbeats.
Run: python silent.py        (URL=ws://… for another server)
"""

import base64
import json
import os
import socket
import sys
import time
from typing import BinaryIO
from urllib.parse import urlsplit

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"
TIMEOUT = 10.0  # seconds to wait for the handshake and the welcome
PATIENCE = 5  # heartbeats to wait, twice as many as a server that looks for dead peers
CLOSE, PING = 8, 9  # opcodes, RFC 6455 §5.2


def upgrade() -> tuple[socket.socket, BinaryIO]:
    """The handshake in short; chapter 1 prints every line of it with its meaning."""
    url, key = urlsplit(URL), base64.b64encode(os.urandom(16)).decode()
    connection = socket.create_connection((url.hostname or "127.0.0.1", url.port or 80), TIMEOUT)
    stream = connection.makefile("rb")
    lines = [f"GET {url.path or '/'} HTTP/1.1", f"Host: {url.netloc}", "Upgrade: websocket"]
    lines += ["Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    if b" 101 " not in stream.readline():
        sys.exit(f"{URL} did not answer 101 Switching Protocols")
    while stream.readline().strip():
        pass  # the other headers, up to the blank line
    return connection, stream


def receive(stream: BinaryIO) -> tuple[int, bytes]:
    """Read one frame: its opcode, and its payload, which a server never masks."""
    if len(head := stream.read(2)) < 2:
        raise EOFError
    length = head[1] if head[1] < 126 else int.from_bytes(stream.read(2 if head[1] == 126 else 8))
    return head[0] & 0x0F, stream.read(length)


def main() -> None:
    connection, stream = upgrade()
    started, limit = time.monotonic(), TIMEOUT
    try:
        while True:
            connection.settimeout(max(started + limit - time.monotonic(), 0.001))
            opcode, payload = receive(stream)
            if opcode == CLOSE:
                sys.exit(f"closed with {int.from_bytes(payload[:2])} {payload[2:].decode()}")
            what = "ping, not answered" if opcode == PING else payload.decode()
            print(f"{time.monotonic() - started:.1f} s  ← {what}", flush=True)
            if opcode != PING:  # the welcome, which may say how often the server's heart beats
                data = json.loads(payload).get("data", {"heartbeatMs": 20_000})
                limit = PATIENCE * data["heartbeatMs"] / 1000
    except TimeoutError:
        sys.exit(f"still connected after {limit:.1f} s: this server does not look for dead peers")
    except (EOFError, ConnectionResetError) as error:
        how = "reset" if isinstance(error, ConnectionResetError) else "end of stream"
        print(f"dropped after {time.monotonic() - started:.1f} s without a close frame: {how}")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"cannot talk to {URL}: {error}")
