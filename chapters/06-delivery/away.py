"""Away: one client leaves, misses three events, and comes back with its position.

Run: python away.py        (while server.py runs; URL=ws://… for another server)
"""

import asyncio
import itertools
import json
import os
import secrets
import sys
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"
CHANNEL = "orders:away"
RUN = secrets.token_hex(4)  # the names are new each time: the old ones' requests are remembered
NUMBERS = itertools.count(1)


def dial(client: str) -> connect:
    return connect(f"{URL}?client={client}-{RUN}", proxy=None, compression=None)


async def ask(who: str, line: ClientConnection, type: str, **data: Any) -> Any:
    """Send a request, and return what it is answered; what comes before that is only shown."""
    request_id = f"{type}-{next(NUMBERS)}"  # another one for each request, or it is a repeat
    message = json.dumps(
        {"type": type, "requestId": request_id, "data": {"channel": CHANNEL, **data}}
    )
    print(f"→ {who}  {message}")
    await line.send(message)
    while True:
        text = await line.recv()
        print(f"← {who}  {text!s}")
        if (answer := json.loads(text)).get("requestId") == request_id:
            return answer.get("data")


async def main() -> None:
    async with dial("alice") as alice, dial("bob") as bob:
        for line in (alice, bob):
            await line.recv()  # the welcome
        await ask("alice", alice, "subscribe")
        told = await ask("bob  ", bob, "subscribe")
        await bob.close()
        print("· bob    is away")
        for step in range(1, 4):
            event = {"event": "order:update", "payload": {"id": "42", "step": step}}
            await ask("alice", alice, "publish", **event)
        async with dial("bob") as again:
            await again.recv()
            since = {"epoch": told["epoch"], "seq": told["seq"]}
            await ask("bob  ", again, "subscribe", since=since)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (OSError, WebSocketException) as error:
        sys.exit(f"cannot talk to {URL}: {error}")
