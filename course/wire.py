"""The fault wire: a TCP proxy on loopback that prints each frame and breaks connections on purpose.

It stands between a client and a server, needs no root, and counts in frames and bytes, not in
seconds, so that a fault falls on the same frame each time; what is random comes from a seed. Tests,
browser tests and `make wire` all use this one.

    async with Wire("127.0.0.1", 8080) as wire:
        client = await connect(wire.url("/ws"))
        wire.blackhole()
        connection = await wire.connection(1)
        await connection.server_closed(within=5)  # did the server find out?
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import socket
import struct
import sys
import termios
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, get_args

from course import console
from course.faults import (
    Breakable,
    Fault,
    FaultError,
    Faults,
    Side,
    parse_faults,
)
from course.frames import (
    CLOSE,
    BadFrame,
    Frame,
    Head,
    Item,
    Opaque,
    TalkReader,
    agreed_deflate,
    close_meaning,
    describe,
    head_lines,
    hide,
)

T = TypeVar("T")

READ_BYTES = 16_384  # taken from a socket at once
HELD_BYTES = 262_144  # read and not yet written, in one direction; a full hold stops the reading
THROTTLE_TICK = 0.05  # seconds between two pieces of a throttled stream
CHOP_TURNS = 4  # of the event loop between two bytes, so that a reader in it sees each alone
TAKEN_SECONDS = 1.0  # for the last bytes to arrive before a RST
CONNECT_SECONDS = 10.0  # for the connection to the target
WITHIN = 5.0  # seconds that the waiting methods wait by default
KEEP_BYTES = 4_096  # of a payload, in a record
EVENTS, FRAMES, CONNECTIONS = 10_000, 1_000, 1_000  # remembered: in all, a direction, finished


# What is seen


@dataclass(frozen=True, slots=True)
class Ending:
    """How one end of a connection ended.

    how  "FIN" or "RST"
    by   "peer", or "wire" for a RST that it got from the wire, passed on or made
    at   seconds since the connection was opened
    """

    how: Literal["FIN", "RST"]
    by: Literal["peer", "wire"]
    at: float

    def __str__(self) -> str:
        return self.how if self.by == "peer" else f"{self.how} by the wire"


Kind = Literal[
    "opened", "handshake", "http", "frame", "bytes", "ended", "fault", "refused", "problem"
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that the wire saw or did.

    at        seconds since the connection was opened, or since the wire was
    connection  its number, from 1; 0 for the wire as a whole
    kind      "http" is a request or response that is no handshake, "bytes" are neither HTTP nor
              frames, "ended" is one end that ended by itself
    side      who sent it or ended, None if neither did
    said      what is to be told of it; nothing where the item says it all
    item      the frame or head itself
    number    of a frame in its direction, from 1
    vanished  it was not passed on
    bad       an error or an unclean close
    """

    at: float
    connection: int
    kind: Kind
    said: str
    side: Side | None = None
    item: Item | None = None
    number: int = 0
    vanished: bool = False
    bad: bool = False

    @property
    def text(self) -> str:
        """In one line, safe to print, secrets hidden; a handshake has a line for each header."""
        if self.said or self.item is None:
            return self.said
        return hide(describe(self.item))


def is_bad(item: Item | None) -> bool:
    """Whether what was sent is an error, or tells of one."""
    match item:
        case Head():
            return (item.status or 0) >= 400
        case Frame():
            clean = item.close_code in (None, 1000, 1001, 1005, 1012)
            return bool(item.problem) or item.mask_wrong or not clean
    return isinstance(item, BadFrame)


_SIGNS = {"opened": "●", "ended": "○", "refused": console.PROBLEM, "problem": console.PROBLEM}
_ARROWS = {"client": console.TO_SERVER, "server": console.TO_CLIENT}


