"""Backpressure: a room goes at the pace of the fast, and whoever is slow costs little and is told.

Two scenes are played before the checks, and each check judges a part of one: a flood into a room in
which somebody does not read, and one into the memory of a program of its own.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_asyncio

from course.frames import build
from tests.harness.exchange import Exchange
from tests.harness.member import Envelope, Member, receivers, short
from tests.harness.peer import CLOSE, MASK, PONG, TEXT, Ended
from tests.harness.subject import Process, Subject
from tests.harness.verdict import CheckFailure, check, fail, require

OTHERS = 50  # members who read
SIZE = 64_000  # characters in a message of the flood
WINDOW = 3  # messages that a member who reads may be behind: fewer than any queue here takes
KERNEL = 4_194_304  # bytes that Linux takes at most for a socket nobody reads, if it does not say
AFTER = 5  # messages after the slow ones are gone
SMALL = 4096  # bytes: the receive buffer of those who do not read, so that they are soon full
SIGN_OF_LIFE = 0.3  # seconds between the pongs of a peer that must not pass for dead
END_SECONDS = 8.0  # for a slow one to be gone, after the flood
SLACK = 2.0  # seconds for a busy machine

KEYS, TICKS, TICK_SECONDS = 10, 200, 0.01  # ten updates in each tick: 1,000 a second for 2 s
FEWEST = 4  # flushes in these two seconds; a debounce has none
ROUNDS = 4  # values that a busy member misses

DEAF = 10  # members who do not read, in the scene about memory
FLOOD = 7_000_000  # bytes for each of them beyond what the kernel takes
UNREAD = 80_000_000  # bytes of answers that nobody reads
GROWTH = 64_000_000  # bytes
QUIET_SECONDS = 1.0  # after which a server that takes no bytes will take none


@dataclass(repr=False)  # a record is long, and pytest would print it
class Part:
    """What one part of a scene showed: its record, and what went wrong in playing it."""

    exchange: Exchange = field(default_factory=Exchange)
    problem: CheckFailure | None = None
    before: "Part | None" = None  # what has to go well for this part to begin
    begun: bool = False

    def judge(self, subject: Subject) -> None:
        """Make this record the check's own, and pass on what went wrong."""
        if not self.begun and self.before:
            self.before.judge(subject)
        subject.exchange.events = self.exchange.events
        if self.problem:
            raise self.problem


