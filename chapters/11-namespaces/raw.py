"""Socket.IO by hand: a plain WebSocket client that writes the packets itself, and explains them.

It says the same as client.py, so that you see what the library puts into the frames.
Run: python raw.py        (URL=ws://host:port for another server)
"""

import asyncio
import json
import os
import sys
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080"
WITHIN = 5.0  # seconds to wait for an answer

# The first digit is Engine.IO's: what kind of packet. In a 4, the second is Socket.IO's.
ENGINE = {"0": "open", "1": "close", "2": "ping", "3": "pong", "4": "message", "6": "noop"}
SOCKET = {"0": "connect", "1": "disconnect", "2": "event", "3": "ack", "4": "connect error"}


def event(name: str, data: object) -> str:
    """The JSON of an event: an array, its name first."""
    return json.dumps([name, data], separators=(",", ":"))


def meaning(packet: str) -> str:
    kind = ENGINE.get(packet[:1], "?")
    return kind if packet[:1] != "4" else f"{kind}: {SOCKET.get(packet[1:2], '?')}"


def show(arrow: str, packet: str) -> None:
    print(f"{arrow} {packet}\n  {meaning(packet)} · {len(packet.encode())} B in one text frame")


async def send(connection: ClientConnection, packet: str) -> None:
    show("→", packet)
    await connection.send(packet)


async def receive(connection: ClientConnection, until: str) -> None:
    """Read until a packet begins like this. A ping is answered, or the server hangs up."""
    async with asyncio.timeout(WITHIN):
        while True:
            packet = str(await connection.recv())
            if packet == "2" and until != "2":
                await connection.send("3")
                continue
            show("←", packet)
            if packet.startswith(until):
                return


async def main() -> int:
    address = f"ws://{urlsplit(URL).netloc}/socket.io/?EIO=4&transport=websocket"
    channel = {"channel": "room:lobby"}
    said = {**channel, "event": "chat:said", "payload": {"text": "by hand"}}
    try:
        async with connect(address, proxy=None, compression=None) as connection:
            await receive(connection, "0")  # the engine: its session, its heartbeat, its limits
            await send(connection, "40")  # into the namespace "/"; with auth: 40{"token":…}
            await receive(connection, "40")
            # 42, an id of ours because we want an ack, and a JSON array: the event and its data.
            await send(connection, f"421{event('subscribe', channel)}")
            await receive(connection, "431")
            await send(connection, f"422{event('publish', said)}")
            await receive(connection, "432")
            await receive(connection, "2")  # the heartbeat is a message: no control frame
            await send(connection, "3")
            await send(connection, "41")  # out of the namespace; the engine stays open
    except (OSError, WebSocketException) as error:
        print(f"cannot talk to {URL}: {error}", file=sys.stderr)
        return 1
    print("closed: a WebSocket close frame, 1000")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
