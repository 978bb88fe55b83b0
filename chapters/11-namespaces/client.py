"""A Socket.IO client in a terminal. It prints one JSON object a line.

Run: python client.py        (URL=http://… for another server; type what follows `42` on the wire,
for example ["subscribe",{"channel":"room:lobby"}]; the end of the input closes)
"""

import asyncio
import json
import os
import sys
import threading
from typing import Any
from urllib.parse import urlsplit

import socketio
from socketio.exceptions import ConnectionError, SocketIOError

URL = os.environ.get("URL", "") or "http://127.0.0.1:8080"
ACK_SECONDS = 5.0  # to wait for an ack: a server that fails may never send one
TERMINAL = ("unauthorized", "forbidden", "bad_request")  # refusals that time does not heal


def report(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}, ensure_ascii=False), flush=True)


def typed_lines() -> asyncio.Queue[str | None]:
    """What is typed, line by line, then None. A thread reads: the event loop must never wait."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.rstrip("\n"))
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return lines


class Client:
    """The library reconnects by itself. What it forgets on the way is ours: the rooms."""

    def __init__(self) -> None:
        # handle_sigint: the library would take Ctrl-C for itself.
        self.sio = socketio.AsyncClient(handle_sigint=False)
        self.channels: set[str] = set()  # to ask for again after each reconnect
        self.opened = self.stopped = False
        self.lines = typed_lines()
        self.sio.on("connect", self.connected)
        self.sio.on("disconnect", self.disconnected)
        self.sio.on("connect_error", self.refused)
        self.sio.on("*", self.heard)

    async def connected(self) -> None:
        self.opened = True
        report("open")
        for channel in sorted(self.channels):  # another sid, and no room
            await self.ask("subscribe", {"channel": channel})

    async def disconnected(self, reason: str) -> None:
        report("close", code=None, reason=reason)

    async def refused(self, problem: Any) -> None:
        """A refusal, or nobody there. After the first time the library would try both for ever."""
        data = problem.get("data") if isinstance(problem, dict) else None
        if self.opened or data:
            report("refused", data=problem)
        if isinstance(data, dict) and data.get("code") in TERMINAL:
            report("stopped", why=data["code"])
            self.stopped = True
            self.lines.put_nowait(None)

    async def heard(self, event: str, *data: Any) -> None:
        report("message", data=[event, *data])

    async def ask(self, event: str, *data: Any) -> None:
        """Emit, and report the ack."""
        try:
            answer = await self.sio.call(event, data or None, timeout=ACK_SECONDS)
        except SocketIOError as error:  # no ack in time, or no connection now
            report("refused", data=[event, *data], why=f"{type(error).__name__}: {error}")
            return
        if event in ("subscribe", "unsubscribe") and answer.get("ok"):
            change = self.channels.add if event == "subscribe" else self.channels.discard
            change(answer["data"]["channel"])
        report("message", data=answer)

    async def say(self, line: str) -> None:
        """One typed line: a JSON array, the event's name first."""
        try:
            typed = json.loads(line)
        except ValueError:
            typed = None
        if not isinstance(typed, list) or not typed:
            report("refused", data=line, why='not of the form ["event", …]')
            return
        await self.ask(str(typed[0]), *typed[1:])


async def main() -> int:
    client, parts = Client(), urlsplit(URL)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    try:
        await client.sio.connect(f"{scheme}://{parts.netloc}", retry=False)
    except ConnectionError as error:
        print(f"cannot connect to {URL}: {error}", file=sys.stderr)
        return 1
    while (line := await client.lines.get()) is not None:
        await client.say(line)
    await client.sio.shutdown()  # ends a connection, and the attempts to get one back
    return 1 if client.stopped else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
