"""The heartbeat: the server asks, and drops those from whom nothing comes. Nobody else.

Five peers are watched side by side for some heartbeats; each check judges one of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest_asyncio

from course.frames import build
from course.wire import Wire
from tests.harness.again import ask_again
from tests.harness.exchange import Exchange
from tests.harness.peer import MASK, PING, Ended, Peer
from tests.harness.subject import Subject
from tests.harness.verdict import CheckFailure, check, fail, require

WATCHED = 5.5  # heartbeats that the peers who must stay are watched for
LATEST = 3.0  # heartbeats after which a silent peer must be gone
EARLIEST = 1.9  # heartbeats before which nobody may be dropped
SLACK = 2.0  # seconds for a busy machine
DEAF_MESSAGES = 400  # of 60 KB: more than the kernel's buffers take


@dataclass
class Watched:
    """What became of one peer; times in heartbeats since its last sign of life."""

    exchange: Exchange = field(default_factory=Exchange)
    pings: int = 0
    ended: Ended | None = None
    ended_after: float = 0.0
    problem: CheckFailure | None = None

    def judge(self, subject: Subject) -> "Watched":
        """Make this peer's record the check's own, and pass on what went wrong in watching."""
        subject.exchange.events = self.exchange.events
        if self.problem:
            raise self.problem
        return self


class Ward:
    """The peers, named for what they do; each is watched by a task of its own."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.beat = subject.settings.heartbeat
        self.mute, self.ponging, self.talking = Watched(), Watched(), Watched()
        self.deaf, self.cut_off = Watched(), Watched()

    async def watch(self) -> None:
        """Watch all of them at once: five waits in the time of one."""
        scenes = (
            (self.mute, self.say_nothing),
            (self.ponging, self.only_pong),
            (self.talking, self.only_talk),
            (self.deaf, self.never_read),
            (self.cut_off, self.lose_the_cable),
        )
        await asyncio.gather(*(self._scene(watched, scene) for watched, scene in scenes))

    async def _scene(
        self, watched: Watched, scene: Callable[[Watched, Peer], Awaitable[None]]
    ) -> None:
        peer = Peer(watched.exchange)
        try:
            await peer.dial(self.subject.host, self.subject.port)
            await scene(watched, peer)
        except CheckFailure as failure:
            watched.problem = failure
        finally:
            await watched.exchange.close()
        watched.pings = len(peer.pings)

    async def arrive(self, peer: Peer) -> float:
        """Shake hands and hear the welcome; returns the time of our last sign of life.

        That is when the request left, not when the welcome was read: on a busy machine this may be
        long after, and a server counts from what it received.
        """
        sent = asyncio.get_running_loop().time()
        await peer.request(self.subject.path)
        await peer.welcome()
        return sent

    async def gone(self, watched: Watched, peer: Peer, since: float) -> None:
        """Wait for the end of a connection that has to end."""
        within = LATEST * self.beat + SLACK
        watched.ended = await peer.ended("that the server drops the connection", within)
        watched.ended_after = (asyncio.get_running_loop().time() - since) / self.beat

    async def say_nothing(self, watched: Watched, peer: Peer) -> None:
        peer.answers = False
        await self.gone(watched, peer, await self.arrive(peer))

    async def only_pong(self, watched: Watched, peer: Peer) -> None:
        await self.arrive(peer)
        await self.stay(watched, peer)

    async def only_talk(self, watched: Watched, peer: Peer) -> None:
        """Send data three times a heartbeat, and never a pong."""
        peer.answers = False
        await self.arrive(peer)

        async def talk() -> None:
            while True:
                await peer.send_json({"type": "echo", "data": "alive"})
                await asyncio.sleep(self.beat / 3)

        talking = asyncio.create_task(talk())
        await self.stay(watched, peer)
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)

    async def stay(self, watched: Watched, peer: Peer) -> None:
        """Listen for WATCHED heartbeats; note the end of the connection if it comes."""
        try:
            async with asyncio.timeout(WATCHED * self.beat):
                while await peer.next_frame() is not None:
                    pass
        except TimeoutError:
            return  # still open, as it should be
        watched.ended = Ended(None, "", peer.how_ended or "end")

    async def never_read(self, watched: Watched, peer: Peer) -> None:
        """Ask for megabytes and read none: the server's own sending comes to a halt."""
        since = await self.arrive(peer)
        load = {"type": "echo", "data": "x" * 60_000}
        try:
            async with asyncio.timeout(self.beat / 2):
                for _ in range(DEAF_MESSAGES):
                    await peer.send_json(load)
                    since = asyncio.get_running_loop().time()
                    await asyncio.sleep(0)  # the other peers have their turn
        except TimeoutError:
            pass  # the pipes are full both ways: nothing of us reaches the server any more
        # It must give up while nothing is read: a reset reaches us even so. Only when the time is
        # over is a last frame sent, to which a connection that is gone answers with a reset; and
        # one more, for who does not read learns of a reset only when it writes again. Sent too
        # early it would be a sign of life: a server that takes all in may be busy with it for long.
        if not await _closing(peer, since + LATEST * self.beat + SLACK / 2):
            for _ in range(2):
                await peer.send_raw(build(PING, mask=MASK), "a ping, after all this time")
                if await _closing(peer, asyncio.get_running_loop().time() + SLACK / 4):
                    break
            else:
                fail(
                    f"a peer that has read nothing for {LATEST:g} heartbeats is still served",
                    expected="the end of TCP",
                    got="an open connection",
                )
        watched.ended = Ended(None, "", "reset")

    async def lose_the_cable(self, watched: Watched, peer: Peer) -> None:
        """Behind a wire that swallows every byte: both ends still believe in the connection."""
        async with Wire(self.subject.host, self.subject.port) as wire:
            peer = Peer(watched.exchange)
            await peer.dial("127.0.0.1", wire.port)
            since = await self.arrive(peer)
            wire.blackhole()
            watched.exchange.add(
                "wire", "·", "from here on every byte vanishes, in both directions"
            )
            connection = await wire.connection(1)
            within = LATEST * self.beat + SLACK
            try:
                how = await connection.server_closed(within=within)
            except TimeoutError:
                fail(f"the server still holds the connection {within:g} s after the last byte")
            watched.exchange.add("wire", "·", f"the server gave up its end of the wire ({how})")
            watched.ended = Ended(None, "", str(how))
            watched.ended_after = (asyncio.get_running_loop().time() - since) / self.beat


