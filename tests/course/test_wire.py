"""The fault wire: what passes, what is broken, what is seen and what is printed.

Most tests hold both ends of a raw connection, so that they see exactly what arrives and how an end
comes. Nothing sleeps: each waits for an event, with a deadline that only a failure reaches.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from course import wire_command as command
from course.faults import Fault, FaultError, Side, parse_faults
from course.frames import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Frame,
    Head,
    build,
    close_payload,
    handshake_request,
)
from course.wire import Event, Wire, show

DEADLINE = 20.0  # seconds for what comes at once, on a busy machine
MASK = bytes.fromhex("37fa213d")
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


@dataclass
class End:
    """One end of a raw TCP connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readexactly(size)

    async def arrival(self) -> bytes:
        """The bytes of one read."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.read(65_536)

    async def rest(self) -> tuple[bytes, str]:
        """All that still comes, and how the stream ends: FIN or RST."""
        got = b""
        async with asyncio.timeout(DEADLINE):
            try:
                while data := await self.reader.read(65_536):
                    got += data
            except ConnectionResetError:
                return got, "RST"
        return got, "FIN"

    async def repeat(self, data: bytes) -> None:
        """Send the same until the connection breaks."""
        async with asyncio.timeout(DEADLINE):
            while True:
                await self.send(data)
                await asyncio.sleep(0)

    def finish(self) -> None:
        """End this side with a FIN."""
        self.writer.write_eof()

    def crash(self) -> None:
        """End with a RST."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Bench:
    """A raw server and its clients, all closed in the end."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[End] = asyncio.Queue()
        self.ends: list[End] = []
        self.server: asyncio.Server | None = None
        self.port = 0

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = End(reader, writer)
        self.ends.append(end)
        self.arrived.put_nowait(end)

    async def listen(self) -> None:
        self.server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def client(self, wire: Wire) -> End:
        end = End(*await asyncio.open_connection("127.0.0.1", wire.port))
        self.ends.append(end)
        return end

    async def pair(self, wire: Wire) -> tuple[End, End]:
        """A new connection through the wire: its client's end and its server's end."""
        client = await self.client(wire)
        async with asyncio.timeout(DEADLINE):
            return client, await self.arrived.get()

    async def websocket(self, wire: Wire) -> tuple[End, End]:
        """The same, behind a handshake."""
        client, server = await self.pair(wire)
        request = handshake_request(wire.url(), key="a2V5")
        await client.send(request)
        await server.exactly(len(request))
        await server.send(ANSWER)
        await client.exactly(len(ANSWER))
        return client, server

    async def close(self) -> None:
        assert self.server is not None
        self.server.close()
        for end in self.ends:
            end.writer.transport.abort()
        for end in self.ends:
            with contextlib.suppress(OSError):
                await end.writer.wait_closed()
        await self.server.wait_closed()


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.listen()
    yield bench
    await bench.close()


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a websockets server that greets and echoes."""

    async def handler(websocket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await websocket.send("welcome")
            async for message in websocket:
                await websocket.send(message)

    async with serve(handler, "127.0.0.1", 0, compression=None, close_timeout=1) as server:
        yield next(iter(server.sockets)).getsockname()[1]


def texts(count: int, mask: bytes | None = MASK) -> list[bytes]:
    return [build(TEXT, f"message {number}".encode(), mask=mask) for number in range(count)]


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


# Passing


async def test_bytes_pass_both_ways_as_they_are(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.pair(wire)
        payload = os.urandom(300_000)

        await asyncio.gather(client.send(payload), server.send(payload[::-1]))

        assert await server.exactly(len(payload)) == payload
        assert await client.exactly(len(payload)) == payload[::-1]


async def test_a_conversation_passes_up_to_its_close_code(echo: int) -> None:
    async with Wire("127.0.0.1", echo) as wire:
        async with connect(wire.url("/ws"), proxy=None) as client:
            await client.recv()
            for message in ("né😀", "", b"\x00\xff", "x" * 60_000):
                await client.send(message)
                assert await client.recv() == message
            await client.close(4001, "enough")

        connection = await wire.connection(1)
        await connection.closed(within=DEADLINE)
        close = connection.frames("server")[-1]
        assert (close.opcode, close.close_code) == (CLOSE, 4001)


async def test_ten_thousand_messages_pass_in_order(echo: int) -> None:
    async with (
        Wire("127.0.0.1", echo) as wire,
        connect(wire.url(), proxy=None, compression=None) as client,
        asyncio.TaskGroup() as tasks,
    ):
        await client.recv()

        async def speak() -> None:
            for number in range(10_000):
                await client.send(str(number))

        tasks.create_task(speak())
        async with asyncio.timeout(60):
            assert [await client.recv() for _ in range(10_000)] == [*map(str, range(10_000))]


async def test_one_side_may_end_while_the_other_goes_on(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.pair(wire)

        client.finish()
        assert await server.rest() == (b"", "FIN")
        await server.send(b"still here")
        server.finish()

        assert await client.rest() == (b"still here", "FIN")
        await (await wire.connection(1)).closed(within=DEADLINE)


@pytest.mark.parametrize("crashed", ["client", "server"])
async def test_a_reset_is_passed_on_as_a_reset(bench: Bench, crashed: Side) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.pair(wire)
        one, other = (client, server) if crashed == "client" else (server, client)

        one.crash()

        assert await other.rest() == (b"", "RST")
        ending = (await wire.connection(1)).ending(crashed)
        assert ending is not None
        assert (ending.how, ending.by) == ("RST", "peer")


async def test_a_write_that_finds_its_peer_gone_resets_the_writer(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.pair(wire)
        client.finish()
        assert await server.rest() == (b"", "FIN")

        client.crash()  # behind its FIN, so that only a write finds out
        with pytest.raises(ConnectionError):
            await server.repeat(b"anyone?")

        await (await wire.connection(1)).closed(within=DEADLINE)


async def test_a_fast_side_has_to_wait_for_a_slow_one(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.pair(wire)
        flood = bytes(64 << 20)  # more than all socket buffers on the way hold

        sending = asyncio.create_task(server.send(flood))
        done, _ = await asyncio.wait({sending}, timeout=1.0)

        assert not done, "the wire read on though the client took nothing"
        for _ in range(64):
            await client.exactly(1 << 20)
        await sending


async def test_pages_and_rest_pass_before_an_upgrade_on_the_same_connection(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.pair(wire)
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nGET /fake"
        for request, answer in [
            (b"GET /?token=secret HTTP/1.1\r\nHost: a\r\n\r\n", page),
            (handshake_request("ws://a/ws", key="a2V5"), b"HTTP/1.1 403 Forbidden\r\n"
             b"Content-Length: 0\r\n\r\n"),
            (handshake_request("ws://a/ws", key="a2V5"), ANSWER + build(TEXT, b"hi")),
        ]:  # fmt: skip
            await client.send(request)
            assert await server.exactly(len(request)) == request
            await server.send(answer)
            assert await client.exactly(len(answer)) == answer

        events = list(wire.events)[1:]
        assert kinds(events) == ["http", "http", *["handshake"] * 4, "frame"]
        assert events[0].text == "GET /?token=… HTTP/1.1"
        assert events[3].bad


async def test_a_frame_sent_right_behind_the_request_is_read_as_one(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.pair(wire)
        request = handshake_request(wire.url(), key="a2V5")
        early = build(TEXT, b"early", mask=MASK)

        await client.send(request + early)
        await server.exactly(len(request + early))

        connection = await wire.connection(1)
        assert [frame.payload for frame in connection.frames("client")] == [b"early"]


async def test_two_hundred_connections_pass_at_once(echo: int) -> None:
    async with Wire("127.0.0.1", echo) as wire:

        async def talk(number: int) -> None:
            async with connect(wire.url(), proxy=None, open_timeout=30) as client:
                await client.recv()
                await client.send(str(number))
                assert await client.recv() == str(number)

        async with asyncio.timeout(60):
            await asyncio.gather(*map(talk, range(200)))

        assert wire.accepted == 200
        for connection in wire.connections:
            await connection.closed(within=DEADLINE)


async def test_nothing_is_left_when_it_closes(bench: Bench) -> None:
    before = asyncio.all_tasks()
    async with Wire("127.0.0.1", bench.port, faults="chop, delay 1000") as wire:
        client, server = await bench.pair(wire)
        await client.send(b"never arrives")
        last = await bench.client(wire)
        port = wire.port

    assert asyncio.all_tasks() == before
    assert (await client.rest())[0] == b""
    assert (await server.rest())[0] == b""
    assert (await last.rest())[0] == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_server_that_is_not_there_is_named_and_the_client_dropped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Wire("127.0.0.1", port) as wire:
        assert await refused(wire) == "RST"

        assert wire.events[-1].bad
        assert f"cannot reach 127.0.0.1:{port} (connection refused)" in wire.events[-1].text
        assert (await wire.connection(1)).refused


# Slow and in pieces


async def test_chopped_bytes_arrive_one_at_a_time(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port, faults="chop client") as wire:
        client, server = await bench.pair(wire)

        await client.send(bytes(range(64)))
        await server.send(b"whole")

        assert [await server.arrival() for _ in range(64)] == [bytes([b]) for b in range(64)]
        assert await client.arrival() == b"whole"


async def test_delayed_bytes_come_in_order_and_so_much_later(bench: Bench) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with Wire("127.0.0.1", bench.port, faults="delay 30 client", sleep=sleep) as wire:
        client, server = await bench.pair(wire)

        await server.send(b"at once")
        assert await client.exactly(7) == b"at once"
        assert slept == []

        await client.send(b"later")
        client.finish()
        assert await server.rest() == (b"later", "FIN")
        assert len(slept) == 2
        assert all(25 < seconds <= 30 for seconds in slept)


async def test_a_throttle_lets_so_many_bytes_a_second_pass(bench: Bench) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with Wire("127.0.0.1", bench.port, sleep=sleep) as wire:
        wire.throttle(100)
        client, server = await bench.pair(wire)

        await client.send(bytes(1000))
        await server.exactly(1000)

        assert sum(slept[:200]) == pytest.approx(10, abs=0.1)
        assert max(slept) <= 0.05


# The half-open link


@pytest.mark.parametrize("gone", ["client", "server"])
@pytest.mark.parametrize("how", ["FIN", "RST"])
async def test_in_a_blackhole_no_end_learns_that_the_other_is_gone(
    bench: Bench, gone: Side, how: str
) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)
        one, other = (client, server) if gone == "client" else (server, client)
        hearing = asyncio.create_task(other.rest())
        connection = await wire.connection(1)

        wire.blackhole()
        await one.send(build(TEXT, b"lost"))
        one.finish() if how == "FIN" else one.crash()
        ending = await connection.until(lambda c: c.ending(gone), within=DEADLINE)
        await other.send(build(TEXT, b"are you there?"))
        await connection.until(
            lambda c: c.count("client") + c.count("server") == 2, within=DEADLINE
        )

        assert str(ending) == how
        assert not hearing.done(), "the end came through the blackhole"
        assert not connection.finished
        wire.heal()
        assert await hearing == (b"", how)


async def test_a_server_that_drops_a_vanished_client_is_seen_to_do_so(echo: int) -> None:
    async def mute(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    options = {"ping_interval": 0.05, "ping_timeout": 0.05, "close_timeout": 0.05}
    async with (
        serve(mute, "127.0.0.1", 0, **options) as server,  # type: ignore[arg-type]
        Wire("127.0.0.1", next(iter(server.sockets)).getsockname()[1]) as wire,
        connect(wire.url(), proxy=None, ping_interval=None, close_timeout=0) as client,
    ):
        connection = await wire.connection(1)

        wire.blackhole()

        ending = await connection.server_closed(within=DEADLINE)
        assert ending.by == "peer"
        assert connection.ending("client") is None
        assert client.close_code is None


async def test_a_blackhole_may_swallow_one_direction_only(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)
        wire.blackhole("server")

        await server.send(build(TEXT, b"lost"))
        await client.send(b"heard")
        client.finish()

        assert await server.rest() == (b"heard", "FIN")
        server.finish()
        assert await client.rest() == (b"", "FIN")


async def test_a_blackhole_also_frees_who_waits_for_a_peer_that_does_not_read(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        _, server = await bench.websocket(wire)
        connection = await wire.connection(1)
        flood = asyncio.create_task(server.send(build(BINARY, bytes(64 << 20))))
        await asyncio.wait({flood}, timeout=0.2)

        wire.blackhole()
        async with asyncio.timeout(60):
            await flood
        server.finish()

        assert str(await connection.server_closed(within=DEADLINE)) == "FIN"


async def test_a_healed_wire_carries_new_frames(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)
        connection = await wire.connection(1)
        lost, found = texts(2)

        wire.blackhole()
        await client.send(lost)
        await connection.until(lambda c: c.count("client") == 1, within=DEADLINE)
        wire.heal()
        await client.send(found)

        assert await server.exactly(len(found)) == found


# Ends


async def test_half_close_ends_one_stream_and_leaves_the_other(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)

        wire.half_close("server")

        assert await client.rest() == (b"", "FIN")
        await server.send(b"lost")
        await client.send(b"heard")
        assert await server.exactly(5) == b"heard"


async def test_a_reset_is_a_reset_at_both_ends(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)

        wire.reset()

        assert await client.rest() == (b"", "RST")
        assert await server.rest() == (b"", "RST")
        connection = await wire.connection(1)
        await connection.closed(within=DEADLINE)
        assert str(connection.ending("server")) == "RST by the wire"


async def test_a_reset_may_reach_one_end_only(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)
        connection = await wire.connection(1)
        hearing = asyncio.create_task(server.rest())

        wire.reset("client")

        assert await client.rest() == (b"", "RST")
        await server.send(build(TEXT, b"anyone?"))
        await connection.until(lambda c: c.count("server") == 1, within=DEADLINE)
        assert not hearing.done()
        server.crash()
        await connection.closed(within=DEADLINE)


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("source", ["client", "server"])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
async def test_the_cut_comes_exactly_behind_the_nth_frame(
    bench: Bench, how: str, source: Side, chunk: int
) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        wire.cut_after(3, source, reset=how == "RST")
        client, server = await bench.websocket(wire)
        one, other = (client, server) if source == "client" else (server, client)
        frames = texts(5, MASK if source == "client" else None)
        raw = b"".join(frames)

        with contextlib.suppress(ConnectionError):
            for begin in range(0, len(raw), chunk):
                await one.send(raw[begin : begin + chunk])

        assert await other.rest() == (b"".join(frames[:3]), how)
        assert (await one.rest())[1] == how


async def test_a_large_frame_passes_whole_before_the_reset(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port, faults="reset after 1 frame from server") as wire:
        client, server = await bench.websocket(wire)
        large = build(BINARY, bytes(8 << 20))

        with contextlib.suppress(ConnectionError):
            await server.send(large + build(TEXT, b"cut off"))

        assert await client.rest() == (large, "RST")


async def test_what_is_said_after_a_cut_vanishes_and_no_end_hears_of_the_other(
    bench: Bench,
) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)
        connection = await wire.connection(1)

        wire.cut()
        await client.send(texts(1)[0])
        client.crash()
        await connection.client_closed(within=DEADLINE)
        await server.send(texts(1, None)[0])
        server.finish()

        assert await server.rest() == (b"", "FIN")
        await connection.closed(within=DEADLINE)
        assert [e.vanished for e in wire.events if e.kind == "frame"] == [True, True]


async def test_the_cut_comes_exactly_behind_the_nth_byte(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port, faults="cut after 10 bytes from server") as wire:
        client, server = await bench.pair(wire)

        await server.send(b"0123456")
        await server.send(b"7890123456")

        assert await client.rest() == (b"0123456789", "FIN")


async def test_a_fault_may_strike_one_connection_only(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        wire.cut_after(1, "client", connection=2)
        raw = b"".join(texts(2))

        for number in (1, 2, 3):
            client, server = await bench.websocket(wire)
            await client.send(raw)
            client.finish()
            expected = texts(1)[0] if number == 2 else raw
            assert await server.rest() == (expected, "FIN")


async def test_a_cut_set_at_the_start_comes_right_behind_the_handshake(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port, faults="reset") as wire:
        client, server = await bench.pair(wire)
        await client.send(handshake_request(wire.url(), key="a2V5"))

        await server.send(ANSWER + build(TEXT, b"too late"))

        assert await client.rest() == (ANSWER, "RST")


async def test_counting_begins_when_the_fault_is_set(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)
        frames = texts(5)
        await client.send(frames[0] + frames[1])
        await server.exactly(len(frames[0] + frames[1]))

        (await wire.connection(1)).apply("cut after 2 frames from client")
        await client.send(b"".join(frames[2:]))

        assert await server.rest() == (frames[2] + frames[3], "FIN")


async def test_a_blackhole_may_begin_behind_a_frame(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        wire.apply("blackhole server after 2 frames from server")
        client, server = await bench.websocket(wire)
        frames = texts(3, None)

        await server.send(b"".join(frames))
        server.finish()
        connection = await wire.connection(1)
        await connection.until(lambda c: c.count("server") == 3, within=DEADLINE)

        assert await client.exactly(len(frames[0] + frames[1])) == frames[0] + frames[1]
        assert [e.vanished for e in wire.events if e.kind == "frame"] == [False, False, True]


async def cuts(bench: Bench, seed: int) -> list[str]:
    """Where each of six connections was cut at random, as seen by the end that was cut short."""
    async with Wire("127.0.0.1", bench.port, seed=seed) as wire:
        wire.cut_randomly((1, 9))
        found = []
        for number in range(1, 7):
            client, server = await bench.websocket(wire)
            with contextlib.suppress(ConnectionError):
                await client.send(b"".join(texts(10)))
                await server.send(b"".join(texts(10, None)))
            connection = await wire.connection(number)
            fault = await connection.until(
                lambda c: [
                    e.text for e in wire.events if (e.connection, e.kind) == (c.number, "fault")
                ]
            )
            heard = (await client.rest())[0], (await server.rest())[0]
            count, source = re.findall(r"cut after (\d) frames from (\w+)", fault[0])[0]
            whole = texts(int(count), MASK if source == "client" else None)
            assert heard[source == "client"] == b"".join(whole)
            found += fault
        return found


async def test_the_same_seed_cuts_at_the_same_frames(bench: Bench) -> None:
    once, again, other = [await cuts(bench, seed) for seed in (1, 1, 2)]

    assert once == again
    assert once != other
    assert len(set(once)) > 1


def test_a_draw_depends_on_seed_and_connection_alone() -> None:
    fault = Fault.parse("cut after 5-50 frames")

    drawn = [fault.drawn(7, connection) for connection in range(1, 101)]

    assert drawn == [fault.drawn(7, connection) for connection in range(1, 101)]
    assert {one.source for one in drawn} == {"client", "server"}
    counts = [one.after for one in drawn if isinstance(one.after, int)]
    assert 5 <= min(counts) < 10
    assert 45 < max(counts) <= 50


# Refusing


async def refused(wire_or_port: Wire | int) -> str:
    """How a connection ended that should have been turned away: FIN or RST."""
    port = wire_or_port if isinstance(wire_or_port, int) else wire_or_port.port
    try:
        client = End(*await asyncio.open_connection("127.0.0.1", port))
    except ConnectionResetError:  # so soon that it came before the connection was looked at
        return "RST"
    got, how = await client.rest()
    client.writer.transport.abort()
    assert got == b""
    return how


@pytest.mark.parametrize(("fault", "how"), [("refuse", "RST"), ("refuse fin", "FIN")])
async def test_a_refused_connection_ends_at_once(bench: Bench, fault: str, how: str) -> None:
    async with Wire("127.0.0.1", bench.port, faults=fault) as wire:
        assert await refused(wire) == how

        wire.heal()
        client, server = await bench.pair(wire)
        await client.send(b"hello")

        assert await server.exactly(5) == b"hello"
        assert [c.refused for c in wire.connections] == [True, False]


async def test_a_refusal_to_connect_can_be_healed(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port, faults="refuse connect") as wire:
        with pytest.raises(ConnectionRefusedError):
            await bench.client(wire)

        wire.heal()
        await bench.pair(wire)
        wire.apply("refuse connect")

        with pytest.raises(ConnectionRefusedError):
            await bench.client(wire)


async def test_a_wire_that_stops_accepting_refuses_and_keeps_its_port(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.pair(wire)
        port = wire.port

        wire.stop_accepting()

        with pytest.raises(ConnectionRefusedError):
            await bench.client(wire)
        await client.send(b"still open")
        assert await server.exactly(10) == b"still open"
        wire.start_accepting()
        assert wire.port == port
        await bench.pair(wire)


# Switching


async def test_a_fault_holds_for_open_connections_and_for_those_to_come(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        old, _ = await bench.pair(wire)

        wire.blackhole("client")
        new, _ = await bench.pair(wire)
        await old.send(b"x\n")
        await new.send(b"x\n")

        await wire.until(lambda events: sum(e.vanished for e in events) == 2, within=DEADLINE)


async def test_a_blow_strikes_those_that_are_open_and_no_later_one(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        old, _ = await bench.websocket(wire)

        wire.reset()
        assert (await old.rest())[1] == "RST"

        new, server = await bench.websocket(wire)
        await new.send(b"fine")
        assert await server.exactly(4) == b"fine"


async def test_one_connection_may_be_broken_and_the_others_not(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        first, _ = await bench.websocket(wire)
        second, server = await bench.websocket(wire)

        (await wire.connection(1)).reset()

        assert (await first.rest())[1] == "RST"
        await second.send(b"fine")
        assert await server.exactly(4) == b"fine"


# Watching


async def test_connections_are_numbered_in_the_order_of_arrival(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        for number in (1, 2, 3):
            client, server = await bench.websocket(wire)
            await client.send(build(TEXT, str(number).encode(), mask=MASK))
            connection = await wire.connection(number)
            await connection.until(lambda c: c.frames("client"), within=DEADLINE)
            assert connection.frames("client")[0].payload == str(number).encode()
            assert connection.upgraded
            assert server.reader


async def test_what_did_not_happen_is_told_with_what_did(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        await bench.websocket(wire)
        connection = await wire.connection(1)

        with pytest.raises(TimeoutError) as failure:
            await connection.server_closed(within=0.01)

        assert "the end of the server's side did not come within 0.01 s" in str(failure.value)
        assert "101 Switching Protocols" in str(failure.value)
        with pytest.raises(TimeoutError, match="connection 7"):
            await wire.connection(7, within=0.01)


async def test_an_error_of_who_listens_is_not_swallowed(bench: Bench) -> None:
    def broken(event: Event) -> None:
        if event.kind == "frame":
            raise RuntimeError("the listener broke")

    async def talk() -> None:
        async with Wire("127.0.0.1", bench.port, on_event=broken) as wire:
            client, server = await bench.websocket(wire)
            await client.send(texts(1)[0])
            await server.rest()

    with pytest.raises(ExceptionGroup) as failure:
        await talk()

    assert failure.group_contains(RuntimeError, match="the listener broke")


# Printing


@pytest.fixture
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


async def printed(bench: Bench, *sent: tuple[Side, bytes], faults: str = "") -> list[str]:
    """What a wire prints for these bytes, behind the handshake and without the time."""
    async with Wire("127.0.0.1", bench.port, faults=faults) as wire:
        client, server = await bench.websocket(wire)
        connection = await wire.connection(1)
        for side, raw in sent:
            await (client if side == "client" else server).send(raw)
        client.finish()
        server.finish()
        await connection.closed(within=DEADLINE)
        events = [event for event in wire.events if event.kind not in ("handshake", "ended")]
    return [show(event)[9:] for event in events[1:]]


@pytest.mark.usefixtures("_plain")
async def test_each_frame_is_printed_with_its_meaning(bench: Bench) -> None:
    lines = await printed(
        bench,
        ("client", build(TEXT, b'{"type":"ping"}', mask=MASK)),
        ("client", build(TEXT, b"hel", fin=False, mask=MASK)),
        ("client", build(PING, b"abcd", mask=MASK)),
        ("client", build(CLOSE, close_payload(4410, "token expired"), mask=MASK)),
    )

    assert lines == [
        '  1 → #1 text 15 bytes FIN masked {"type":"ping"}',
        "  1 → #2 text 3 bytes no FIN masked hel",
        '  1 → #3 ping 4 bytes masked "abcd"',
        "  1 → #4 close 4410 (credentials expired) masked token expired",
    ]


@pytest.mark.usefixtures("_plain")
async def test_frames_of_the_server_point_the_other_way(bench: Bench) -> None:
    lines = await printed(bench, ("server", build(BINARY, b"\x00\x01")))

    assert lines == ["  1 ← #1 binary 2 bytes FIN 00 01"]


@pytest.mark.usefixtures("_plain")
async def test_an_unmasked_client_and_a_bad_frame_are_named(bench: Bench) -> None:
    raw = build(TEXT, b"x") + build(3, b"y", mask=MASK) + build(TEXT, b"z", mask=MASK)

    lines = await printed(bench, ("client", raw))

    assert lines == [
        "  1 → #1 text 1 byte FIN (a client must mask) x",
        "  1 → #2 opcode 0x3 1 byte FIN masked (reserved opcode) 79",
        "  1 → #3 text 1 byte FIN masked z",
    ]


@pytest.mark.usefixtures("_plain")
async def test_a_fault_and_what_vanished_are_printed(bench: Bench) -> None:
    raw = build(TEXT, b"a", mask=MASK) + build(TEXT, b"b", mask=MASK)

    lines = await printed(bench, ("client", raw), faults="blackhole after 1 frame from client")

    assert lines == [
        "  1 → #1 text 1 byte FIN masked a",
        "  1 · blackhole after 1 frames from client",
        "  1 → #2 text 1 byte FIN masked b  ✗ vanished",
    ]


@pytest.mark.usefixtures("_plain")
async def test_a_payload_cannot_steer_the_terminal_or_show_a_token(bench: Bench) -> None:
    evil = '\x1b[2J\x07{"token":"abc.def"}\n'

    (line,) = await printed(bench, ("server", build(TEXT, evil.encode())))

    assert line == r'  1 ← #1 text 25 bytes FIN \x1b[2J\x07{"token":"…"}' + r"\n"


@pytest.mark.usefixtures("_plain")
async def test_the_handshake_is_printed_without_its_secrets(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.pair(wire)
        secret = {"Authorization": "Bearer hush", "Cookie": "a=hush", "X": "1"}
        await client.send(handshake_request("ws://a/ws?ticket=hush&r=1", key="k", headers=secret))
        await server.arrival()
        await server.send(ANSWER)
        await (await wire.connection(1)).opened(within=DEADLINE)

        request, answer = (show(event) for event in list(wire.events)[1:])

    assert [line[13:] for line in request.splitlines()] == [
        "→ GET /ws?ticket=…&r=1 HTTP/1.1",
        "→   Host: a",
        "→   Upgrade: websocket",
        "→   Connection: Upgrade",
        "→   Sec-WebSocket-Key: k",
        "→   Sec-WebSocket-Version: 13",
        "→   Authorization: …",
        "→   Cookie: …",
        "→   X: 1",
    ]
    assert answer.splitlines()[0].endswith("← HTTP/1.1 101 Switching Protocols")


@pytest.mark.parametrize("fresh", [False, True])
async def test_compressed_messages_are_printed_with_their_text_and_both_sizes(fresh: bool) -> None:
    deflate = ServerPerMessageDeflateFactory(fresh, fresh, 12, 12)
    message = "hello " * 100

    async def handler(websocket: ServerConnection) -> None:
        async for text in websocket:
            await websocket.send(text)

    async with (
        serve(handler, "127.0.0.1", 0, extensions=[deflate], compression=None) as server,
        Wire("127.0.0.1", next(iter(server.sockets)).getsockname()[1]) as wire,
        connect(wire.url(), proxy=None) as client,
    ):
        for _ in range(3):
            await client.send(message)
            assert await client.recv() == message

        connection = await wire.connection(1)
        for side in ("client", "server"):
            for frame in connection.frames(side):
                assert frame.compressed
                assert (frame.data, frame.inflated_length) == (message.encode(), 600)
                assert frame.length < 40
        shown = [event.text for event in wire.events if event.kind == "frame"]
        pattern = r"text \d+ bytes FIN RSV1( masked)? deflate of 600 bytes hello hello .*…"
        assert all(re.fullmatch(pattern, line) for line in shown)


@pytest.mark.usefixtures("_plain")
async def test_an_end_without_a_close_frame_is_called_unclean(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)
        await server.send(build(CLOSE, close_payload(1000)))
        server.finish()
        client.crash()
        connection = await wire.connection(1)
        await connection.closed(within=DEADLINE)

        told = {
            event.side: (event.text, event.bad) for event in wire.events if event.kind == "ended"
        }

    assert told["server"] == ("the server ended its side (FIN)", False)
    unclean = "the client ended its side (RST) without a close frame: 1006 (lost, no close frame)"
    assert told["client"] == (unclean, True)


async def test_an_end_behind_a_delayed_close_frame_is_clean(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        client, server = await bench.websocket(wire)
        wire.delay(0.01)
        await server.send(build(CLOSE, close_payload(1000)))
        server.finish()

        assert (await client.rest())[1] == "FIN"

        assert not wire.events[-1].bad
        assert kinds(list(wire.events))[-2:] == ["frame", "ended"]


def test_a_colour_stands_for_who_sent_it_and_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    ping = Frame(PING, b"", True, 0, False, b"\x89\x00", 0)

    amber = show(Event(0, 1, "frame", "x", "client"))
    teal = show(Event(0, 1, "frame", "x", "server"))
    grey = show(Event(0, 1, "frame", "x", "server", ping))
    red = show(Event(0, 1, "handshake", "x", "server", Head("HTTP/1.1 403 No", ()), bad=True))

    assert "\x1b[33m→ x\x1b[0m" in amber
    assert "\x1b[36m← x\x1b[0m" in teal
    assert "\x1b[90m← x\x1b[0m" in grey
    assert "\x1b[31m← x\x1b[0m" in red


# The words for faults


@pytest.mark.parametrize(
    "text",
    [
        "pass",
        "delay 0.5",
        "delay 2 server",
        "chop client",
        "throttle 1000",
        "blackhole",
        "blackhole client after 3 frames from server",
        "half-close server",
        "cut after 5 frames from client",
        "cut after 5-50 frames",
        "reset client after 100 bytes from server on connection 2",
        "refuse",
        "refuse fin on connection 1",
        "refuse connect",
    ],
)
def test_a_fault_reads_as_it_is_written(text: str) -> None:
    assert str(Fault.parse(text)) == text
    assert str(Fault.parse(f"  {text.upper()} ")) == text


def test_several_faults_are_separated_by_commas() -> None:
    assert parse_faults("chop, cut after 5 frames from client,") == [
        Fault("chop"),
        Fault("cut", after=5, source="client"),
    ]
    assert parse_faults([Fault("chop"), "delay 1"]) == [Fault("chop"), Fault("delay", 1.0)]
    assert Fault.parse("heal") == Fault("pass")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("explode", "no fault 'explode': pass, delay"),
        ("\x1b[2J", "no fault '\\x1b[2j'"),
        ("delay", "needs a number of seconds"),
        ("delay 0", "needs a number of seconds"),
        ("delay 1.2.3", "'1.2.3' is not a number"),
        ("throttle", "needs a number of bytes a second"),
        ("chop 3", "chop takes no number"),
        ("half-close", "needs a side"),
        ("cut client", "cut takes no side"),
        ("cut fin", "cut takes no 'fin'"),
        ("cut after 3 frames", "say whose are counted"),
        ("cut after 9-3 frames", "upside down"),
        ("cut after frames", "cannot read 'cut after frames'"),
        ("refuse after 3 frames from client", "takes no `after`"),
        ("reset on connection 0", "numbered from 1"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(FaultError) as refusal:
        Fault.parse(text)

    assert complaint in str(refusal.value)
    assert str(refusal.value).isprintable()


async def test_a_refusal_is_no_fault_of_one_connection(bench: Bench) -> None:
    async with Wire("127.0.0.1", bench.port) as wire:
        await bench.pair(wire)

        with pytest.raises(FaultError, match="set it on the wire"):
            (await wire.connection(1)).apply("refuse")


# The command


def options(*arguments: str) -> Any:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["wire", *arguments])


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--fault", "explode"], "FAULT=explode: no fault 'explode'"),
        (["--to", "wss://example.com/ws"], "plain ws:// only"),
        (["--to", "ftp://example.com"], "is not a WebSocket URL"),
        (["--to", "ws://127.0.0.1:99999"], "is not a URL"),
        (["--to", "ws://127.0.0.1:7/", "--listen", "7"], "LISTEN=7 is where the server is"),
        (["--listen", "door"], "LISTEN=door is not a port"),
        (["--listen", "70000"], "LISTEN=70000 is not a port"),
        (["--seed", "luck"], "SEED=luck is not a whole number"),
    ],
)
def test_the_command_says_in_one_line_why_it_cannot_start(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(options(*arguments))

    assert end.value.code == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("course: ")
    assert error.count("\n") == 1


async def test_the_command_says_that_its_port_is_taken(
    taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        await asyncio.to_thread(command.main, options("--listen", str(taken)))

    assert end.value.code == 2
    error = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1:{taken} (address already in use)" in error
    assert error.count("\n") == 1


def test_the_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TO": "a:1", "LISTEN": "2", "FAULT": "chop", "SEED": "3"}.items():
        monkeypatch.setenv(name, value)
    given = options()
    for name in ("TO", "LISTEN", "FAULT", "SEED"):
        monkeypatch.setenv(name, "")
    default = options()

    assert (given.to, given.listen, given.fault, given.seed) == ("a:1", "2", "chop", "3")
    assert (default.to, default.listen) == ("ws://127.0.0.1:8080/ws", "9000")
    assert default.fault == "pass"


async def test_a_learner_types_faults_while_it_runs_and_ends_it_with_ctrl_c(bench: Bench) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TO": f"127.0.0.1:{bench.port}", "LISTEN": "0", "NO_COLOR": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "course", "wire"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment | {"FAULT": "", "SEED": "5"},
    )
    os.close(theirs)
    screen = Screen(ours)
    try:
        port = int((await screen.until(r"ws://127\.0\.0\.1:(\d+)/ ")).group(1))
        assert await screen.until("seed 5")
        await screen.until("type a fault")
        screen.type("explode\n")
        await screen.until("✗ no fault 'explode'")
        screen.type("refuse\n")
        await screen.until("· refuse")
        assert await refused(port) == "RST"
        await screen.until(r"✗ refused \(RST\)")

        process.send_signal(signal.SIGINT)

        async with asyncio.timeout(DEADLINE):
            assert await process.wait() in (0, 130)
        assert "Traceback" not in screen.text
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        screen.close()


class Screen:
    """What a program shows on a terminal of its own."""

    def __init__(self, terminal: int) -> None:
        self.text = ""
        self._seen = 0
        self._terminal = terminal
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(terminal, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._terminal, 65_536)
        except OSError:  # the program has gone
            asyncio.get_running_loop().remove_reader(self._terminal)
            return
        self.text += data.decode(errors="replace")
        self._changed.set()

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    async def until(self, pattern: str) -> re.Match[str]:
        """Wait for text that matches, behind what was waited for before."""
        async with asyncio.timeout(60):
            while not (match := re.compile(pattern).search(self.text, self._seen)):
                self._changed.clear()
                await self._changed.wait()
        self._seen = match.end()
        return match

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._terminal)
        os.close(self._terminal)
