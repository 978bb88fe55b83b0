"""The board in a terminal: it logs in, stays on the board, comes back, and acts on what you type.

Run: python client.py        (URL=ws://…/ws for another server, LOGIN=bob:builder for another user)
Type advance ID, cancel ID, confirm ID, new, or a message as JSON. It draws; not in a terminal it
prints one JSON object a line.
"""

import asyncio
import json
import os
import secrets
import sys
import threading
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from backoff import Backoff
from board import ORDERS, RESERVATIONS, TELEMETRY
from passes import Pass, Refused
from picture import Picture
from settings import HEARTBEAT_SECONDS

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"
LOGIN = os.environ.get("LOGIN", "") or "alice:wonderland"  # name:password
FINAL = (1000, 1008, 4400, 4401, 4403, 4409)  # close codes after which nobody comes back
PATIENCE = 2.5  # heartbeats of silence before the line is taken for dead
TYPED = {"advance": "order:advance", "cancel": "order:cancel", "confirm": "reservation:confirm"}


def typed_lines() -> asyncio.Queue[str | None]:
    """What is typed, line by line, then None. A thread reads: the event loop must never wait."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.strip())
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def request(line: str) -> str:
    """A typed line as a message; a requestId lets it be sent twice and count once."""
    word, _, thing = line.partition(" ")
    if word not in (*TYPED, "new"):
        return line
    data: dict[str, Any] = {"id": thing.strip()}
    if word == "new":
        data = {"customer": "terminal", "items": ["tea"], "total": 350}
    message = {"type": TYPED.get(word, "order:create"), "requestId": secrets.token_hex(4)}
    return json.dumps(message | {"data": data})


class Visitor:
    def __init__(self) -> None:
        user, _, password = LOGIN.partition(":")
        self.way_in = Pass(URL, user, password)
        self.client = secrets.token_hex(8)  # our name on every connection
        self.picture = Picture()

    async def stay(self) -> int:
        """Come back until it is over; returns the exit code."""
        self.lines = typed_lines()
        backoff, opened = Backoff(0.5, 10.0, 5.0), False
        now = asyncio.get_running_loop().time
        while True:
            code, began = None, now()
            try:
                code = await self.visit()
                opened = True
            except (OSError, WebSocketException, Refused, TimeoutError) as error:
                if not opened:
                    print(f"cannot connect to {URL}: {error}", file=sys.stderr)
                    return 1
            if code in FINAL:
                return 0 if code == 1000 else 1
            delay = backoff.next_delay(now() - began)
            self.picture.say("retry", delayMs=round(delay * 1000))
            await asyncio.sleep(delay)

    async def visit(self) -> int | None:
        """One connection; returns its close code, None if it was given up for dead."""
        url = f"{await self.way_in.address()}&client={self.client}"
        async with asyncio.timeout(10):
            line = await connect(url, proxy=None, compression=None, ping_interval=None)
        sending = asyncio.create_task(self.send(line))
        try:
            for channel in (ORDERS, RESERVATIONS, TELEMETRY):
                await line.send(json.dumps(self.picture.question(channel)))
            await self.listen(line)
        except ConnectionClosed:
            self.picture.say("close", code=line.close_code, reason=line.close_reason)
            return line.close_code
        finally:
            sending.cancel()
            line.transport.abort()
        return None

    async def send(self, line: ClientConnection) -> None:
        while (typed := await self.lines.get()) is not None:
            await line.send(request(typed))
        await line.close()

    async def listen(self, line: ClientConnection) -> None:
        """Apply what comes; ask when nothing does, and give up after PATIENCE."""
        heartbeat, silent = HEARTBEAT_SECONDS, 0.0
        while silent < PATIENCE:
            try:
                async with asyncio.timeout(heartbeat / 2):
                    message = json.loads(await line.recv())
            except TimeoutError:
                silent += 0.5
                await line.send('{"type":"ping"}')
                continue
            silent = 0.0
            if message["type"] == "welcome":
                heartbeat = message["data"]["heartbeatMs"] / 1000
            if question := await self.picture.hear(message, self.way_in):
                await line.send(json.dumps(question))


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(Visitor().stay()))
    except KeyboardInterrupt:
        sys.exit(130)