class Scene:
    """The room, its slow members, and what a `latest` publisher does beside them."""

    def __init__(self, subject: Subject) -> None:
        self.flooded = Part()
        self.deafened, self.told = Part(before=self.flooded), Part(before=self.flooded)
        self.updated, self.busied = Part(before=self.flooded), Part(before=self.flooded)
        self.subject = subject
        # of the flood
        self.sent = 0
        self.got: list[list[int]] = [[] for _ in range(OTHERS)]
        self.moved = asyncio.Event()
        self.slow_are_gone = asyncio.Event()  # as the server sees it; or the flood is over
        self.read: list[int] = []  # by the slow one that reads in the end
        self.ended: Ended | None = None
        self.figures: list[dict[str, Any]] = []  # of /api/stats, before and after the flood
        # of the updates
        self.values: dict[str, list[int]] = {}
        self.lasted = 0.0  # seconds from the first update until the last value came
        self.single_after = 0.0
        self.own: list[Envelope] = []  # what came back to the publisher, who did not want it
        self.coalesced = 0
        # of the busy member
        self.heard: list[str] = []
        self.expected: list[str] = []
        self.others_heard: list[str] = []
        self.figures_while_busy: dict[str, Any] = {}
        self.figures_when_read: dict[str, Any] = {}

    async def play(self) -> None:
        async with self._part(self.flooded) as subject:
            deaf = await self._slow(self.deafened, "room:flood", "room:deaf")
            late = await self._slow(self.told, "room:flood", "room:late")
            async with self._alive(deaf), self._alive(late) as still_late:
                reading = asyncio.create_task(self._read_at_last(late, still_late))
                try:
                    await self._flood(subject)
                finally:
                    self.slow_are_gone.set()
                    await reading
                await asyncio.gather(
                    self._gone(),
                    self._update(),
                    self._keep_busy(),
                )

    @contextlib.asynccontextmanager
    async def _part(self, part: Part) -> AsyncIterator[Subject]:
        part.begun = True
        try:
            yield self.subject.seen(part.exchange)
        except CheckFailure as failure:
            part.problem = part.problem or failure
        except (KeyError, TypeError, ValueError) as error:
            part.problem = CheckFailure("an answer has another shape", got=repr(error)[:200])
        finally:
            await part.exchange.close()

    async def _slow(self, part: Part, *channels: str) -> Member:
        """A member that reads nothing from here on."""
        member = await self.subject.seen(part.exchange).member(*channels, receive_buffer=SMALL)
        part.exchange.add(member.peer.name, "·", "from here on it reads nothing")
        return member

    @contextlib.asynccontextmanager
    async def _alive(self, member: Member) -> AsyncIterator[asyncio.Task[None]]:
        """Pongs all the time: it is not dead, it only does not read."""
        task = asyncio.create_task(stay_alive(member))
        try:
            yield task
        finally:
            await end(task)

    # The flood

    async def _flood(self, subject: Subject) -> None:
        self.figures.append(await figures(subject))
        others = [await subject.member("room:flood") for _ in range(OTHERS)]
        source = await subject.member("room:flood")
        listening = [asyncio.create_task(self._listen(i, other)) for i, other in enumerate(others)]
        last = most = enough(subject)
        try:
            while self.sent < last:
                self.sent += 1
                payload = {"n": self.sent, "text": "x" * SIZE}
                await source.publish("room:flood", "flood:message", payload, {"self": False})
                await self._all_have(self.sent - WINDOW)
                if last == most and self.sent % 5 == 0 and await self._slow_ones_are_gone(subject):
                    self.slow_are_gone.set()
                    last = min(self.sent + AFTER, most)
            await self._all_have(self.sent)
        except CheckFailure as failure:
            self.flooded.problem = failure
        finally:
            for task in listening:
                await end(task)
        for member in [*others, source]:
            member.peer.writer.transport.abort()
        self.figures.append(await figures(subject))

    async def _slow_ones_are_gone(self, subject: Subject) -> bool:
        said = await figures(subject)
        closed = said.get("slowClosed", 0) - self.figures[0].get("slowClosed", 0)
        members = said.get("channels", {})
        return closed >= 2 or not ("room:deaf" in members or "room:late" in members)

    async def _listen(self, index: int, member: Member) -> None:
        while True:
            event = await member.event("the next message of the flood", END_SECONDS)
            self.got[index].append(number(event))
            self.moved.set()

    async def _all_have(self, count: int) -> None:
        """Wait until everybody who reads has got so many."""
        while (fewest := min(len(got) for got in self.got)) < count:
            self.moved.clear()
            try:
                async with asyncio.timeout(SLACK + 3):
                    await self.moved.wait()
            except TimeoutError:
                fail(
                    "one who does not read keeps messages from those who do",
                    expected=f"{self.sent} messages for each of {OTHERS} members who read",
                    got=f"{fewest}, and then nothing for {SLACK + 3:g} s",
                )

    async def _gone(self) -> None:
        """Wait until the one that never reads is gone."""
        async with self._part(self.deafened) as subject:
            await subject.until_members("room:deaf", 0, within=END_SECONDS)

    async def _read_at_last(self, late: Member, alive: asyncio.Task[None]) -> None:
        await self.slow_are_gone.wait()  # and no later: it is not waited for long
        async with self._part(self.told):
            await end(alive)  # from here on it answers by itself
            self.told.exchange.add(late.peer.name, "·", "now it reads on")
            try:
                async with asyncio.timeout(END_SECONDS):
                    while (frame := await late.peer.next_frame()) is not None:
                        if frame.opcode == TEXT:
                            self.read.append(number(json.loads(frame.payload)))
                        elif frame.opcode == CLOSE:
                            late.peer.waiting.appendleft(frame)
                            break
            except TimeoutError:
                fail("the slow one is still connected, and nothing comes", expected="close 4008")
            self.ended = await late.peer.ended("the end of a connection that was closed")

    # Updates of ten values, much faster than anybody looks

    async def _update(self) -> None:
        async with self._part(self.updated) as subject:
            source = await subject.member("room:values")
            watcher = await subject.member("room:values")
            await subject.member("room:values")  # and one more: what is counted is per value
            now = asyncio.get_running_loop().time
            before = (await figures(subject)).get("coalesced", 0)
            replies = asyncio.create_task(source.all_replies(KEYS * TICKS, END_SECONDS))
            started, last = now(), {}
            for tick in range(TICKS):
                requests = []
                for key in range(KEYS):
                    last[str(key)] = tick * KEYS + key
                    requests.append(("publish", latest("room:values", str(key), last[str(key)])))
                await source.send_together(requests, f"{KEYS} updates, one of each value")
                while now() < started + (tick + 1) * TICK_SECONDS:  # noqa: ASYNC110
                    await asyncio.sleep(TICK_SECONDS / 4)
            self.watching = asyncio.create_task(self._watch(watcher, last))
            await self.watching
            self.lasted = now() - started
            for reply in await replies:
                receivers(reply, "room:values")
            self.coalesced = (await figures(subject)).get("coalesced", 0) - before
            started = now()
            await source.publish(
                "room:values", "value:changed", -1, {"policy": "latest", "key": "x"}
            )
            await source.hears("room:values", "value:changed", -1)
            await watcher.hears("room:values", "value:changed", -1)
            self.single_after = now() - started
            self.own = list(source.events)

    async def _watch(self, watcher: Member, last: dict[str, int]) -> None:
        """Note the values that come until each key shows its last."""
        while any(self.values.get(key, [-1])[-1] != value for key, value in last.items()):
            event = await watcher.event(f"the last values: {short(last)}", SLACK + 1)
            data = event["data"]
            self.values.setdefault(str(data["key"]), []).append(data["value"])

    # A member that is busy for a while

    async def _keep_busy(self) -> None:
        async with self._part(self.busied) as subject:
            room = "room:busy"
            slow = await subject.member(room, receive_buffer=SMALL)
            fast, source = await subject.member(room), await subject.member(room)
            async with self._alive(slow) as alive:
                self.busied.exchange.add(slow.peer.name, "·", "from here on it reads nothing")
                count = await fill(subject, room, source, fast)
                self.expected += [f"queue {number}" for number in range(1, count + 1)]
                await self._miss(source, fast)
                self.figures_while_busy = await figures(subject)
                await end(alive)
                self.busied.exchange.add(slow.peer.name, "·", "now it reads on")
                while not self.heard or self.heard[-1] != "queue last":
                    self.heard.append(name(await slow.event('the message "last"')))
            self.figures_when_read = await figures(subject)
            await publish(source, room, "drop", "when idle")
            self.heard.append(name(await slow.event("a message with the policy drop", SLACK)))
            self.expected.append("drop when idle")

    async def _miss(self, source: Member, fast: Member) -> None:
        """Something to drop, values that change, and a message that has to wait."""
        await publish(source, "room:busy", "drop", "when busy")
        self.others_heard.append(name(await fast.event("a message with the policy drop")))
        for count in range(1, ROUNDS + 1):
            await publish(source, "room:busy", "latest", str(count))
            self.others_heard.append(name(await fast.event(f"the value {count}", SLACK + 1)))
        await publish(source, "room:busy", "queue", "last")
        self.expected.append("queue last")


