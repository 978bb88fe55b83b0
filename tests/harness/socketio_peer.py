"""Peers that speak Socket.IO by hand, over a WebSocket and over HTTP long-polling.

They look to a `Member` like any other peer: what it says as an envelope becomes an event with an
id, and the ack comes back as the envelope of a reply. So the checks of the rooms ask both dialects.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from course.frames import build
from tests.harness.exchange import Exchange
from tests.harness.member import Envelope, Member, short
from tests.harness.peer import CLOSE, MASK, PONG, STRICT, TEXT, WITHIN, Ended, Peer
from tests.harness.verdict import CHECK_SECONDS, CheckFailure, fail, require

PATH = "/socket.io/"
QUERY = "?EIO=4&transport="
WEBSOCKET, POLLING = PATH + QUERY + "websocket", PATH + QUERY + "polling"
SEPARATOR = "\x1e"  # between the packets of one HTTP body
EVENTS = {"ping": "app:ping"}  # request → event, where the names differ
DONE = {
    "subscribe": "subscribed",
    "unsubscribe": "unsubscribed",
    "publish": "published",
    "ping": "pong",
}
ACK = re.compile(r"43(\d+)(\[.*\])", re.DOTALL)
ACK_FORM = '43id[{"ok":true,"data":…}] or 43id[{"ok":false,"error":{"code":…,"message":…}}]'
MOST = 1 << 26  # bytes of one HTTP answer


class SocketPeer(Peer):
    """One Socket.IO client. It reads in the background and answers the engine's pings.

    With `background` off it reads only when it is asked for something, as a busy page does.
    """

    def __init__(self, exchange: Exchange, name: str = "", *, background: bool = True) -> None:
        super().__init__(exchange, name)
        self.background = background
        self.reading: asyncio.Task[None] | None = None
        self.packets: deque[str] = deque()  # came, and not yet asked for; without the pings
        self.arrived = asyncio.Event()
        self.failure: CheckFailure | None = None  # what ended the reading
        self.beats: list[float] = []  # when the engine's pings came, in the loop's time
        self.asked: dict[int, tuple[str, str]] = {}  # id → type and requestId
        self.opened: dict[str, Any] = {}  # what the open packet says

    # The engine, which each transport does in its own way

    async def open(self) -> None:
        """The engine's handshake, on a connection that is dialled."""
        raise NotImplementedError

    async def read(self) -> list[str]:
        """The packets that come next, at least one."""
        raise NotImplementedError

    async def send_packets(self, *packets: str, text: str = "", within: float = WITHIN) -> None:
        """Send them together; `text` says what they are."""
        raise NotImplementedError

    def note_open(self, packet: str) -> None:
        expected = '0{"sid":…,"upgrades":[…],"pingInterval":…,"pingTimeout":…,"maxPayload":…}'
        try:
            opened = json.loads(packet[1:]) if packet[:1] == "0" else None
        except ValueError:
            opened = None
        fields = ("sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload")
        right = isinstance(opened, dict) and all(field in opened for field in fields)
        require(right, "the first packet does not open", expected=expected, got=packet[:200])
        assert isinstance(opened, dict)
        self.opened = opened

    async def enter(self, auth: str = "") -> str:
        """Open, ask for the namespace "/", and return the packet that answers."""
        await self.open()
        self.start_reading()
        await self.send_packets("40" + auth)
        return await self.packet("40{…} or 44{…}")

    async def welcome(self, within: float = WITHIN) -> Envelope:
        """Enter, and be let in."""
        packet = await self.enter()
        require(packet[:3] == "40{", "the client is not let in", expected="40{…}", got=packet[:200])
        return {"type": "welcome"}

    # Packets

    def start_reading(self) -> None:
        if self.background and self.reading is None:
            self.reading = asyncio.create_task(self._read_on())

    async def stop_reading(self) -> None:
        if self.reading is not None:
            self.reading.cancel()
            await asyncio.gather(self.reading, return_exceptions=True)
            self.reading = None

    async def _read_on(self) -> None:
        try:
            while True:
                await self._take()
        except CheckFailure as failure:
            self.failure = failure
        self.arrived.set()

    async def _take(self) -> None:
        for packet in await self.read():
            if packet == "2":
                self.beats.append(asyncio.get_running_loop().time())
                if self.answers:
                    await self.answer_ping()
            else:
                self.packets.append(packet)
        self.arrived.set()

    async def answer_ping(self) -> None:
        await self.send_packets("3")

    async def packet(self, expecting: str, within: float = WITHIN) -> str:
        """The next packet that is no ping of the engine."""
        try:
            async with asyncio.timeout(within):
                while not self.packets:
                    if self.failure is not None:
                        self.failure.expected = expecting
                        raise self.failure
                    if self.reading is None:
                        await self._take()
                    else:
                        self.arrived.clear()
                        await self.arrived.wait()
        except TimeoutError:
            fail("what has to come does not come in time", expected=expecting, got="nothing")
        return self.packets.popleft()

    # Envelopes, for the members

    def encode(self, message: Envelope) -> str:
        """The packet of a request."""
        number = len(self.asked) + 1
        self.asked[number] = (message["type"], message["requestId"])
        event = [EVENTS.get(message["type"], message["type"])]
        event += [message["data"]] if "data" in message else []
        return f"42{number}{json.dumps(event, ensure_ascii=False)}"

    async def send_json(self, value: object) -> None:
        assert isinstance(value, dict)
        await self.send_packets(self.encode(value))

    async def json(self, expecting: str, within: float = WITHIN) -> Envelope:
        """The next event or ack, as an envelope."""
        packet = await self.packet(expecting, within)
        if ack := ACK.fullmatch(packet):
            return self._reply(int(ack[1]), strict_json(ack[2]), packet)
        if not packet.startswith("42["):
            fail("a packet comes that has no place here", expected=expecting, got=packet[:200])
        event = strict_json(packet[2:])
        right = len(event) == 2 and isinstance(event[1], dict)
        require(right, "an event has one argument, an object", got=packet[:200])
        return {"type": event[0], **event[1]}

    def _reply(self, number: int, ack: list[Any], packet: str) -> Envelope:
        require(number in self.asked, "an ack comes for no event of ours", got=packet[:200])
        kind, request_id = self.asked[number]
        answer = ack[0] if len(ack) == 1 and isinstance(ack[0], dict) else {}
        ok = answer.get("ok")
        right = ok in (True, False) and ("data" if ok else "error") in answer
        require(right, "the ack is of another form", expected=ACK_FORM, got=packet[:200])
        head = {"requestId": request_id, "ts": time.time() * 1000}  # an ack needs no time
        if ok:
            return {"type": DONE.get(kind, kind), "data": answer["data"], **head}
        return {"type": "error", "data": answer["error"], **head}

    async def close(self) -> None:
        await self.stop_reading()
        await super().close()


