"""A client that notices when the line is dead. It prints one JSON object a line.

Run: python client.py        (URL=ws://… for another server; each line you type is sent as it is,
for example {"type":"echo","data":"hi"}; the end of the input closes)
"""

import asyncio
import json
import os
import sys
import threading
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from settings import HEARTBEAT_SECONDS

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"
PATIENCE = 2.5  # heartbeats of silence before the line is taken for dead


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


async def send_lines(connection: ClientConnection) -> None:
    """Send what is typed until the input ends, then close."""
    lines = typed_lines()
    while (line := await lines.get()) is not None:
        await connection.send(line)
    await connection.close()


async def listen(connection: ClientConnection) -> None:
    """Report what arrives. When nothing does for one heartbeat, ask; after 2.5 of them, give up.

    Asking is an application ping, as a page has to do it: a browser cannot send control pings.
    """
    heartbeat = HEARTBEAT_SECONDS  # until the welcome says better
    now = asyncio.get_running_loop().time
    last_seen = last_ping = now()
    while (deadline := last_seen + PATIENCE * heartbeat) > now():
        next_ping = max(last_seen, last_ping) + heartbeat
        try:
            async with asyncio.timeout_at(min(deadline, next_ping)):
                message = await connection.recv()
        except TimeoutError:
            if now() >= next_ping:
                last_ping = now()
                async with asyncio.timeout_at(deadline):
                    await connection.send(json.dumps({"type": "ping"}))
            continue
        last_seen = now()
        data = json.loads(message)
        if data["type"] == "welcome":
            heartbeat = data["data"]["heartbeatMs"] / 1000
        report("message", data=data)
    report("dead", silentMs=round((now() - last_seen) * 1000))
    connection.transport.abort()  # no close handshake: nobody is there to answer it


async def main() -> int:
    try:
        # ping_interval=None: the library's own heartbeat is off, this chapter makes its own.
        connection = await connect(URL, proxy=None, compression=None, ping_interval=None)
    except (OSError, WebSocketException) as error:
        print(f"cannot connect to {URL}: {error}", file=sys.stderr)
        return 1
    report("open")
    sender = asyncio.create_task(send_lines(connection))
    try:
        await listen(connection)
        code = None
    except ConnectionClosed:
        code = connection.close_code
        report("close", code=code, reason=connection.close_reason)
    sender.cancel()
    await asyncio.gather(sender, return_exceptions=True)
    return 0 if code in (1000, 1001) else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
