"""What is typed, and what is printed: lines in, one JSON object a line out."""

import asyncio
import json
import sys
import threading
from typing import Any


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


def read_event(line: str) -> list[Any] | None:
    """The JSON array of a line; None, and a word about it, if it is none."""
    try:
        typed = json.loads(line)
    except ValueError:
        typed = None
    if isinstance(typed, list) and typed:
        return typed
    report("refused", data=line, why='not of the form ["event", …]')
    return None