# How much is enough


def kernel() -> int:
    """The bytes that the sending side's kernel may take for a socket nobody reads."""
    try:
        return int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])
    except (OSError, ValueError, IndexError):
        return KERNEL


def enough(subject: Subject) -> int:
    """The messages after which a member who reads nothing has more waiting than it may."""
    return int(1.3 * (kernel() + subject.settings.queue_bytes + 2 * 65_536) / SIZE)


# What is said, and what comes back


async def fill(subject: Subject, room: str, source: Member, fast: Member) -> int:
    """Send to the room until something waits for the one who does not read; how many it took."""
    most = enough(subject)
    for count in range(1, most):
        await publish(source, room, "queue", str(count), "x" * SIZE)
        await fast.event("what the room is sent")
        if (await figures(subject)).get("queued", 0) > 0:
            return count
    fail(
        f"after {most} messages of {SIZE:,} bytes nothing waits for a member that reads none",
        expected='"queued" above 0 in /api/stats',
        got=short(await figures(subject)),
    )


async def publish(source: Member, room: str, policy: str, label: str, text: str = "") -> None:
    """Publish under a policy; `label` is what the event is recognised by."""
    more = {"self": False, "policy": policy} | ({"key": "k"} if policy == "latest" else {})
    await source.publish(room, f"busy:{policy}", {"label": label, "text": text}, more)


def name(event: Envelope) -> str:
    """`queue 3` for the third message of that policy."""
    return f"{str(event['type']).rpartition(':')[2]} {event['data']['label']}"


