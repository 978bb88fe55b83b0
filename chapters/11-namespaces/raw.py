"""Two namespaces in one WebSocket, by hand: what a namespace is on the wire, and what guards it.

Each has a `40` of its own with a token of its own, an answer, rooms and acks. The engine knows of
none of it. Run: python raw.py     (URL=ws://host:port for another server, LOGIN=name:password)
"""

import asyncio
import json
import os
import sys
import urllib.request
from urllib.error import URLError
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080"
PLACE = urlsplit(URL).netloc
WITHIN = 5.0  # seconds to wait for an answer


def token_of(login: str) -> str:
    """POST /api/login: a name and a password for a token."""
    name, _, password = login.partition(":")
    body = json.dumps({"user": name, "password": password}).encode()
    request = urllib.request.Request(f"http://{PLACE}/api/login", body)
    with urllib.request.urlopen(request, timeout=WITHIN) as answer:
        return str(json.load(answer)["accessToken"])


def show(arrow: str, packet: str, token: str = "") -> None:
    """A token is worth as much as a password for minutes: it has no place in a transcript."""
    print(f"{arrow} {packet.replace(token, '…') if token else packet}")


async def send(connection: ClientConnection, packet: str, token: str = "") -> None:
    show("→", packet, token)
    await connection.send(packet)


async def receive(connection: ClientConnection, *until: str) -> None:
    """Read until a packet begins like one of these. A ping is answered, or the server hangs up."""
    async with asyncio.timeout(WITHIN):
        while True:
            packet = str(await connection.recv())
            if packet == "2":
                await connection.send("3")
                continue
            show("←", packet)
            if packet.startswith(until):
                return


async def enter(connection: ClientConnection, namespace: str, token: str) -> None:
    space = "" if namespace == "/" else f"{namespace},"
    await send(
        connection, f"40{space}{json.dumps({'token': token})}", token if "." in token else ""
    )
    await receive(connection, f"40{space}", f"44{space}")


async def main() -> int:
    address = f"ws://{PLACE}/socket.io/?EIO=4&transport=websocket"
    try:
        user, admin = [
            await asyncio.to_thread(token_of, login)
            for login in ("bob:builder", os.environ.get("LOGIN", "") or "alice:wonderland")
        ]
        async with connect(address, proxy=None, compression=None) as connection:
            await receive(connection, "0")
            await enter(connection, "/", "WRONG")  # no token: log in
            await enter(connection, "/admin", user)  # a good token, and not for this door
            await enter(connection, "/", user)
            await enter(connection, "/admin", admin)  # another identity: nothing is shared
            for number, event in enumerate(("session:whoami", "admin:kick"), 1):
                await send(connection, f'42{number}["{event}",{{"user":"bob"}}]')
                await receive(connection, f"43{number}")
            await send(connection, '42/admin,3["session:whoami"]')
            await receive(connection, "43/admin,3")
            await send(connection, '42/admin,4["admin:kick",{"user":"bob","reason":"a lesson"}]')
            await receive(connection, "43/admin,4")  # and 41: bob is out of "/", the engine stays
    except (URLError, OSError, WebSocketException) as error:
        print(f"cannot talk to {URL}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
