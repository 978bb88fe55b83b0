"""A client that comes back, and stops when it is told to. It prints one JSON object a line.

Run: python client.py        (URL=ws://… for another server; each line you type is sent as it is,
for example {"type":"echo","data":"hi"}; the end of the input closes)
"""

import asyncio
import json
import os
import sys
import threading
from typing import Any
from urllib.parse import urlsplit

from backoff import Backoff
from reconnecting import ReconnectingClient
from settings import BACKOFF_BASE_MS, BACKOFF_CAP_MS, STABLE_MS

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"


def report(event: str, **fields: Any) -> None:
    fields = {name: value for name, value in fields.items() if value is not None}
    print(json.dumps({"event": event, **fields}, ensure_ascii=False), flush=True)


def read_lines(client: ReconnectingClient, loop: asyncio.AbstractEventLoop) -> None:
    """Hand on what is typed, line by line. A thread of its own: the event loop must never wait."""
    for raw in sys.stdin.buffer:
        line = raw.decode(errors="replace").rstrip("\n")  # whatever bytes: a message is UTF-8
        # One after the other: what is typed too fast waits in the pipe, not in our memory.
        asyncio.run_coroutine_threadsafe(client.sender.say(line), loop).result()
    loop.call_soon_threadsafe(client.stopping.set)


async def main() -> int:
    if urlsplit(URL).scheme not in ("ws", "wss") or not urlsplit(URL).hostname:
        print(f"URL cannot be {URL!r}: it is like ws://127.0.0.1:8080/ws", file=sys.stderr)
        return 1
    backoff = Backoff(BACKOFF_BASE_MS / 1000, BACKOFF_CAP_MS / 1000, STABLE_MS / 1000)
    client = ReconnectingClient(URL, backoff, report)
    loop = asyncio.get_running_loop()
    threading.Thread(target=read_lines, args=(client, loop), daemon=True).start()
    return await client.run()


if __name__ == "__main__":
    try:
        code = asyncio.run(main())
    except KeyboardInterrupt:
        code = 130
    sys.stdout.flush()
    os._exit(code)  # the thread may still wait for a line that nobody will type