def latest(channel: str, key: str, value: int) -> Envelope:
    payload = {"key": key, "value": value}
    common = {"channel": channel, "event": "value:changed", "payload": payload}
    return {**common, "policy": "latest", "key": key, "self": False}


def number(event: Envelope) -> int:
    data = event.get("data")
    if not isinstance(data, dict) or "n" not in data:
        fail("an event of the flood is not what was published", got=short(event))
    return int(data["n"])


async def figures(subject: Subject) -> dict[str, Any]:
    """All that /api/stats says."""
    response = await subject.http("GET", "/api/stats")
    require(response.status == 200, "GET /api/stats fails", expected=200, got=response)
    try:
        return dict(json.loads(response.body))
    except (ValueError, TypeError):
        fail("GET /api/stats answers no JSON object", got=response.body[:200])


async def stay_alive(member: Member) -> None:
    """Send a pong now and then, and read nothing."""
    with contextlib.suppress(CheckFailure, ConnectionError):
        while not member.peer.writer.transport.is_closing():
            member.peer.writer.write(build(PONG, mask=MASK))
            await asyncio.sleep(SIGN_OF_LIFE)


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene(_program: Subject) -> Scene:
    """The flood and what follows it, played to the end."""
    await _program.ensure_running()
    scene = Scene(_program)
    await scene.play()
    return scene


# The slow and the others


@check("Wire contract, chapter 7")
async def test_others_get_everything(subject: Subject, scene: Scene) -> None:
    """While one member reads nothing, fifty others get every message of a flood, in order.

    Do not wait for a socket while you go through the members. What one of them cannot take now
    waits in a queue of its own, and the next is served.
    """
    scene.flooded.judge(subject)

    whole = list(range(1, scene.sent + 1))
    for got in scene.got:
        require(
            got == whole,
            "a member who reads loses messages, or gets them in another order",
            expected=f"1 to {scene.sent}",
            got=short(got),
        )


@check("Wire contract, chapter 7")
async def test_slow_reader_is_closed(subject: Subject, scene: Scene) -> None:
    """A member for whom more waits than its queue holds is closed, though it shows signs of life.

    QUEUE_LIMIT messages or QUEUE_BYTES bytes: one more and it is too slow. The heartbeat does not
    end it, since it answers. And do not wait for its answer to your close frame for ever: abort.
    """
    scene.deafened.judge(subject)


@check("Wire contract, chapter 7")
async def test_slow_reader_is_told(subject: Subject, scene: Scene) -> None:
    """A slow reader that reads on gets the beginning without a gap, and then close 4008.

    Forget what waits, and the close frame is next in line. Behind a megabyte it would come too
    late; and an abort tells nothing, so the client cannot know that it has to catch up.
    """
    scene.told.judge(subject)

    read = scene.read
    require(
        read == list(range(1, len(read) + 1)),
        "what the slow one reads before the close frame has a gap",
        expected="1, 2, 3 …",
        got=short(read),
    )
    require(len(read) < scene.sent, "the slow one got all of the flood", got=len(read))
    code = scene.ended.code if scene.ended else None
    require(code == 4008, "a slow reader is not told why", expected="close 4008", got=scene.ended)


@check("Wire contract, chapter 7")
async def test_what_waits_keeps_its_order(subject: Subject, scene: Scene) -> None:
    """A member that was busy for a while gets all that waited, in the order it was published.

    One queue for a connection, emptied in one place. Who writes past it because the socket seems
    free just now overtakes what waits.
    """
    scene.busied.judge(subject)

    queued = [label for label in scene.heard if label.startswith("queue")]
    expected = [label for label in scene.expected if label.startswith("queue")]
    require(
        queued == expected,
        "messages are lost, or come in another order",
        expected=f"{short(expected)}",
        got=f"{short(queued)}",
    )


@check("Wire contract, chapter 7")
async def test_many_small_messages_are_too_much_too(subject: Subject) -> None:
    """More than QUEUE_LIMIT messages may not wait, however small they are.

    Bytes are one bound, and the number of messages is the other: each costs more than its bytes,
    here and in the client that has to catch up.
    """
    slow = await subject.member("room:small", receive_buffer=SMALL)
    slow.peer.exchange.add(slow.peer.name, "·", "from here on it reads nothing")
    fast, source = await subject.member("room:small"), await subject.member("room:small")
    await fill(subject, "room:small", source, fast)
    before = (await figures(subject)).get("slowClosed", 0)

    many = subject.settings.queue_limit + 10
    data = {"channel": "room:small", "event": "check:said", "payload": 1, "self": False}
    await source.send_together([("publish", data)] * many, f"{many} small messages")
    await source.all_replies(many, END_SECONDS)

    after = (await figures(subject)).get("slowClosed", 0)
    require(
        after == before + 1,
        "a slow reader has more messages waiting than the queue may hold",
        expected=f"closed at {subject.settings.queue_limit} messages: slowClosed {before + 1}",
        got=f"slowClosed {after}",
    )


