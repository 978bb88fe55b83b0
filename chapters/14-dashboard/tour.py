"""A tour: the way of one order, seen by alice over a native WebSocket and by bob over Socket.IO.

Run: python tour.py        while server.py runs (URL=ws://…/ws for another one)
"""

import asyncio
import os
import sys
from typing import Any

import socketio
from aiohttp import ClientError, ClientSession, WSMsgType
from socketio.exceptions import SocketIOError

from board import ORDERS
from passes import Pass, Refused

URL = os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"
ORDER: dict[str, Any] = {"customer": "tour", "items": ["tea"], "total": 350}


class Alice:
    """Native: envelopes, one reply to each requestId."""

    def __init__(self, session: ClientSession, way_in: Pass) -> None:
        self.session, self.way_in, self.count = session, way_in, 0
        self.heard: list[dict[str, Any]] = []

    async def come(self) -> None:
        self.line = await self.session.ws_connect(await self.way_in.address())
        await self.line.receive()  # the welcome

    async def ask(self, type: str, request_id: str = "", **data: Any) -> dict[str, Any]:
        self.count += 1
        request_id = request_id or f"tour-{self.count}"
        await self.line.send_json({"type": type, "requestId": request_id, "data": data})
        while True:
            message = await self.line.receive()
            if message.type is not WSMsgType.TEXT:
                raise Refused("the server hung up")
            said: dict[str, Any] = message.json()
            if said.get("requestId") == request_id:
                return said
            self.heard.append(said)


def note(arrow: str, who: str, said: str) -> None:
    print(f"{arrow} {who:18} {said}")


def told(event: dict[str, Any]) -> str:
    return f"{event['type']}, it is {event['data']['status']}"


async def tour(session: ClientSession, guest: socketio.AsyncClient) -> None:
    alice = Alice(session, Pass(URL, "alice", "wonderland"))
    bob, heard = Pass(URL, "bob", "builder"), []

    async def hear(event: str, data: dict[str, Any]) -> None:
        heard.append({"type": event, **data})

    guest.on("*", hear)
    await alice.come()
    await bob.log_in()
    await guest.connect(bob.base, auth={"token": bob.token}, transports=["websocket"])
    await alice.ask("subscribe", channel=ORDERS)
    await guest.call("subscribe", {"channel": ORDERS})

    said = await alice.ask("order:create", **ORDER)
    key = said["data"]["id"]
    note("→", "alice, native", f"order:create: {said['type']}, it is {said['data']['status']}")
    for request_id in ("one", "one", "two"):
        said = await alice.ask("order:advance", request_id, id=key)
        again = f"order:advance, requestId {request_id}: it is {said['data']['status']}"
        note("→", "alice, native", again)
    refused = await guest.call("order:cancel", {"id": key, "requestId": "no"})
    note("→", "bob, Socket.IO", f"order:cancel: {refused['error']['code']}")
    said = await alice.ask("order:cancel", id=key)
    note("→", "alice, native", f"order:cancel: it is {said['data']['status']}")
    said = await alice.ask("order:advance", id=key)
    note("→", "alice, native", f"order:advance: {said['data']['code']}")
    await guest.call("app:ping", None)  # what came before this answer has all come
    seen = [[event for event in events if mine(event, key)] for events in (alice.heard, heard)]
    for name, events in zip(("alice", "bob"), seen, strict=True):
        note("←", name, " · ".join(told(event) for event in events))
    same = [event["seq"] for event in seen[0]] == [event["seq"] for event in seen[1]]
    note("·", "both", f"the same numbers in the same order: {'yes' if same else 'no'}")


def mine(event: dict[str, Any], key: str) -> bool:
    return isinstance(event.get("data"), dict) and event["data"].get("id") == key


async def main() -> int:
    guest = socketio.AsyncClient(handle_sigint=False)
    try:
        async with ClientSession() as session:
            await tour(session, guest)
    except (OSError, ClientError, Refused, SocketIOError) as error:
        print(f"cannot talk to {URL}: {error}", file=sys.stderr)
        return 1
    finally:
        await guest.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
