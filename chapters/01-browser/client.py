"""The browser's WebSocket, from a terminal: each line you type is one message.

Run: python client.py        (URL=ws://… for another server; a line `/binary 00 ff` sends bytes,
`/close 4000 my reason` closes, and so does the end of the input)
"""

import asyncio
import os
import sys
import threading

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"


def show(arrow: str, message: str | bytes) -> None:
    """Print one message with its direction, its type and its size in bytes."""
    if isinstance(message, str):
        # What a stranger sent must not steer our terminal: only what can be printed is.
        shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)
        print(f"{arrow} text {len(message.encode())} bytes  {shown}", flush=True)
    else:
        print(f"{arrow} binary {len(message)} bytes  {message.hex(' ')}", flush=True)


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
        if line.startswith("/close"):
            code, _, reason = line.removeprefix("/close").strip().partition(" ")
            await connection.close(int(code or 1000), reason)
            return
        try:
            message = bytes.fromhex(line[8:]) if line.startswith("/binary ") else line
        except ValueError:
            print("/binary wants hexadecimal bytes, such as: /binary 00 ff 10", file=sys.stderr)
            continue
        await connection.send(message)
        show("→", message)
    await connection.close()


async def main() -> int:
    try:
        # proxy=None: this course stays on your machine, whatever proxy the environment names.
        connection = await connect(URL, proxy=None, compression=None)
    except (OSError, WebSocketException) as error:
        print(f"cannot connect to {URL}: {error}", file=sys.stderr)
        return 1
    print(f"connected to {URL}", flush=True)
    sender = asyncio.create_task(send_lines(connection))
    try:
        async for message in connection:
            show("←", message)
    except ConnectionClosed:
        pass  # the code and the reason are printed below
    sender.cancel()
    await asyncio.gather(sender, return_exceptions=True)
    code, reason = connection.close_code, connection.close_reason
    print(f"closed with {code}" + (f", {reason}" if reason else ""), flush=True)
    return 0 if code in (1000, 1001) or (code and code >= 4000) else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
