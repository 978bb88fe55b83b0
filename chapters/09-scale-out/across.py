"""One client at each instance: what is said at one is heard at both, numbered by the bus.

Run: python across.py        while together.py runs (URL=ws://…/ws is instance A; B is one port on)
"""

import asyncio
import json
import os
import secrets
import sys
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"
PLACE = urlsplit(URL)
NEXT = f"ws://{PLACE.hostname}:{(PLACE.port or 80) + 1}{PLACE.path}"
CHANNEL = "room:across"
NAME = f"ann-{secrets.token_hex(8)}"  # at both instances: request ids are told apart by it


async def ask(connection: ClientConnection, type: str, request_id: str, **data: Any) -> Any:
    """Send a request and return its reply's data; events that come before it are passed over."""
    data |= {"channel": CHANNEL}
    await connection.send(json.dumps({"type": type, "requestId": request_id, "data": data}))
    while True:
        message = json.loads(await connection.recv())
        if message.get("requestId") == request_id:
            return message["data"]


async def say(name: str, connection: ClientConnection, word: str, request_id: str) -> None:
    said = await ask(connection, "publish", request_id, event="chat:said", payload=word)
    print(f"→ {name}  publish {word!r:12} requestId {request_id}: number {said['seq']}")


async def recall(name: str, connection: ClientConnection, since: dict[str, Any]) -> None:
    """Ask for all that came after a position: the same list at either instance."""
    said = await ask(connection, "subscribe", "recall", since=since)
    words = " · ".join(f"{event['seq']} {event['data']}" for event in said["missed"])
    print(f"← {name}  since {since['seq']}, recovered {said['recovered']}: {words}")


async def main() -> int:
    try:
        async with (
            connect(f"{URL}?client={NAME}", proxy=None) as a,
            connect(f"{NEXT}?client={NAME}", proxy=None) as b,
        ):
            for connection in (a, b):
                await connection.recv()  # the welcome
                await ask(connection, "subscribe", "join")
            for name, connection, word in (("A", a, "one"), ("B", b, "two"), ("A", a, "three")):
                await say(name, connection, word, word)
            await say("B", b, "three", "three")  # asked at A before: it takes no second effect
            epoch = (await ask(b, "subscribe", "where"))["epoch"]
            await recall("A", a, {"epoch": epoch, "seq": 0})
            await recall("B", b, {"epoch": epoch, "seq": 1})
    except (OSError, WebSocketException) as error:
        print(f"cannot talk to {URL} and {NEXT}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
