"""The client manager of chapter 10 does what the library's own does, member by member.

Every scene is played with both managers, and both have to pass. What follows `ours` is what only
the chapter's promises.
"""

import asyncio
import base64
import gc
import importlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import aiohttp
import pytest
import socketio
from aiohttp import web
from engineio.packet import MESSAGE, Packet
from socketio.async_pubsub_manager import AsyncPubSubManager
from websockets.asyncio.client import ClientConnection, connect

from course.manifest import load

FOLDER = load().chapter(10).folder
WITHIN = 10.0
LONG = 300  # seconds between two heartbeats: none comes in a scene
BOTH = pytest.mark.parametrize("name", ["library", "chapter"])
ROOM = "room:test"


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The chapter's files, as its own programs import them."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in ("one_encoding", "line"):
        sys.modules.pop(name, None)


def part(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


class OverWebSocket:
    """A client by hand, on a WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.sid = ""

    async def next(self) -> str | bytes:
        async with asyncio.timeout(WITHIN):
            return await self.socket.recv()

    async def say(self, packet: str) -> None:
        await self.socket.send(packet)


class OverPolling:
    """A client by hand that polls."""

    def __init__(self, http: aiohttp.ClientSession, address: str) -> None:
        self.http, self.address, self.sid, self.session = http, address, "", ""
        self.came: list[str] = []

    async def next(self) -> str | bytes:
        async with asyncio.timeout(WITHIN):
            while not self.came:
                async with self.http.get(self.address) as answer:
                    self.came = (await answer.text()).split("\x1e")
                    assert answer.status == 200, self.came
        packet = self.came.pop(0)
        return base64.b64decode(packet[1:]) if packet[:1] == "b" else packet

    async def say(self, packet: str) -> None:
        async with self.http.post(self.address, data=packet.encode()) as answer:
            assert answer.status == 200


Client = OverWebSocket | OverPolling
AnyClient = TypeVar("AnyClient", OverWebSocket, OverPolling)


class Place:
    """One server in this process, with one of the two managers, and its clients."""

    def __init__(self, manager: Any) -> None:
        self.sio = socketio.AsyncServer(
            async_mode="aiohttp", client_manager=manager, ping_interval=LONG, ping_timeout=LONG
        )
        self.manager, self.port = manager, 0
        self.stack = AsyncExitStack()
        # As the chapter keeps them: nothing that a request holds may hold the WebSocket.
        self.open: WeakKeyDictionary[web.WebSocketResponse, web.Request] = WeakKeyDictionary()

    async def note(self, request: web.Request, response: web.StreamResponse) -> None:
        if isinstance(response, web.WebSocketResponse):
            self.open[response] = request

    async def dial(self, query: str = "", **options: Any) -> ClientConnection:
        address = f"ws://127.0.0.1:{self.port}/socket.io/?EIO=4&transport=websocket{query}"
        options = {"compression": None, "max_queue": None, "proxy": None} | options
        return await self.stack.enter_async_context(
            connect(address, ping_interval=None, close_timeout=0.2, **options)
        )

    async def websocket(self, *rooms: str, **options: Any) -> OverWebSocket:
        client = OverWebSocket(await self.dial(**options))
        await client.next()
        return await self.enter(client, rooms)

    async def polling(self, *rooms: str) -> OverPolling:
        http = await self.stack.enter_async_context(aiohttp.ClientSession())
        address = f"http://127.0.0.1:{self.port}/socket.io/?EIO=4&transport=polling"
        client = OverPolling(http, address)
        client.session = json.loads(str(await client.next())[1:])["sid"]
        client.address += f"&sid={client.session}"
        return await self.enter(client, rooms)

    async def upgraded(self, *rooms: str) -> OverWebSocket:
        """A client that has polled, and changed over."""
        before = await self.polling(*rooms)
        client = OverWebSocket(await self.dial(f"&sid={before.session}"))
        client.sid = before.sid
        await client.say("2probe")
        assert await client.next() == "3probe"
        await client.say("5")
        assert await client.next() == "6"
        return client

    async def enter(self, client: AnyClient, rooms: tuple[str, ...]) -> AnyClient:
        await client.say("40")
        client.sid = json.loads(str(await client.next())[2:])["sid"]
        for room in rooms:
            await self.sio.enter_room(client.sid, room)
        return client

    async def settled(self, client: Client) -> None:
        """Until the engine's writer waits for packets: then a line is at rest."""
        eio_sid = self.manager.eio_sid_from_sid(client.sid, "/")
        async with asyncio.timeout(WITHIN):
            while not getattr(self.sio.eio.sockets[eio_sid].queue, "at_rest", True):  # noqa: ASYNC110
                await asyncio.sleep(0)  # a line has no event for this


@asynccontextmanager
async def place(name: str = "chapter", manager: Any = None) -> AsyncIterator[Place]:
    ours = part("one_encoding", "OneEncoding")
    found = Place(manager or (ours() if name == "chapter" else socketio.AsyncManager()))
    app = web.Application()
    app.on_response_prepare.append(found.note)
    if isinstance(found.manager, ours):
        app.on_response_prepare.append(found.manager.note_websocket)
    found.sio.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.port = runner.addresses[0][1]
    try:
        async with asyncio.timeout(3 * WITHIN), found.stack:
            yield found
    finally:
        await found.sio.shutdown()
        await runner.cleanup()


def packet(*event: Any) -> str:
    return "42" + json.dumps(event, separators=(",", ":"))


async def heard(client: Client, count: int) -> list[Any]:
    return [json.loads(str(await client.next())[2:]) for _ in range(count)]


@BOTH
async def test_each_member_hears_each_event_once_and_in_order(name: str) -> None:
    async with place(name) as here:
        members: list[Client] = [await here.websocket(ROOM) for _ in range(3)]
        members += [await here.polling(ROOM), await here.polling(ROOM)]

        for number in range(20):
            await here.sio.emit("tick", number, to=ROOM)
        await asyncio.gather(*(here.sio.emit("tick", n, to=ROOM) for n in range(20, 40)))

        for member in members:
            assert await heard(member, 40) == [["tick", number] for number in range(40)]


@BOTH
async def test_events_acks_and_events_again_stay_in_order(name: str) -> None:
    async with place(name) as here:
        member = await here.websocket(ROOM)

        async def ask(sid: str, number: int) -> int:
            await here.sio.emit("before", number, to=ROOM)
            return number

        here.sio.on("ask", ask)
        here.sio.async_handlers = False
        await here.settled(member)
        for number in range(30):
            await member.say(f'42{number}["ask",{number}]')

        for number in range(30):
            assert await member.next() == packet("before", number)
            assert await member.next() == f"43{number}[{number}]"


@BOTH
async def test_who_takes_nothing_for_a_while_hears_all_of_it_in_order(name: str) -> None:
    async with place(name) as here:
        late = await here.websocket(ROOM, max_queue=1)  # its library reads no further than this
        other = await here.websocket(ROOM)
        text = "x" * 50_000

        for number in range(150):  # more than both kernels hold
            await here.sio.emit("part", [number, text], to=ROOM)
        for number in range(150):
            assert (await heard(other, 1))[0][1][0] == number
        for number in range(150):
            assert (await heard(late, 1))[0][1][0] == number
        await here.settled(late)
        await here.sio.emit("end", to=ROOM)

        assert await late.next() == packet("end")


@BOTH
async def test_rooms_skips_namespaces_and_arguments(name: str) -> None:
    async with place(name) as here:
        a, b = await here.websocket("room:a", "room:b"), await here.websocket("room:b")
        c = await here.polling("room:a", "room:b")
        emit = here.sio.emit

        await emit("both", 1, to=["room:a", "room:b"])  # one copy for who is in both
        await emit("one", 2, to="room:b", skip_sid=a.sid)
        await emit("two", 3, room="room:b", skip_sid=[a.sid, b.sid])
        await here.manager.emit("nobody", 3, "/", to="room:c")
        await emit("person", 4, to=a.sid)
        await emit("many", (5, "帧", None), to="room:b")
        await emit("none", to="room:b")
        await emit("nobody", 6, to="room:c")
        await emit("elsewhere", 7, to="room:b", namespace="/other")
        await emit("all", {"list": []})

        ends = [["many", 5, "帧", None], ["none"], ["all", {"list": []}]]
        assert await heard(a, 5) == [["both", 1], ["person", 4], *ends]
        assert await heard(b, 5) == [["both", 1], ["one", 2], *ends]
        assert await heard(c, 6) == [["both", 1], ["one", 2], ["two", 3], *ends]


@BOTH
async def test_another_namespace_is_named_in_its_packets(name: str) -> None:
    async with place(name) as here:
        here.sio.on("connect", lambda sid, environ: None, namespace="/other")
        member = await here.websocket()
        await member.say("40/other,")
        await member.next()
        await here.settled(member)

        await here.sio.emit("tick", 1, namespace="/other")

        assert await member.next() == '42/other,["tick",1]'


@BOTH
async def test_a_callback_gets_what_the_client_acknowledges(name: str) -> None:
    async with place(name) as here:
        for member in (await here.websocket(), await here.polling()):
            asked = asyncio.create_task(here.sio.call("ask", 7, to=member.sid, timeout=WITHIN))
            assert await member.next() == '421["ask",7]'
            await member.say('431["yes"]')
            assert await asked == "yes"


@BOTH
@pytest.mark.parametrize("kind", ["websocket", "polling"])
async def test_binary_data_comes_in_parts(name: str, kind: str) -> None:
    async with place(name) as here:
        member: Client = await getattr(here, kind)(ROOM)

        await here.sio.emit("file", {"name": "a", "data": [b"\x00\xff", b"4"]}, to=ROOM)
        await here.sio.emit("end", to=ROOM)

        head = '{"name":"a","data":[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]}'
        assert await member.next() == f'452-["file",{head}]'
        assert [await member.next(), await member.next()] == [b"\x00\xff", b"4"]
        assert await member.next() == packet("end")


async def test_ours_binary_data_reaches_websockets_and_polls_at_once() -> None:
    async with place() as here:
        members: list[Client] = [await here.websocket(ROOM), await here.polling(ROOM)]

        await here.sio.emit("file", b"\x00\xff", to=ROOM)

        for member in members:
            assert await member.next() == '451-["file",{"_placeholder":true,"num":0}]'
            assert await member.next() == b"\x00\xff"


@BOTH
async def test_a_client_changes_over_to_a_websocket_and_misses_nothing(name: str) -> None:
    async with place(name) as here:
        member = await here.polling(ROOM)
        await here.sio.emit("tick", 0, to=ROOM)

        upgraded = OverWebSocket(await here.dial(f"&sid={member.session}"))
        await here.sio.emit("tick", 1, to=ROOM)
        await upgraded.say("2probe")
        assert await upgraded.next() == "3probe"
        await here.sio.emit("tick", 2, to=ROOM)
        came = [await member.next() for _ in range(3)]
        await upgraded.say("5")
        for number in range(3, 40):
            await here.sio.emit("tick", number, to=ROOM)
            await asyncio.sleep(0)

        while len([one for one in came if one != "6"]) < 40:
            came.append(await upgraded.next())
        assert [one for one in came if one != "6"] == [packet("tick", n) for n in range(40)]


@pytest.mark.parametrize("which", [0, 1])
async def test_ours_two_websockets_for_one_client_take_the_slow_way(which: int) -> None:
    async with place() as here:
        member = await here.polling(ROOM)
        both = [OverWebSocket(await here.dial(f"&sid={member.session}")) for _ in range(2)]
        for one in both:
            await one.say("2probe")
            assert await one.next() == "3probe"
        await both[which].say("5")
        assert await both[which].next() == "6"
        await here.settled(member)

        for number in range(5):
            await here.sio.emit("tick", number, to=ROOM)

        came = [await both[which].next() for _ in range(6)]
        assert [one for one in came if one != "6"][:5] == [packet("tick", n) for n in range(5)]


@BOTH
async def test_members_that_vanish_in_the_middle_take_nobody_with_them(name: str) -> None:
    async with place(name) as here:
        members = [await here.websocket(ROOM) for _ in range(5)]
        poller = await here.polling(ROOM)
        here.sio.eio.logger.disabled = True  # it warns of the one whose session is gone
        members[1].socket.transport.abort()
        gone = here.manager.eio_sid_from_sid(members[2].sid, "/")

        await here.sio.emit("tick", 1, to=ROOM)
        here.sio.eio.sockets.pop(gone)
        await here.sio.emit("tick", 2, to=ROOM)
        await here.sio.disconnect(members[3].sid)
        await here.sio.emit("tick", 3, to=ROOM)

        for member in (members[0], members[4], poller):
            assert await heard(member, 3) == [["tick", 1], ["tick", 2], ["tick", 3]]
        assert await heard(members[3], 2) == [["tick", 1], ["tick", 2]]
        assert await members[3].next() == "41"


@BOTH
@pytest.mark.parametrize("how", ["closed", "silent"])
async def test_who_is_given_up_gets_no_event(name: str, how: str) -> None:
    async with place(name) as here:
        members = [await here.websocket(ROOM) for _ in range(3)]
        engine = here.sio.eio.sockets[here.manager.eio_sid_from_sid(members[1].sid, "/")]
        await here.settled(members[1])
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        if how == "closed":
            engine.closed = True
        else:
            engine.last_ping = 1.0  # a ping that was not answered, long ago

        await here.sio.emit("tick", 1, to=ROOM)
        await here.sio.emit("tick", 2, to=ROOM)

        assert engine.closed
        assert (
            await heard(members[0], 2) == await heard(members[2], 2) == [["tick", 1], ["tick", 2]]
        )
        await engine.queue.put(Packet(MESSAGE, "end"))
        assert await members[1].next() == "4end"
        asyncio.get_running_loop().set_exception_handler(None)


@BOTH
async def test_nothing_follows_a_close_frame(name: str) -> None:
    async with place(name) as here:
        member = await here.websocket(ROOM)
        await here.settled(member)

        closing = asyncio.create_task(next(here.open.keys()).close(code=1001))
        await asyncio.sleep(0)
        for number in range(3):
            await here.sio.emit("tick", number, to=ROOM)
        came = [one async for one in member.socket]  # a frame after a close frame would raise
        await closing

        assert (came, member.socket.close_code) == ([], 1001)


@BOTH
async def test_who_offers_compression_can_read_what_comes(name: str) -> None:
    async with place(name) as here:
        member = await here.websocket(ROOM, compression="deflate")
        await here.settled(member)
        text = "帧" * 1000

        for _ in range(3):
            await here.sio.emit("one", text, to=ROOM)  # to a room, perhaps uncompressed
            await member.say('427["unknown"]')

        assert await heard(member, 3) == [["one", text]] * 3


@BOTH
@pytest.mark.parametrize("size", [0, 99, 100, 200, 65_000, 70_000])
async def test_events_of_every_length(name: str, size: int) -> None:
    async with place(name) as here:
        member = await here.websocket(ROOM, max_size=None)
        await here.settled(member)

        await here.sio.emit("one", "x" * size, to=ROOM)

        assert await heard(member, 1) == [["one", "x" * size]]


@dataclass
class Transport:
    """As much of a transport, and of a WebSocket, as a line looks at."""

    waiting: int = 0
    closing: bool = False
    closed: bool = False
    written: bytes = b""

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.written += data


@pytest.mark.parametrize(
    "why", ["at rest", "taken", "queued", "buffered", "closing", "closed", "another", "unknown"]
)
async def test_ours_a_line_is_written_to_when_nothing_is_before_it(why: str) -> None:
    line, transport = part("line", "Line")(), Transport()
    if why != "unknown":
        line.leads_to(transport, SimpleNamespace(transport=transport))
    writer = asyncio.create_task(line.get())
    await asyncio.sleep(0)
    if why == "queued":
        line.put_nowait("packet")  # and the writer has not come to it yet
    elif why == "taken":
        line.put_nowait("packet")
        await writer  # and has it in its hands
    elif why == "another":
        line.leads_to(Transport(), SimpleNamespace(transport=Transport()))
    transport.waiting = int(why == "buffered")
    transport.closing, transport.closed = why == "closing", why == "closed"

    assert line.write(b"frame") is (why == "at rest")
    assert transport.written == (b"frame" if why == "at rest" else b"")
    writer.cancel()


async def test_ours_one_encoding_and_no_queue_for_who_is_at_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = part("line", "Line")
    written: list[tuple[bool, int]] = []

    def write(self: Any, data: bytes, real: Any = line.write) -> bool:
        written.append((real(self, data), id(data)))
        return written[-1][0]

    async with place() as here:
        members = [await here.websocket(ROOM) for _ in range(9)]
        members.append(await here.upgraded(ROOM))
        await here.polling(ROOM)
        for member in members:
            await here.settled(member)
        monkeypatch.setattr(line, "write", write)

        await here.sio.emit("tick", 1, to=ROOM)

        assert [done for done, _ in written] == [True] * 10
        assert len({data for _, data in written}) == 1


async def test_ours_who_leaves_after_an_emit_has_got_the_event_before_the_ack() -> None:
    async with place() as here:
        member = await here.websocket(ROOM)
        await here.settled(member)

        async def leave(sid: str) -> str:
            emitting = asyncio.create_task(here.sio.emit("tick", 1, to=ROOM))
            await asyncio.sleep(0)  # it has begun, and so it is through
            await here.sio.leave_room(sid, ROOM)
            await emitting
            return "left"

        here.sio.on("leave", leave)
        await member.say('421["leave"]')

        assert await member.next() == packet("tick", 1)
        assert await member.next() == '431["left"]'


async def test_ours_an_emit_in_a_loop_does_not_starve_the_others() -> None:
    async with place() as here:
        await here.websocket(ROOM)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        for _ in range(50):
            await here.sio.emit("tick", to=ROOM)
        counting.cancel()

        assert turns >= 25


@BOTH
async def test_nothing_is_kept_of_who_has_left(name: str) -> None:
    async with place(name) as here:
        member, upgraded = await here.websocket(ROOM), await here.upgraded(ROOM)
        await here.sio.emit("tick", to=ROOM)
        assert await member.next() == await upgraded.next() == packet("tick")
        assert len(here.open) == 2

        await member.socket.close()
        await upgraded.socket.close()
        async with asyncio.timeout(WITHIN):
            while here.sio.eio.sockets or here.open:
                gc.collect()
                await asyncio.sleep(0.01)


async def test_ours_stands_below_a_manager_that_knows_other_instances() -> None:
    ours = part("one_encoding", "OneEncoding")
    bus: asyncio.Queue[Any] = asyncio.Queue()

    class Instances(AsyncPubSubManager, ours):  # type: ignore[misc, valid-type]
        async def _publish(self, data: Any) -> None:
            await bus.put(data)

        async def _listen(self) -> AsyncIterator[Any]:
            while True:
                yield await bus.get()

    async with place(manager=Instances()) as here:
        members: list[Client] = [await here.websocket(ROOM), await here.polling(ROOM)]
        await here.sio.emit("tick", 1, to=ROOM)
        message = {"method": "emit", "event": "tick", "data": [2], "namespace": "/", "room": ROOM}
        await bus.put({**message, "host_id": "another"})

        for member in members:
            assert await heard(member, 2) == [["tick", 1], ["tick", 2]]
        here.manager.thread.cancel()
