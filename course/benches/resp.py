"""As much of Valkey's protocol (RESP2) as a load needs: blocking, and cheap."""

from __future__ import annotations

import socket
from typing import Any

from course.benches.load import WITHIN, LoadError


class Valkey:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), WITHIN)
        self.file = self.socket.makefile("rb")

    def send(self, *command: str) -> None:
        parts = [part.encode() for part in command]
        raw = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        self.socket.sendall(b"*%d\r\n%b" % (len(parts), raw))

    def reply(self) -> Any:
        """The next reply. Raises LoadError if it is an error."""
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2].decode()
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))] if int(rest) >= 0 else None
        if kind in (b":", b"+"):
            return rest.decode()
        raise LoadError(f"Valkey says {line!r}")

    def ask(self, *command: str) -> Any:
        self.send(*command)
        return self.reply()

    def close(self) -> None:
        self.file.close()
        self.socket.close()