@check("RFC 6455 §5.2")
async def test_messages_of_every_length(subject: Subject) -> None:
    """Messages around the limits of the three forms of length arrive whole.

    Up to 125 bytes the length stands in the second byte of the frame, up to 65,535 in two bytes
    more, and beyond that in eight. Whoever makes frames by hand has to make all three.
    """
    source, member = await subject.member("room:x"), await subject.member("room:x")
    common = {"channel": "room:x", "event": "a:b", "self": False}
    await source.ask("publish", {**common, "payload": ""})
    around = len((await member.peer.message("an event with an empty payload")).data)

    room = subject.settings.max_message_bytes - 200  # what a request needs around its payload
    for length in (125, 126, 127, 65_535, 65_536, 65_537):
        if around < length < room:
            payload = "x" * (length - around)
            await source.ask("publish", {**common, "payload": payload})
            event = await member.peer.message(f"an event of {length} bytes")
            got = json.loads(event.data)
            require(got.get("data") == payload, f"an event of {length} bytes is not whole")


# Policies


@check("Wire contract, chapter 7")
async def test_latest_comes_now_and_then(subject: Subject, scene: Scene) -> None:
    """Of 1,000 updates a second each value comes at most once in FLUSH_MS, and the last is right.

    The first update sets the deadline, and no later one moves it. A debounce waits for a pause:
    under a steady stream it shows nothing.
    """
    scene.updated.judge(subject)

    most = int(scene.lasted * 1000 / subject.settings.flush_ms) + 1
    for key, values in scene.values.items():
        require(
            len(values) <= most,
            f"the value {key} comes too often",
            expected=f"at most {most} times in {scene.lasted:.1f} s",
            got=len(values),
        )
        require(
            len(values) >= FEWEST,
            f"the value {key} comes too seldom",
            expected=f"at least {FEWEST} times in {scene.lasted:.1f} s",
            got=len(values),
        )
        require(
            values == sorted(values), "an older value comes after a newer one", got=short(values)
        )
    require(
        not scene.own,
        "self: false is not obeyed under latest",
        expected="none",
        got=short(scene.own),
    )


@check("Wire contract, chapter 7")
async def test_single_update_arrives(subject: Subject, scene: Scene) -> None:
    """A single update arrives, at FLUSH_MS at the latest.

    A flush that only the next update starts keeps the last value for itself.
    """
    scene.updated.judge(subject)

    within = subject.settings.flush_ms / 1000 + SLACK
    after = scene.single_after
    require(after <= within, "a single update comes too late", expected=f"{within} s", got=after)


@check("Wire contract, chapter 7")
async def test_slow_member_ends_on_the_newest_value(subject: Subject, scene: Scene) -> None:
    """A member that was busy while a value changed gets the newest one, and not every one.

    What waits for a busy member is the newest value of each key too: when the next one comes, it
    takes the place of the one that waits.
    """
    scene.busied.judge(subject)

    seen = [label for label in scene.heard if label.startswith("latest")]
    require(
        seen[-1:] == [f"latest {ROUNDS}"],
        "the value that a slow member ends on is not the newest",
        expected=f"latest {ROUNDS}",
        got=short(seen),
    )
    require(
        len(seen) == 1,
        "a busy member gets values that were out of date before they left",
        expected=f"latest {ROUNDS} alone",
        got=short(seen),
    )


@check("Wire contract, chapter 7")
async def test_drop_is_for_who_is_not_busy(subject: Subject, scene: Scene) -> None:
    """With the policy drop, a busy member misses the message, and the others get it.

    Somebody is typing, a cursor moves: that is worth nothing later. It does not wait, and takes no
    room from what has to.
    """
    scene.busied.judge(subject)

    dropped = [label for label in scene.heard if label.startswith("drop")]
    require("drop when busy" in scene.others_heard, "nobody gets the message")
    require(
        dropped == ["drop when idle"],
        "a message to be dropped waits for a busy member, or never comes to an idle one",
        expected="drop when idle",
        got=short(dropped),
    )


