"""A slow reader: two clients in one room, and one of them stops reading.

The other publishes until the server gives the slow one up, which it sees in `receivers`. Then the
slow one reads on: what was on its way, without a gap, and after it the close code.
Run: python slow.py        (URL=ws://… for another server)
"""

import asyncio
import json
import os
import sys
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"
CHANNEL = "room:slow"
TEXT = "x" * 60_000  # characters in each message
MOST = 2_000  # messages; the kernel alone takes some megabytes for a socket that nobody reads


async def ask(client: ClientConnection, type: str, **data: Any) -> tuple[dict[str, Any], list[Any]]:
    """Send a request; returns the data of its reply, and the payloads that came before it."""
    await client.send(json.dumps({"type": type, "requestId": "1", "data": data}))
    events = []
    while (message := json.loads(await client.recv())).get("requestId") != "1":
        if message["type"] == "flood:message":
            events.append(message["data"]["number"])
    if message["type"] == "error":
        sys.exit(f"{type}: {message['data']['message']}")
    return message["data"], events


async def main() -> None:
    # A message that nobody takes fills max_queue, and the library stops reading from the socket.
    slow = await connect(URL, proxy=None, compression=None, max_queue=1, ping_interval=None)
    fast = await connect(URL, proxy=None, compression=None)
    for client in (slow, fast):
        await ask(client, "subscribe", channel=CHANNEL)
    print(f"two clients are in {CHANNEL}; from now on one of them reads nothing", flush=True)
    got: list[int] = []
    for number in range(1, MOST + 1):
        payload = {"number": number, "text": TEXT}
        reply, events = await ask(
            fast, "publish", channel=CHANNEL, event="flood:message", payload=payload
        )
        got += events
        if reply["receivers"] < 2:
            break
    else:
        sys.exit(f"still a member after {MOST} messages of 60 KB: this server keeps them all")
    print("receivers went from 2 to 1: the server has given the slow one up")
    whole = got == list(range(1, number + 1))
    print(f"fast: {'every message, in order' if whole else 'lost some'}")
    read: list[int] = []
    try:
        while True:
            read.append(json.loads(await slow.recv())["data"]["number"])
    except ConnectionClosed:
        gapless = read == list(range(1, len(read) + 1)) and len(read) < number
        print(
            f"slow: {'the first of them, in order' if gapless else 'not the first of them'},",
            end="",
        )
        print(f" then close {slow.close_code} {slow.close_reason}")
    await fast.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (OSError, WebSocketException) as error:
        sys.exit(f"cannot talk to {URL}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