def show(event: Event) -> str:
    """An event as it is printed: when, which connection, the sign of its direction, what it is."""
    if event.kind in ("handshake", "http", "frame", "bytes"):
        sign = _ARROWS[event.side or "client"]
    else:
        sign = _SIGNS.get(event.kind, "·")
    if event.bad:
        paint = console.problem
    elif sign not in _ARROWS.values() or (isinstance(event.item, Frame) and event.item.control):
        paint = console.control
    else:
        paint = console.to_server if event.side == "client" else console.to_client
    when = f"{event.at:8.3f} {event.connection or '':>3}"
    begin = f"#{event.number} " if event.number else ""
    lines = []
    for line in event.text.splitlines():
        lines.append(f"{when} {paint(f'{sign} {begin}{line}')}")
        begin = "  "
    if event.vanished:
        lines[-1] += console.problem(f"  {console.PROBLEM} vanished")
    return "\n".join(lines)


def why(error: OSError) -> str:
    """The reason of a failed connection or bind, in a few words."""
    if error.errno:
        return os.strerror(error.errno).lower()
    return "time ran out" if isinstance(error, TimeoutError) else str(error)


class _Bell:
    """Wakes all who wait for the state to change. Between looking and `wait`, no other await."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()

    async def until(
        self, look: Callable[[], T | None], within: float, failed: Callable[[], str]
    ) -> T:
        """Wait until `look()` is true, and return it. Raises TimeoutError with `failed()`."""
        try:
            async with asyncio.timeout(within):
                while not (seen := look()):
                    await self.wait()
        except TimeoutError:
            raise TimeoutError(failed()) from None
        return seen


# A connection


@dataclass(slots=True)
class _End:
    """One end of a connection: the socket to the client, or the one to the server."""

    side: Side
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ending: Ending | None = None
    reset_by_wire: bool = False

    async def taken(self) -> None:
        """Wait until the kernel of the peer has all that was written, which a RST would discard.

        A peer that does not read is not waited for longer than TAKEN_SECONDS. Only Linux tells.
        """
        if sys.platform != "linux" or self.writer.transport.is_closing():
            return
        sock = self.writer.get_extra_info("socket")
        try:
            async with asyncio.timeout(TAKEN_SECONDS):
                # SIOCOUTQ of tcp(7) counts what is not acknowledged; no event tells of it.
                while any(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        except OSError:  # TimeoutError is one
            pass  # it does not read, or is gone

    def reset(self) -> None:
        """Send a RST (SO_LINGER with 0 s); what waits to be written is lost."""
        if not self.writer.transport.is_closing():
            self.reset_by_wire = True
            _linger_none(self.writer.get_extra_info("socket"))
            self.writer.transport.abort()


@dataclass(slots=True, frozen=True)
class _Trigger:
    at: int  # the count at which the fault comes
    fault: Fault


class _Lane:
    """One direction of a connection: what is wrong with it, and what has passed."""

    def __init__(self, source: Side, remember: int) -> None:
        self.source: Side = source
        self.reader = TalkReader(masked=source == "client", lenient=True, keep=KEEP_BYTES)
        self.frames = 0
        self.bytes = 0
        self.recorded: deque[Frame] = deque(maxlen=remember)
        self.closing = False  # a close frame has been seen
        self.ended = False  # its FIN was sent, or its target is gone: nothing passes any more
        self.triggers: list[_Trigger] = []
        self.queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()  # bounded by `held`
        self.held = 0
        self.room = _Bell()
        self.writing: asyncio.Timeout | None = None  # a write that waits for its target
        self.heal()

    def heal(self) -> None:
        self.triggers.clear()
        self.seconds = 0.0
        self.bytes_per_second = 0.0
        self.chopped = False
        self.blackholed = False

    @property
    def vanishing(self) -> bool:
        return self.blackholed or self.ended

    def interrupt(self) -> None:
        """Let a write that waits go: what it waits for no longer passes."""
        if self.writing is not None:
            self.writing.reschedule(asyncio.get_running_loop().time())

    async def hold(self, due: float, data: bytes) -> None:
        """Queue what was read; wait while too much of it is queued."""
        while self.held > HELD_BYTES:
            await self.room.wait()
        self.held += len(data) + 64  # an item has a cost of its own
        self.queue.put_nowait((due, data))

    async def next(self) -> tuple[float, bytes]:
        due, data = await self.queue.get()
        self.held -= len(data) + 64
        self.room.ring()
        return due, data

    def due(self, upgraded: bool) -> list[Fault]:
        """Take out the faults whose count has come."""
        counts = {"frames": self.frames if upgraded else -1, "bytes": self.bytes}
        due = [trigger for trigger in self.triggers if trigger.at <= counts[trigger.fault.unit]]
        self.triggers = [trigger for trigger in self.triggers if trigger not in due]
        return [trigger.fault for trigger in due]


class Connection(Breakable):
    """One connection through the wire, numbered from 1 in the order of arrival.

    number    its number
    upgraded  whether a 101 has passed
    refused   whether it was turned away, by a fault or because the target could not be reached
    finished  whether both its sockets are closed
    """

    def __init__(self, wire: Wire, number: int) -> None:
        self.number = number
        self.upgraded = False
        self.refused = False
        self.finished = False
        self._wire = wire
        self._opened = asyncio.get_running_loop().time()
        self._lanes = {side: _Lane(side, FRAMES) for side in get_args(Side)}
        self._ends: dict[Side, _End] = {}
        self._severed = False  # cut or reset by a fault: no end is passed on any more
        self._asked = False  # the client asked for WebSocket and has no answer yet
        self._early: list[Fault] = []  # set before there were two ends
        self._bell = _Bell()

    # Watching

    def frames(self, side: Side) -> list[Frame]:
        """The last frames that this side sent, passed on or vanished; payloads cut to 4 KiB."""
        return list(self._lanes[side].recorded)

    def count(self, side: Side) -> int:
        """How many frames this side has sent."""
        return self._lanes[side].frames

    def ending(self, side: Side) -> Ending | None:
        """How this end ended, None if it has not."""
        end = self._ends.get(side)
        return end.ending if end else None

    async def until(
        self, seen: Callable[[Connection], T | None], *, within: float = WITHIN, what: str = "that"
    ) -> T:
        """Wait until `seen(connection)` is true, and return it. Raises TimeoutError."""
        return await self._bell.until(
            lambda: seen(self), within, lambda: self._wire.failed(what, within, self.number)
        )

    async def opened(self, *, within: float = WITHIN) -> None:
        """Wait until the WebSocket is open: the 101 has come. Raises TimeoutError."""
        await self.until(lambda c: c.upgraded, within=within, what="the handshake")

    async def server_closed(self, *, within: float = WITHIN) -> Ending:
        """Wait for the end of the server's side, and tell how it was. Raises TimeoutError."""
        return await self._closed("server", within)

    async def client_closed(self, *, within: float = WITHIN) -> Ending:
        """Wait for the end of the client's side, and tell how it was. Raises TimeoutError."""
        return await self._closed("client", within)

    async def _closed(self, side: Side, within: float) -> Ending:
        what = f"the end of the {side}'s side"
        return await self.until(lambda c: c.ending(side), within=within, what=what)

    async def closed(self, *, within: float = WITHIN) -> None:
        """Wait until both sockets are closed. Raises TimeoutError."""
        await self.until(lambda c: c.finished, within=within, what="the end of both sides")

    # Breaking

    def apply(self, *faults: Fault | str) -> None:
        """Set faults on this connection, at once or from now on. Raises FaultError."""
        for fault in parse_faults(faults):
            if fault.action == "refuse":
                raise FaultError("refuse is about connections to come, so set it on the wire")
            self._set(fault, live=True)
            self._emit("fault", fault.announced)

    def _set(self, fault: Fault, *, live: bool) -> None:
        """Do a fault now, or put it on the counter. `live`: it comes to a running connection."""
        if fault.connection not in (None, self.number) or fault.action == "refuse":
            return
        fault = fault.drawn(self._wire.seed, self.number)
        after, source = fault.after, fault.source
        if after is None and not live and not fault.lasting:
            after, source = 0, "server"
        if after is None or (live and after == 0):
            self._do(fault)
            return
        assert isinstance(after, int)
        if after == 0 or source is None:  # right behind the handshake, which the server answers
            source = "server"
        lane = self._lanes[source]
        so_far = lane.frames if fault.unit == "frames" else lane.bytes
        lane.triggers.append(_Trigger(so_far + after, fault))

    def _do(self, fault: Fault) -> None:
        """Let a fault happen. Never waits, so that nothing passes in the middle of it."""
        if not self._ends and not fault.lasting:
            self._early.append(fault)
            return
        if self.finished:
            return
        sides = get_args(Side) if fault.side == "both" else (fault.side,)
        lanes = [self._lanes[side] for side in sides]
        if fault.action == "pass":
            lanes = list(self._lanes.values())
        match fault.action:
            case "pass":
                self._early.clear()
                for lane in lanes:
                    lane.heal()
            case "delay":
                for lane in lanes:
                    lane.seconds = fault.amount
            case "throttle":
                for lane in lanes:
                    lane.bytes_per_second = fault.amount
            case "chop":
                for lane in lanes:
                    lane.chopped = True
            case "blackhole":
                for lane in lanes:
                    lane.blackholed = True
                    lane.interrupt()
            case "half-close":
                self._finish(lanes[0])
            case "cut":
                self._severed = True
                for lane in lanes:
                    self._finish(lane)
            case "reset":
                self._severed = True
                for lane in self._lanes.values():
                    lane.ended = True
                for side in sides:
                    self._ends[side].reset()
        self._bell.ring()

    def _finish(self, lane: _Lane) -> None:
        """Send the FIN of one direction, behind what was written."""
        writer = self._target(lane).writer
        if not lane.ended and not writer.transport.is_closing():
            try:
                writer.write_eof()
            except OSError:
                pass  # the target has reset it this moment, and its own lane tells
        lane.ended = True
        lane.interrupt()

    def _target(self, lane: _Lane) -> _End:
        return self._ends["server" if lane.source == "client" else "client"]

    # Passing on

    async def _serve(self, client: _End, server: _End) -> None:
        """Carry both directions until both ends have ended."""
        self._ends = {"client": client, "server": server}
        early, self._early = self._early, []
        for fault in early:
            self._do(fault)
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in self._lanes.values():
                    tasks.create_task(self._read(lane))
                    tasks.create_task(self._pass(lane))
        finally:
            await _close(client.writer, server.writer)
            self.finished = True
            self._bell.ring()

    async def _read(self, lane: _Lane) -> None:
        """Take bytes from one end, and notice how it ends. Stops reading while the hold is full."""
        end = self._ends[lane.source]
        clock = asyncio.get_running_loop().time
        how: Literal["FIN", "RST"] = "FIN"
        try:
            while data := await end.reader.read(READ_BYTES):
                await lane.hold(clock() + lane.seconds, data)
        except OSError:
            how = "RST"
        self._note_end(end, how)
        await lane.hold(clock() + lane.seconds, b"")

    async def _pass(self, lane: _Lane) -> None:
        """Give the bytes of one end to the other, as the faults of the moment allow."""
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await lane.next()
            if due > clock():
                await self._wire.sleep(due - clock())
            if not data:
                break
            await self._convey(lane, data)
        for item in lane.reader.eof():
            self._note(lane, item)
        self._tell_end(lane)
        await self._pass_end(lane)

    async def _convey(self, lane: _Lane, data: bytes) -> None:
        """Pass `data` on, stopping where a fault is due: behind a frame, or behind a byte."""
        begin, passed = lane.bytes, 0
        stops: list[tuple[int, Item | None]] = [
            (end, item) for item, end in lane.reader.split(data)
        ]
        stops += [
            (trigger.at - begin, None)
            for trigger in lane.triggers
            if trigger.fault.unit == "bytes" and trigger.at <= begin + len(data)
        ]
        for end, item in sorted(stops, key=lambda stop: stop[0]):
            if item is not None:
                self._note(lane, item)
            lane.bytes = begin + end
            for fault in lane.due(self.upgraded):
                await self._forward(lane, data[passed:end])
                passed = end
                if fault.action == "reset":
                    await self._target(lane).taken()
                self._do(fault)
                self._emit("fault", str(fault))
        lane.bytes = begin + len(data)
        await self._forward(lane, data[passed:])

    async def _forward(self, lane: _Lane, data: bytes) -> None:
        """Write `data` in the pieces that the faults ask for; wait until each has left.

        The faults may change between two pieces.
        """
        writer = self._target(lane).writer
        rest = memoryview(data)
        while rest and not lane.vanishing:
            rate = lane.bytes_per_second
            size = max(1, int(rate * THROTTLE_TICK)) if rate else len(rest)
            piece = rest[: 1 if lane.chopped else size]
            rest = rest[len(piece) :]
            writer.write(piece)
            try:
                async with asyncio.timeout(None) as lane.writing:
                    await writer.drain()
            except TimeoutError:
                return  # interrupted: the rest vanishes
            except OSError:
                self._lose(lane)
                return
            finally:
                lane.writing = None
            if rate:
                await self._wire.sleep(len(piece) / rate)
            elif lane.chopped:
                for _ in range(CHOP_TURNS):
                    await asyncio.sleep(0)

    def _lose(self, lane: _Lane) -> None:
        """Its target is gone, as a write has shown: tell the source, if that may learn of it."""
        target = self._target(lane)
        self._note_end(target, "RST")
        lane.ended = True
        if not self._severed and not self._lanes[target.side].blackholed:
            self._ends[lane.source].reset()

    async def _pass_end(self, lane: _Lane) -> None:
        """Pass on how one end ended: a FIN as a FIN, a RST as a RST, and nothing while in the dark.

        In a blackhole the other end must not learn of it. It is kept for a later heal(), or until
        the other end has gone as well.
        """
        source, target = self._ends[lane.source], self._target(lane)
        while lane.blackholed and target.ending is None:
            await self._bell.wait()
        assert source.ending is not None
        if self._severed or source.ending.by == "wire":
            return
        if source.ending.how == "RST":
            target.reset()
        else:
            self._finish(lane)

    # Noting

    def _note(self, lane: _Lane, item: Item) -> None:
        """Record and tell what one side has sent."""
        match item:
            case Head():
                self._note_head(lane, item)
            case Frame():
                lane.frames += 1
                lane.recorded.append(item)
                lane.closing = lane.closing or item.opcode == CLOSE
                self._emit("frame", "", lane, item, number=lane.frames)
            case BadFrame() | Opaque():
                self._emit("bytes", "", lane, item)

    def _note_head(self, lane: _Lane, head: Head) -> None:
        client, server = self._lanes["client"].reader, self._lanes["server"].reader
        if lane.source == "client":
            self._asked = head.upgrades
            server.bodiless = head.line.startswith("HEAD ")
            handshake = self._asked
        else:
            handshake = self._asked
            if head.upgrades:
                self.upgraded = True
                client.inflate = agreed_deflate(head)[0]
            if self._asked and (head.status or 0) >= 200:
                self._asked = False
                client.refused()
        lines = head_lines(head)
        text = "\n".join(lines) if handshake else lines[0]
        self._emit("handshake" if handshake else "http", text, lane, head)

    def _note_end(self, end: _End, how: Literal["FIN", "RST"]) -> None:
        """Record how an end ended, as soon as that is known."""
        if end.ending is None:
            if end.reset_by_wire:
                end.ending = Ending("RST", "wire", self._now())
            else:
                end.ending = Ending(how, "peer", self._now())
            self._bell.ring()

    def _tell_end(self, lane: _Lane) -> None:
        """Tell how one side ended by itself, behind all that it sent."""
        ending = self._ends[lane.source].ending
        if ending is None or ending.by == "wire":
            return
        text = f"the {lane.source} ended its side ({ending.how})"
        unclean = self.upgraded and not lane.closing
        if unclean:
            text += f" without a close frame: 1006 ({close_meaning(1006)})"
        self._emit("ended", text, lane, bad=unclean or ending.how == "RST")

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._opened

    def _emit(
        self,
        kind: Kind,
        said: str,
        lane: _Lane | None = None,
        item: Item | None = None,
        *,
        number: int = 0,
        bad: bool = False,
    ) -> None:
        self._bell.ring()
        self._wire.tell(
            Event(
                self._now(),
                self.number,
                kind,
                said,
                side=lane.source if lane else None,
                item=item,
                number=number,
                vanished=item is not None and lane is not None and lane.vanishing,
                bad=bad or is_bad(item),
            )
        )