@check("Wire contract, chapter 7")
async def test_keys_belong_to_their_channel(subject: Subject) -> None:
    """One key in two channels is two values.

    Keep what waits by channel and key. With the key alone, the price of gold in one room replaces
    the price of gold in another.
    """
    member = await subject.member("room:one", "room:two")
    more = {"policy": "latest", "key": "same"}

    for channel, value in (("room:one", 1), ("room:two", 2)):
        await member.publish(channel, "value:changed", value, more)

    events = [await member.event("a value in each channel", SLACK + 1) for _ in range(2)]
    got = sorted((event["channel"], event["data"]) for event in events)
    require(
        got == [("room:one", 1), ("room:two", 2)], "a value is missing", expected="both", got=got
    )


BAD = (
    {"policy": "newest"},
    {"policy": ""},
    {"policy": None},
    {"policy": 7},
    {"policy": ["latest"], "key": "k"},
    {"policy": "latest"},
    {"policy": "latest", "key": ""},
    {"policy": "latest", "key": None},
    {"policy": "latest", "key": 7},
    {"policy": "latest", "key": {}},
    {"policy": "latest", "key": "k" * 129},
)


@check("Wire contract, chapter 7")
async def test_policies_are_checked(subject: Subject) -> None:
    """A policy that is none, or `latest` without a key of 1 to 128 characters, is `bad_request`.

    To take a policy that you do not know for the default would send what the client thinks is
    dropped. The same over HTTP: 400.
    """
    member = await subject.member("room:lobby")
    common = {"channel": "room:lobby", "event": "check:said", "payload": 1}

    for bad in BAD:
        await member.refused("publish", {**common, **bad}, "bad_request")
        body = json.dumps({**common, **bad}).encode()
        response = await subject.http("POST", "/api/publish", body)
        require(
            response.status == 400,
            f"POST /api/publish takes {short(bad)}",
            expected=400,
            got=response,
        )
    await member.hears_nothing("every request was refused")
    for policy in ("queue", "drop"):
        await member.publish("room:lobby", payload=policy, more={"policy": policy})
        await member.hears("room:lobby", payload=policy)
    body = json.dumps({**common, "policy": "latest", "key": "k"}).encode()
    response = await subject.http("POST", "/api/publish", body)
    require(response.status == 202, "POST /api/publish refuses latest", expected=202, got=response)
    await member.hears("room:lobby", payload=1)


@check("Wire contract, chapter 7")
async def test_statistics(subject: Subject, scene: Scene) -> None:
    """GET /api/stats counts what waits, was dropped, was replaced, and who was closed as too slow.

    `queued` is what waits now, and goes back to 0. `dropped`, `coalesced` and `slowClosed` count
    from the start and never go back. Without numbers nobody finds out why a client misses things.
    """
    for part in (scene.flooded, scene.updated, scene.busied):
        part.judge(subject)

    busy, read = scene.figures_while_busy, scene.figures_when_read
    for figure in ("queued", "dropped", "coalesced", "slowClosed"):
        require(
            type(read.get(figure)) is int,
            f"/api/stats has no number {figure}",
            expected=f'"{figure}": a whole number',
            got=short(read),
        )
    require(busy["queued"] >= 1, "nothing waits for a busy member", expected="1 or more", got=busy)
    require(read["queued"] == 0, "what was read still waits", expected="queued 0", got=read)
    dropped = busy["dropped"] - scene.figures[0]["dropped"]
    require(dropped >= 1, "a message was dropped, and not counted", expected="1 or more", got=busy)
    sent, came = KEYS * TICKS, sum(len(values) for values in scene.values.values())
    require(
        scene.coalesced >= sent - came,
        "coalesced does not count the updates that a newer one replaced",
        expected=f"{sent - came} or more",
        got=scene.coalesced,
    )
    closed = scene.figures[-1]["slowClosed"] - scene.figures[0]["slowClosed"]
    require(closed == 2, "slowClosed is wrong after the flood", expected=2, got=closed)


