"""One encoding: an event for a room becomes bytes once, and those bytes go to every WebSocket.

Left alone, the library starts a task for each member, puts the packet into the member's queue, and
wakes the task that sends it. A client whose line is at rest needs none of that. Who is busy, polls
or changes over gets the packet through the queue, as ever: nothing overtakes anything.
"""

import asyncio
import time
import weakref
from typing import Any

import socketio
from aiohttp import web
from engineio.packet import MESSAGE, Packet
from socketio.packet import EVENT

from line import Line, frame

# A weak one: whoever keeps the request must not keep the WebSocket alive with it.
WEBSOCKET = web.RequestKey("websocket", weakref.ref)


class OneEncoding(socketio.AsyncManager):
    """The library's rooms, with a cheaper way to their members."""

    def set_server(self, server: socketio.AsyncServer) -> None:
        super().set_server(server)
        server.eio.create_queue = Line  # the engine asks for one for each client

    async def note_websocket(self, request: web.Request, response: web.StreamResponse) -> None:
        """aiohttp tells of each WebSocket before its 101: one more signal for the application."""
        if isinstance(response, web.WebSocketResponse):
            request[WEBSOCKET] = weakref.ref(response)
            if socket := self.server.eio.sockets.get(request.query.get("sid")):
                socket.queue.leads_to(response, request)

    async def connect(self, sid: str, namespace: str) -> str:
        """Who began with a WebSocket had no session to name in its request. Now it has one."""
        sid = await super().connect(sid, namespace)
        request = (self.server.get_environ(sid, namespace) or {}).get("aiohttp.request", {})
        socket = self.server.eio.sockets.get(self.eio_sid_from_sid(sid, namespace))
        if socket and WEBSOCKET in request and (websocket := request[WEBSOCKET]()):
            socket.queue.leads_to(websocket, request)
        return sid

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Any = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: Any = None,
        **options: Any,
    ) -> None:
        """Emit to a room in one step: nobody joins, leaves or is told anything in the middle."""
        if callback:  # each member gets an id of its own: there is nothing to share
            await super().emit(event, data, namespace, to or room, skip_sid, callback, **options)
            return
        arguments = list(data) if isinstance(data, tuple) else [] if data is None else [data]
        encoded = self.server.packet_class(EVENT, [event, *arguments], namespace).encode()
        parts = encoded if isinstance(encoded, list) else [encoded]  # binary data comes in parts
        # A packet remembers how it was first encoded, and polling encodes binary data otherwise.
        polled, sent = ([Packet(MESSAGE, part) for part in parts] for _ in range(2))
        raw = b"".join(frame(packet.encode()) for packet in sent)
        skipped = skip_sid if isinstance(skip_sid, list) else [skip_sid]
        sockets = self.server.eio.sockets
        overdue = time.time() - self.server.eio.ping_timeout
        gone = []
        for sid, eio_sid in self.get_participants(namespace, to or room):
            if sid in skipped:
                continue
            socket = sockets.get(eio_sid)
            if socket is None or socket.closed or (socket.last_ping or overdue) < overdue:
                gone.append(eio_sid)
            elif not socket.upgraded:
                for packet in polled:
                    socket.queue.put_nowait(packet)
            elif not socket.queue.write(raw):
                for packet in sent:
                    socket.queue.put_nowait(packet)
        # The library says what becomes of those; none of them may keep the others waiting.
        farewells = (self.server.eio.send_packet(eio_sid, polled[0]) for eio_sid in gone)
        await asyncio.gather(*farewells, return_exceptions=True)
        await asyncio.sleep(0)  # who emits in a loop lets others have their turn