# The wire


class Wire(Breakable):
    """A proxy to `target_host:target_port`, open from `async with` to its end.

    listen_port  0: any free one, then found in `port`
    host         where it listens
    faults       faults for all connections, as `Fault`s or text (see `GRAMMAR`)
    seed         for what is drawn; None draws one, then found in `seed`
    on_event     called with each Event at once; must not block. `print(show(event))` is one
    sleep        how delays and throttles wait, in seconds; for tests without waiting

    Faults set on the wire hold for the connections that are open and for those to come, except that
    half-close, cut and reset without a count strike once, those that are open. Raises OSError if it
    cannot listen, and FaultError.
    """

    def __init__(
        self,
        target_host: str,
        target_port: int,
        *,
        listen_port: int = 0,
        host: str = "127.0.0.1",
        faults: Faults = (),
        seed: int | None = None,
        on_event: Callable[[Event], object] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.target = (target_host, target_port)
        self.host = host
        self.port = listen_port
        self.seed = random.randrange(1 << 32) if seed is None else seed
        self.sleep = sleep
        self.accepted = 0
        """How many connections have come, those that were refused included."""
        self.events: deque[Event] = deque(maxlen=EVENTS)
        """The last events, oldest first."""
        self._standing = parse_faults(faults)
        self._on_event = on_event
        self._connections: dict[int, Connection] = {}
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._bell = _Bell()
        self._opened = 0.0

    async def __aenter__(self) -> Self:
        self._opened = asyncio.get_running_loop().time()
        self.start_accepting()
        if any(fault.how == "connect" for fault in self._standing):
            self.stop_accepting()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_accepting()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # for their callbacks
        if self._errors and error is None:
            raise BaseExceptionGroup("the wire itself failed", self._errors)

    def url(self, path: str = "/ws") -> str:
        """The WebSocket URL of a path, through the wire."""
        return f"ws://{self.host}:{self.port}{path}"

    def http(self, path: str = "/") -> str:
        """The HTTP URL of a path, through the wire."""
        return f"http://{self.host}:{self.port}{path}"

    # Watching

    @property
    def connections(self) -> list[Connection]:
        """In the order of arrival: all that are open, and the last that are finished or refused."""
        return list(self._connections.values())

    async def connection(self, number: int = 1, *, within: float = WITHIN) -> Connection:
        """Wait for the connection with this number, from 1. Raises TimeoutError."""
        return await self._bell.until(
            lambda: self._connections.get(number),
            within,
            lambda: self.failed(f"connection {number}", within),
        )

    async def until(
        self,
        seen: Callable[[Sequence[Event]], T | None],
        *,
        within: float = WITHIN,
        what: str = "that",
    ) -> T:
        """Wait until `seen(events)` is true, and return it. Raises TimeoutError."""
        return await self._bell.until(
            lambda: seen(self.events), within, lambda: self.failed(what, within)
        )

    def failed(self, what: str, within: float, connection: int | None = None) -> str:
        """What a TimeoutError says: what was waited for, and what was seen instead."""
        events = [event for event in self.events if connection in (None, event.connection)]
        seen = "\n".join(show(event) for event in events[-8:]) or "nothing"
        return f"{what} did not come within {within:g} s; the wire saw last:\n{seen}"

    def tell(self, event: Event) -> None:
        """Record an event and hand it on."""
        self.events.append(event)
        self._bell.ring()
        if self._on_event is not None:
            self._on_event(event)

    def _say(self, kind: Kind, text: str) -> None:
        at = asyncio.get_running_loop().time() - self._opened
        self.tell(Event(at, 0, kind, text, bad=kind == "problem"))

    # Breaking

    def apply(self, *faults: Fault | str) -> None:
        """Set faults on the open connections and for those to come. Raises FaultError."""
        for fault in parse_faults(faults):
            if fault.action == "pass":
                if fault.connection is None:
                    self._standing.clear()
                    self.start_accepting()
            elif fault.lasting or fault.after is not None:
                self._standing.append(fault)
            if fault.how == "connect":
                self.stop_accepting()
            for connection in self.connections:
                if not connection.finished:
                    connection._set(fault, live=True)
            self._say("fault", fault.announced)

    def refuse(self, how: Literal["reset", "fin"] = "reset") -> None:
        """Accept new connections and end them at once."""
        self.apply(Fault("refuse", how=how))

    def stop_accepting(self) -> None:
        """Close the listening socket, so that connecting is refused. Open connections go on."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def start_accepting(self) -> None:
        """Listen, on the same port as before. Raises OSError."""
        if self._listener is not None:
            return
        listener = socket.create_server((self.host, self.port), backlog=1024)
        listener.setblocking(False)
        self._listener, self.port = listener, listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(listener, self._accept)

    # Connections

    def _accept(self) -> None:
        """Take the connection that waits. The loop calls again while there is another one."""
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # no more files: waiting for one would spin
            self.stop_accepting()
            text = f"{why(error)}: no connection is accepted until heal"
            self._say("problem", text)
            return
        client.setblocking(False)
        self.accepted += 1
        connection = Connection(self, self.accepted)
        self._remember(connection)
        refusal = next(
            (
                fault
                for fault in self._standing
                if fault.action == "refuse" and fault.connection in (None, connection.number)
            ),
            None,
        )
        if refusal is None:
            for fault in self._standing:
                connection._set(fault, live=False)
            connection._emit("opened", "open")
            self._spawn(self._serve(connection, client), client)
            return
        connection.refused = connection.finished = True
        how = "FIN" if refusal.how == "fin" else "RST"
        connection._emit("refused", f"refused ({how})", bad=True)
        if refusal.how == "fin":
            self._spawn(_turn_away(client), client)
        else:
            _linger_none(client)
            client.close()

    def _remember(self, connection: Connection) -> None:
        """Keep a connection; forget the oldest that is over, if there are many."""
        self._connections[connection.number] = connection
        if len(self._connections) > CONNECTIONS:
            old = next((c.number for c in self._connections.values() if c.finished), None)
            if old is not None:
                del self._connections[old]

    def _spawn(self, work: Coroutine[Any, Any, None], accepted: socket.socket) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        task.add_done_callback(lambda _: accepted.close())  # if it was cancelled before it began

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)
            self._say("problem", f"the wire itself failed: {error!r}")

    async def _serve(self, connection: Connection, accepted: socket.socket) -> None:
        """One connection, from its acceptance to the closing of both sockets."""
        reader, writer = await asyncio.open_connection(sock=accepted, limit=READ_BYTES)
        client = _End("client", reader, writer)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(*self.target, limit=READ_BYTES)
        except OSError as error:  # TimeoutError is one
            host, port = self.target
            connection.refused = connection.finished = True
            text = f"cannot reach {host}:{port} ({why(error)}): is the server running?"
            connection._emit("problem", text, bad=True)
            client.reset()
            await _close(client.writer)
            return
        except asyncio.CancelledError:
            await _close(client.writer)
            raise
        server = _End("server", reader, writer)
        for end in (client, server):
            # drain() then waits until all is with the kernel, so that a reset loses nothing of it.
            end.writer.transport.set_write_buffer_limits(high=0)
        await connection._serve(client, server)


def _linger_none(sock: socket.socket) -> None:
    """Make close() send a RST (socket(7), SO_LINGER)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _turn_away(client: socket.socket) -> None:
    """Send a FIN, and read to the end: closing with unread bytes would send a RST."""
    loop = asyncio.get_running_loop()
    with client:
        try:
            client.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(client, READ_BYTES):
                pass
        except OSError:
            pass  # gone already


async def _close(*writers: asyncio.StreamWriter) -> None:
    """Close sockets of which nothing more is expected, and wait until they are."""
    for writer in writers:
        writer.transport.abort()
    for writer in writers:
        try:
            await writer.wait_closed()
        except OSError:
            pass  # it had ended with an error, which was noted then
