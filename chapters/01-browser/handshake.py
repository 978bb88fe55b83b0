"""A WebSocket by hand: every byte of one short conversation, with nothing but sockets.

Run: python handshake.py     (URL=ws://… for another server, TEXT for what is said;
KEY and MASK fix what is otherwise random)
"""

import base64
import hashlib
import os
import socket
import ssl
import sys
from typing import BinaryIO
from urllib.parse import urlsplit

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"
KEY = os.environ.get("KEY", "") or base64.b64encode(os.urandom(16)).decode()
MASK = bytes.fromhex(os.environ.get("MASK", "")) or os.urandom(4)
TEXT = os.environ.get("TEXT", "") or "Hello, 帧"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3: the same for everyone, so no secret
OPCODES = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
TIMEOUT = 10.0  # seconds to wait for the server at each step


def mask(data: bytes) -> bytes:
    """XOR with the mask's four bytes, over and over; doing it twice gives the data back (§5.3)."""
    return bytes(byte ^ MASK[index % 4] for index, byte in enumerate(data))


def show(arrow: str, data: bytes, meaning: str) -> None:
    """Print sixteen bytes a line in hexadecimal; the meaning stands beside the first."""
    for start in range(0, max(len(data), 1), 16):
        line = f"{arrow} {data[start : start + 16].hex(' '):<47}  {meaning if start == 0 else ''}"
        print(line.rstrip())


def send(connection: socket.socket, opcode: int, payload: bytes) -> None:
    """Send one frame: masked, as a client's must be, and short enough for a 7-bit length (§5.2)."""
    if len(payload) > 125:
        sys.exit("this program writes short frames only: make TEXT at most 125 bytes long")
    head = bytes([0x80 | opcode, 0x80 | len(payload)])
    connection.sendall(head + MASK + mask(payload))
    show("→", head[:1], f"FIN=1 (the message ends here), opcode={opcode} ({OPCODES[opcode]})")
    show("→", head[1:], f"MASK=1 (always, from a client), length={len(payload)}")
    show("→", MASK, "the mask")
    show("→", mask(payload), f"the payload, masked ({payload.hex(' ')})")


def receive(stream: BinaryIO) -> tuple[int, bytes]:
    """Read one frame: two bytes, perhaps a longer length, the payload."""
    head = read(stream, 2)
    opcode, length = head[0] & 0x0F, head[1] & 0x7F
    show("←", head[:1], f"FIN={head[0] >> 7}, opcode={opcode} ({OPCODES.get(opcode, '?')})")
    show("←", head[1:], f"MASK={head[1] >> 7} (never, from a server), length={length}")
    if length >= 126:  # 126: the length is in the next two bytes; 127: in the next eight
        wide = read(stream, 2 if length == 126 else 8)
        length = int.from_bytes(wide)
        show("←", wide, f"the length: {length}")
    payload = read(stream, length)
    meaning = f"the payload: {payload.decode(errors='replace')}"
    if opcode == 8:
        meaning = f"close code {int.from_bytes(payload[:2])}, reason {payload[2:].decode()!r}"
    show("←", payload, meaning)
    return opcode, payload


def read(stream: BinaryIO, size: int) -> bytes:
    """Exactly `size` bytes, or the end of the program."""
    data = stream.read(size)
    if len(data) < size:
        sys.exit(f"the server closed the connection {size - len(data)} bytes too early")
    return data


def upgrade(connection: socket.socket, stream: BinaryIO, netloc: str, target: str) -> None:
    """Ask to leave HTTP, and check the answer (§4.1, §4.2)."""
    print("1. The handshake is an HTTP request ...")
    request = [
        f"GET {target} HTTP/1.1",
        f"Host: {netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
    ]
    connection.sendall("\r\n".join([*request, "", ""]).encode())
    print(*(f"→ {line}" for line in request), sep="\n")

    print("\n2. ... with an HTTP answer. After its blank line there is no more HTTP.")
    answer = list(iter(lambda: stream.readline().decode("latin-1").rstrip(), ""))
    print(*(f"← {line}" for line in answer), sep="\n")
    if not answer or " 101 " not in answer[0]:
        sys.exit("the server did not answer 101 Switching Protocols")
    headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in answer)}
    expected = base64.b64encode(hashlib.sha1((KEY + GUID).encode()).digest()).decode()
    if headers.get("sec-websocket-accept") != expected:
        sys.exit(f"Sec-WebSocket-Accept should be {expected}: no WebSocket server is answering")
    print(f"  accept = base64(sha1(key + GUID)) = {expected}: the server speaks WebSocket")


def main() -> None:
    url = urlsplit(URL)
    host, secure = url.hostname or "127.0.0.1", url.scheme == "wss"
    port = url.port or (443 if secure else 80)
    connection = socket.create_connection((host, port), TIMEOUT)
    if secure:
        connection = ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    stream = connection.makefile("rb")
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    upgrade(connection, stream, url.netloc, target)

    print("\n3. The server speaks first.")
    receive(stream)

    print("\n4. Our text, and what comes back.")
    send(connection, 0x1, TEXT.encode())
    receive(stream)

    print("\n5. Both sides close: a close frame each way, then TCP ends.")
    send(connection, 0x8, (1000).to_bytes(2) + b"done")  # the code in two bytes, then a reason
    while receive(stream)[0] != 0x8:
        pass
    connection.close()


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"cannot talk to {URL}: {error}")
