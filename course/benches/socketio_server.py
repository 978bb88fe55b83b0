"""One room on python-socketio, emitted to in the way that WAY names.

library   `emit` as the library has it
loop      a client manager that does no more than documented calls: no task for each member
patched   the same, and the engine's wait at each queue without a task: as in Python 3.12
one       the client manager of chapter 10, which PYTHONPATH leads to
"""

import asyncio
import importlib
import os
from types import SimpleNamespace
from typing import Any

import engineio.async_socket
import socketio
from aiohttp import web
from engineio.packet import MESSAGE, Packet
from socketio.packet import EVENT

WAY = os.environ["WAY"]
SECONDS = 600  # between two heartbeats: here only events are counted


class Loop(socketio.AsyncManager):  # type: ignore[misc]
    """Encode once, and send to one member after the other."""

    async def emit(self, event: str, data: Any, namespace: str, room: Any, **options: Any) -> None:
        encoded = self.server.packet_class(EVENT, [event, data], namespace).encode()
        packet = Packet(MESSAGE, encoded)
        for _, eio_sid in self.get_participants(namespace, room):
            await self.server.eio.send_packet(eio_sid, packet)


async def wait_for(awaitable: Any, timeout: float) -> Any:  # noqa: ASYNC109, as asyncio has it
    async with asyncio.timeout(timeout):
        return await awaitable


def manager() -> Any:
    if WAY == "patched":  # to see what it would save: nobody should do this to a library
        engineio.async_socket.asyncio = SimpleNamespace(**{**vars(asyncio), "wait_for": wait_for})
    if WAY == "one":
        return importlib.import_module("one_encoding").OneEncoding()
    return Loop() if WAY in ("loop", "patched") else socketio.AsyncManager()


MANAGER = manager()
SIO = socketio.AsyncServer(
    async_mode="aiohttp",
    async_handlers=False,
    client_manager=MANAGER,
    ping_interval=SECONDS,
    ping_timeout=SECONDS,
)


async def subscribe(sid: str, data: dict[str, Any]) -> dict[str, Any]:
    await SIO.enter_room(sid, data["channel"])
    return {"ok": True}


async def publish(sid: str, data: dict[str, Any]) -> dict[str, Any]:
    event = {"channel": data["channel"], "data": data["payload"]}
    await SIO.emit(data["event"], event, to=data["channel"])
    return {"ok": True}


if __name__ == "__main__":
    app = web.Application()
    SIO.on("subscribe", subscribe)
    SIO.on("publish", publish)
    if WAY == "one":
        app.on_response_prepare.append(MANAGER.note_websocket)
    SIO.attach(app)
    web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