@check("Wire contract, chapter 7")
async def test_closing_flushes(subject: Subject) -> None:
    """When the server stops, values that wait for their deadline are sent before the close frame.

    They stay when their publisher has left, too: a value belongs to its channel. At the end, flush
    first, and say goodbye then.
    """
    subject.need_process()
    async with subject.new_process(FLUSH_MS="60000").up() as process:
        mine = subject.seen(subject.exchange)
        mine.port = process.port
        source, member = await mine.member("room:lobby"), await mine.member("room:lobby")
        for value in (1, 2):
            more = {"policy": "latest", "key": "k", "self": False}
            await source.publish("room:lobby", "value:changed", value, more)
        await source.close()
        await member.hears_nothing("its deadline is a minute away")

        process.terminate()

        await member.hears("room:lobby", "value:changed", 2)
        ended = await member.peer.ended("close 1001")
        require(ended.code == 1001, "the goodbye is another", expected=1001, got=ended)


# Memory


@dataclass(repr=False)
class Grown:
    """How much memory a program took, and the record of it."""

    flood: Part = field(default_factory=Part)
    answers: Part = field(default_factory=Part)
    flood_bytes: int = 0
    answer_bytes: int = 0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def grown(_program: Subject) -> Grown:
    """A program of its own, flooded for members who do not read, then asked by one who does not."""
    grown = Grown()
    _program.need_process()
    async with _program.new_process().up() as process:
        for part, play in ((grown.flood, swell), (grown.answers, ask_and_read_nothing)):
            mine = _program.seen(part.exchange)
            mine.port = process.port
            try:
                size = await play(mine, process)
                if part is grown.flood:
                    grown.flood_bytes = size
                else:
                    grown.answer_bytes = size
            except CheckFailure as failure:
                part.problem = failure
            finally:
                await part.exchange.close()
    return grown


async def swell(subject: Subject, process: Process) -> int:
    """Flood a room in which nearly nobody reads; returns by how many bytes the program grew."""
    source = await subject.member("room:deep")
    payload = {"channel": "room:deep", "event": "flood:message", "payload": "x" * SIZE}
    for _ in range(20):  # so that what any program needs for such messages is there already
        await source.ask("publish", payload | {"self": False})
    alive = []
    for _ in range(DEAF):
        deaf = await subject.member("room:deep", receive_buffer=SMALL)
        alive.append(asyncio.create_task(stay_alive(deaf)))
    before = most = process.memory()
    for count in range((kernel() + FLOOD) // SIZE):
        await source.ask("publish", payload | {"self": False}, END_SECONDS)
        if count % 20 == 19:
            most = max(most, process.memory())
    for task in alive:
        await end(task)
    return most - before


async def ask_and_read_nothing(subject: Subject, process: Process) -> int:
    """Ask for megabytes and read none; returns by how many bytes the program grew."""
    peer = await subject.client(receive_buffer=SMALL)
    before = most = process.memory()
    question = json.dumps({"type": "echo", "data": "x" * SIZE}).encode()
    raw = build(TEXT, question, mask=MASK)
    peer.exchange.add(peer.name, "→", f"questions of {SIZE:,} bytes, and reads no answer")
    with contextlib.suppress(TimeoutError, ConnectionError):
        for count in range(UNREAD // SIZE):
            async with asyncio.timeout(QUIET_SECONDS):
                peer.writer.write(raw)
                await peer.writer.drain()
            if count % 100 == 99:
                most = max(most, process.memory())
    return max(most, process.memory()) - before


@check("Wire contract, chapter 7")
async def test_memory_of_a_flood(subject: Subject, grown: Grown) -> None:
    """A flood for members who do not read costs the server less than 64 MB.

    Some megabytes a member are in the kernel, and not yours. Bound the rest: by messages, and by
    bytes too, since 256 messages of 64 KB are 16 MB.
    """
    grown.flood.judge(subject)

    size = grown.flood_bytes
    require(
        size < GROWTH,
        f"{DEAF} members who do not read make the server grow",
        expected=f"less than {GROWTH // 1_000_000} MB",
        got=f"{size / 1_000_000:.0f} MB",
    )


@check("Wire contract, chapter 7")
async def test_memory_of_unread_answers(subject: Subject, grown: Grown) -> None:
    """A client that asks and does not read costs the server less than 64 MB.

    Read no faster than you answer: while an answer waits, take no new question from this client.
    Then its own buffers fill, and it has to wait.
    """
    grown.answers.judge(subject)

    size = grown.answer_bytes
    require(
        size < GROWTH,
        "a client that reads no answers makes the server grow",
        expected=f"less than {GROWTH // 1_000_000} MB",
        got=f"{size / 1_000_000:.0f} MB",
    )