class WebSocketPeer(SocketPeer):
    """Each packet is a text frame."""

    async def open(self) -> None:
        response = await self.request(WEBSOCKET)
        require(response.status == 101, "the handshake is refused", expected=101, got=response)
        self.note_open((await self.message("the open packet")).data.decode())

    async def read(self) -> list[str]:
        message = await self.message("a packet", CHECK_SECONDS)
        require(message.opcode == TEXT, "a packet is not in a text frame", got=message)
        return [message.data.decode()]

    async def send_packets(self, *packets: str, text: str = "", within: float = WITHIN) -> None:
        packets = tuple([await admitted(self, packet) for packet in packets])
        raw = b"".join(build(TEXT, packet.encode(), mask=MASK) for packet in packets)
        await self.send_raw(raw, text or f"text {short_packet(packets[0])}", within)

    async def send(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        """A close frame ends the reading first; a pong is the engine's, which is a message."""
        if opcode == PONG and not payload:
            await self.send_packets("3")
            return
        if opcode == CLOSE:
            await self.stop_reading()
        await super().send(opcode, payload, **options)


class PollingPeer(SocketPeer):
    """Packets come in the answers of GETs, and go in POSTs, on two TCP connections."""

    def __init__(self, exchange: Exchange, name: str = "", *, background: bool = True) -> None:
        super().__init__(exchange, name, background=background)
        self.poller = Peer(exchange, self.name)
        self.poller.most = MOST
        self.posting = asyncio.Lock()
        self.pongs: set[asyncio.Task[None]] = set()

    async def dial(self, host: str, port: int, *, receive_buffer: int | None = None) -> None:
        await super().dial(host, port)
        await self.poller.dial(host, port, receive_buffer=receive_buffer)

    @property
    def path(self) -> str:
        return f"{POLLING}&sid={self.opened['sid']}"

    async def open(self) -> None:
        response = await self.poller.request(POLLING, upgrade=False)
        require(response.status == 200, "the handshake is refused", expected=200, got=response)
        self.note_open(response.body.decode())

    async def read(self) -> list[str]:
        response = await self.poller.request(self.path, upgrade=False, within=CHECK_SECONDS)
        require(response.status == 200, "a poll is refused", expected=200, got=response)
        packets = response.body.decode().split(SEPARATOR)
        for packet in packets:
            self.exchange.add(self.name, "←", short_packet(packet), packet.encode())
        return packets

    async def send_packets(self, *packets: str, text: str = "", within: float = WITHIN) -> None:
        """In as many POSTs as the server's `maxPayload` asks for."""
        packets = tuple([await admitted(self, packet) for packet in packets])
        body = ""
        for packet in packets:
            longer = body + SEPARATOR + packet if body else packet
            if body and len(longer.encode()) > self.opened["maxPayload"]:
                await self.post(body, within)
                longer = packet
            body = longer
        await self.post(body, within)

    async def post(self, body: str, within: float = WITHIN) -> None:
        async with self.posting:
            self.exchange.add(self.name, "→", f"packets: {short_packet(body)}")
            response = await self.request(
                self.path,
                method="POST",
                upgrade=False,
                headers={"Content-Type": "text/plain;charset=UTF-8"}
                | {"Content-Length": str(len(body.encode()))},
                body=body.encode(),
                within=within,
            )
        require(response.status == 200, "a POST of packets is refused", expected=200, got=response)

    async def answer_ping(self) -> None:
        """Do not wait for it: a POST under way may itself wait for the next poll."""

        async def answer() -> None:
            with contextlib.suppress(CheckFailure):  # the next poll will say so too
                await self.send_packets("3")

        pong = asyncio.create_task(answer())
        self.pongs.add(pong)
        pong.add_done_callback(self.pongs.discard)

    async def stop_reading(self) -> None:
        await super().stop_reading()
        pongs = list(self.pongs)
        for pong in pongs:
            pong.cancel()
        await asyncio.gather(*pongs, return_exceptions=True)

    async def send(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        if opcode == PONG:
            await self.send_packets("3")
        elif opcode == CLOSE:
            await self.stop_reading()
            with contextlib.suppress(CheckFailure):  # it may have been ended already
                await self.send_packets("41", "1")

    async def ended(
        self, expecting: str, within: float = WITHIN, *, leaving: bool = False
    ) -> Ended:
        return Ended(None, "", "end")  # who polls ends it by saying so

    async def close(self) -> None:
        await super().close()
        await self.poller.close()

    def reset(self) -> None:
        super().reset()
        self.poller.reset()


class SocketMember(Member):
    """A member whose requests are events."""

    def __init__(self, peer: SocketPeer) -> None:
        super().__init__(peer)
        self.socket = peer

    async def send_together(
        self, requests: Iterable[tuple[str, object]], text: str, within: float = WITHIN
    ) -> list[str]:
        ids, packets = [], []
        for type, data in requests:
            request_id, message = self._request(type, data)
            ids.append(request_id)
            packets.append(self.socket.encode(message))
        await self.socket.send_packets(*packets, text=text, within=within)
        return ids


async def admitted(peer: Peer, packet: str) -> str:
    """A bare `40` with what the server's door wants to see; any other packet as it is."""
    if packet != "40" or peer.door is None:
        return packet
    host, port = peer.writer.get_extra_info("peername")[:2]
    return packet + await peer.door.auth(host, port)


def strict_json(text: str) -> list[Any]:
    """The array of a packet, as a browser would read it: NaN is none."""
    with contextlib.suppress(ValueError, RecursionError):
        value = STRICT.decode(text)
        if isinstance(value, list) and value:
            return value
    fail("a packet holds no JSON array", expected='["event", …]', got=short(text))


def short_packet(packet: str) -> str:
    text = packet.replace(SEPARATOR, " ␞ ")
    return text if len(text) <= 200 else f"{text[:200]} … ({len(packet)} characters)"
