"""The load: members who only count, and one who publishes. Raw sockets and epoll, so it is cheap.

Nothing is published before everybody has what was published before: a server is measured by the
CPU time it takes for each delivery, and not by how fast this generator can read.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from course.frames import build

TEXT, PING, PONG = 0x1, 0x9, 0xA
MASK = bytes(4)
WITHIN = 20.0  # seconds for a server to do its part
CHUNK = 262_144  # bytes read at a time


class LoadError(Exception):
    """The server did not do what the load needs."""


class Client:
    """One WebSocket, of which only frames' headers are looked at."""

    path = "/ws"

    def __init__(
        self, port: int, *, welcome: bool, deflate: bool = False, receive_buffer: int = 0
    ) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WITHIN)
        self.socket.connect(("127.0.0.1", port))
        extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
        self.socket.sendall(
            f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"{extension}\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := self.socket.recv(4096)):
                raise LoadError("the server hung up during the handshake")
            head += data
        head, _, self.rest = head.partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise LoadError(head.decode(errors="replace").partition("\r\n")[0])
        self.skip = 0  # bytes of a payload that are still to come
        self.frames = self.count(b"")  # a welcome may have come with the handshake
        if welcome and not self.frames:
            self.wait(1)

    def count(self, data: bytes) -> int:
        """How many messages began in these bytes. Pings are not counted."""
        data = self.rest + data if self.rest else data
        at, size, found = self.skip, len(data), 0
        while at + 10 <= size or (at + 2 <= size and data[at + 1] < 126):
            length, header = data[at + 1], 2
            if length == 126:
                length, header = int.from_bytes(data[at + 2 : at + 4]), 4
            elif length == 127:
                length, header = int.from_bytes(data[at + 2 : at + 10]), 10
            found += data[at] & 0x0F == TEXT
            at += header + length
        self.rest, self.skip = (data[at:], 0) if at < size else (b"", at - size)
        return found

    def ask(self, type: str, **data: Any) -> None:
        """Send a request and wait for the answer to it."""
        self.socket.sendall(self.request(type, **data))
        self.wait(1)

    def wait(self, messages: int) -> None:
        """Read so many messages."""
        wanted = self.frames + messages
        while self.frames < wanted:
            if not (data := self.socket.recv(CHUNK)):
                raise LoadError("the server closed a connection")
            self.frames += self.count(data)

    def answer_beats(self, data: bytes) -> int:
        """Answer the heartbeats in these bytes, which hold nothing else; how many they were."""
        data, at, answers = self.rest + data, 0, b""
        while at + 2 <= len(data) and at + 2 + data[at + 1] <= len(data):
            payload = data[at + 2 : at + 2 + data[at + 1]]
            answers += self.answer_beat(data[at] & 0x0F, payload)
            at += 2 + len(payload)
        self.rest = data[at:]
        if answers:
            self.socket.sendall(answers)
        return 1 if answers else 0

    @staticmethod
    def answer_beat(opcode: int, payload: bytes) -> bytes:
        return build(PONG, payload, mask=MASK) if opcode == PING else b""

    @staticmethod
    def request(type: str, **data: Any) -> bytes:
        message = {"type": type, "requestId": "r", "data": data}
        return build(TEXT, json.dumps(message).encode(), mask=MASK)

    @classmethod
    def event(cls, size: int, **more: Any) -> bytes:
        """A request to publish whose payload has `size` characters."""
        fields = {"channel": "room:bench", "event": "bench:event", "payload": "x" * size}
        return cls.request("publish", **fields, **more)


class SocketIOClient(Client):
    """The same on Socket.IO: events with acks, over a WebSocket from the beginning.

    Packets of the heartbeat would be counted as messages: the servers are given a long interval.
    """

    path = "/socket.io/?EIO=4&transport=websocket"

    def __init__(self, port: int, *, welcome: bool, **options: Any) -> None:
        super().__init__(port, welcome=True, **options)  # the engine's 0{…}
        self.socket.sendall(build(TEXT, b"40", mask=MASK))
        self.wait(1)

    @staticmethod
    def answer_beat(opcode: int, payload: bytes) -> bytes:
        return build(TEXT, b"3", mask=MASK) if payload == b"2" else b""

    @staticmethod
    def request(type: str, **data: Any) -> bytes:
        return build(TEXT, f"420{json.dumps([type, data])}".encode(), mask=MASK)


class Room:
    """So many members of one room, and a publisher who is a member too."""

    def __init__(
        self, kind: type[Client], port: int, members: int, *, welcome: bool, deflate: bool = False
    ) -> None:
        self.clients = [kind(port, welcome=welcome, deflate=deflate) for _ in range(members)]
        self.poll = select.epoll()
        self.by_number = {client.socket.fileno(): client for client in self.clients}
        self.publisher = self.clients[0]
        for client in self.clients:
            client.ask("subscribe", channel="room:bench")
            client.socket.setblocking(False)
            self.poll.register(client.socket, select.EPOLLIN)

    def publish(self, raw: bytes, messages: int) -> None:
        """Send `raw`, which publishes so many messages, and read until everybody has them."""
        self.publisher.socket.sendall(raw)
        left = messages * (len(self.clients) + 1)  # and as many replies to the publisher
        deadline = time.monotonic() + WITHIN
        while left > 0:
            for number, _ in self.poll.poll(0.5):
                client = self.by_number[number]
                if not (data := client.socket.recv(CHUNK)):
                    raise LoadError("the server closed the connection of a member")
                left -= client.count(data)
            if time.monotonic() > deadline:
                raise LoadError(f"{left} messages did not come in {WITHIN:.0f} s")

    def close(self) -> None:
        self.poll.close()
        for client in self.clients:
            client.socket.close()


def flood(
    port: int, size: int, messages: int, step: int, *, welcome: bool, look: Callable[[], int]
) -> list[int]:
    """Publish to a room in which one reads nothing; what `look` said every `step` messages."""
    deaf = Client(port, welcome=welcome, receive_buffer=4096)
    deaf.ask("subscribe", channel="room:bench")
    publisher = Client(port, welcome=welcome)
    publisher.ask("subscribe", channel="room:bench")
    raw, seen = Client.event(size), [look()]
    try:
        for count in range(1, messages + 1):
            publisher.socket.sendall(raw)
            publisher.wait(2)  # the event, and the reply
            if count % step == 0:
                seen.append(look())
    finally:
        deaf.socket.close()
        publisher.socket.close()
    return seen