async def _closing(peer: Peer, until: float) -> bool:
    """Whether TCP ends before `until`, in the loop's time, without anything being read.

    Who does not read is told of no end by asyncio, so this looks again and again.
    """

    async def closing() -> bool:
        return peer.writer.transport.is_closing()

    return await ask_again(closing, bool, until - asyncio.get_running_loop().time())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ward(_program: Subject) -> Ward:
    """All peers, watched to the end."""
    await _program.ensure_running()
    ward = Ward(_program)
    await ward.watch()
    return ward


def dropped_in_time(watched: Watched) -> None:
    """`fail()` unless the peer was dropped after two and before three heartbeats of silence."""
    late = LATEST + SLACK
    require(
        watched.ended_after >= EARLIEST,
        "the server drops a silent peer too early",
        expected="two heartbeats of silence at least: one lost pong is no death",
        got=f"dropped after {watched.ended_after:.1f} heartbeats",
    )
    require(watched.ended_after <= late, "the server drops a silent peer too late")


@check("RFC 6455 §5.5.2")
async def test_pings_arrive_on_time(subject: Subject, ward: Ward) -> None:
    """A control ping comes every HEARTBEAT_SECONDS.

    Send opcode 9 from a timer of each connection. Many libraries can do it by themselves; aiohttp's
    is off until you ask for it, and Node's ws has none.
    """
    watched = ward.ponging.judge(subject)

    fewest, most = 4, 6
    require(
        fewest <= watched.pings <= most,
        f"the pings in {WATCHED:g} heartbeats are too few or too many",
        expected=f"{fewest} to {most}",
        got=watched.pings,
    )


@check("Wire contract, chapter 3")
async def test_mute_peer_is_dropped(subject: Subject, ward: Ward) -> None:
    """A peer that never answers is gone within three heartbeats, and not before two.

    Remember when you last heard anything from the peer. When that is longer ago than 2.5
    heartbeats, end the connection.

    Do not wait for its answer to your close frame: nobody is there. Close TCP (abort, terminate).
    """
    watched = ward.mute.judge(subject)

    require(watched.pings, "the peer was not even asked", expected="pings", got="none")
    dropped_in_time(watched)


@check("Wire contract, chapter 3")
async def test_peer_that_only_pongs_stays(subject: Subject, ward: Ward) -> None:
    """A peer that only answers pings stays.

    A browser tab that nobody touches does just this. A pong is a sign of life: note the time when
    one comes. Some libraries swallow pongs before you see them.
    """
    watched = ward.ponging.judge(subject)

    require(watched.pings, "the peer was never asked", expected="pings", got="none")
    require(
        watched.ended is None,
        "the server drops a peer that answers every ping",
        expected=f"an open connection after {WATCHED:g} heartbeats",
        got=watched.ended,
    )


@check("Wire contract, chapter 3")
async def test_peer_that_only_talks_stays(subject: Subject, ward: Ward) -> None:
    """A peer that sends data stays, though it never answers a ping.

    Any frame shows that the peer is alive. A flag that only a pong can set drops a client in the
    middle of its upload.
    """
    watched = ward.talking.judge(subject)

    require(watched.pings, "the peer was never asked", expected="pings", got="none")
    require(
        watched.ended is None,
        "the server drops a peer that talks all the time",
        expected=f"an open connection after {WATCHED:g} heartbeats",
        got=watched.ended,
    )


@check("Wire contract, chapter 3")
async def test_peer_behind_a_cut_cable_is_dropped(subject: Subject, ward: Ward) -> None:
    """A peer behind a cut cable is dropped, and its connection given back.

    No FIN and no RST comes: the link is half open. Only silence tells. End TCP on your side too, or
    the socket and all that hangs on it stay until the machine restarts.
    """
    dropped_in_time(ward.cut_off.judge(subject))


@check("Wire contract, chapter 3")
async def test_peer_that_never_reads_is_dropped(subject: Subject, ward: Ward) -> None:
    """A peer that asks and never reads is dropped too.

    The buffers are full, so a send waits, and so does a ping that is sent the same way. The
    deadline must not stand in that queue: let it run beside, and end TCP when it is over.
    """
    require(ward.deaf.judge(subject).ended, "the server still serves a peer that reads nothing")


@check("Wire contract, chapter 3")
async def test_app_ping(subject: Subject) -> None:
    """The message `ping` is answered with `pong` and its requestId.

    A page cannot send control pings, so it asks with a message. This is another thing than opcode
    9: an envelope with the type ping.
    """
    peer = await subject.client()

    await peer.send_json({"type": "ping", "requestId": "beat-1"})

    reply = await peer.json('{"type":"pong","requestId":"beat-1"}')
    got = {name: reply.get(name) for name in ("type", "requestId")}
    require("ts" in reply, "the pong has no ts", got=reply)
    expected = {"type": "pong", "requestId": "beat-1"}
    require(got == expected, "the reply is wrong", expected=expected, got=got)
