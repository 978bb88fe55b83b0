"""The rooms: who hears what, who may say what, and what is left when somebody goes."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest_asyncio

from course.wire import Wire
from tests.harness.exchange import Exchange
from tests.harness.member import Envelope, Member, alike, has_time, is_error, receivers, short
from tests.harness.peer import PONG, Response
from tests.harness.subject import Subject
from tests.harness.verdict import LAST, CheckFailure, check, fail, require

LONGEST = "room:" + "x" * 123  # 128 characters
BAD_NAMES: tuple[object, ...] = (
    *("lobby", "", ":", "room:", ":lobby", "room::lobby", "Room:lobby", "room:Lobby", "room:帧"),
    *("room lobby:1", "room:lobby\n", "room_1:lobby", LONGEST + "x", "room:" + "x" * 10_000),
    *(None, 7, True, ["room:lobby"], {"room:lobby": 1}, "__proto__", "undefined"),
)
MOST_CHANNELS = 100  # of one connection
NAMES, BATCH = 10_000, 250  # channels that one client asks for; requests sent in one write
BROADCASTS = 200  # events that are sent while others fail, or come and go
FAILING = 10  # members that reset in the middle of a broadcast
CHURNING = 4  # members that come and go
FLOOD, LARGE = 100, 60_000  # events and their bytes: more than the buffers of one who does not read
TOGETHER = 4  # of these events are published at once
SMALL_BUFFER = 4096  # bytes, of one who does not read
LATEST = 3.0  # heartbeats after which a silent member must be gone
SLACK = 2.0  # seconds for a busy machine


def event(channel: str, payload: object, name: str = "check:said") -> Envelope:
    """The body of a publish."""
    return {"channel": channel, "event": name, "payload": payload}


async def publish_over_http(subject: Subject, body: object) -> Response:
    """POST /api/publish; bytes are sent as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return await subject.http("POST", "/api/publish", raw)


# Who hears what


@check("Wire contract, chapter 5")
async def test_members_only(subject: Subject) -> None:
    """What is published in a channel reaches its members, and nobody else.

    A room is a set of connections, and a dict leads from the name to the set. Broadcasting means
    one loop over that set, not over all connections.

    The name is a key and no path: room:a does not contain room:a:b.
    """
    alice, bob = await subject.member("room:a"), await subject.member("room:a")
    elsewhere = await subject.member("room:b", "room:a:b", "room:aa")
    nowhere = await subject.member()

    await alice.publish("room:a", payload="for room:a")

    for member in (alice, bob):
        await member.hears("room:a", payload="for room:a")
        await member.hears_nothing("the one event has come already")
    await elsewhere.hears_nothing("its channels are others")
    await nowhere.hears_nothing("it is in no channel")


@check("Wire contract, chapter 5")
async def test_event_envelope(subject: Subject) -> None:
    """An event is an envelope with the event's name as type, the channel, the payload as data.

    {"type":event,"channel":…,"data":payload,"ts":…}, and no requestId: nobody asked for it. The
    payload can be any JSON, null too, and arrives as it was sent.
    """
    alice, bob = await subject.member("room:envelope"), await subject.member("room:envelope")
    anything: tuple[object, ...] = ({"text": "帧 👋", "list": [1, [2.5]]}, "", [], 0, False, None)
    for payload in anything:
        await alice.publish("room:envelope", "order:update", payload)

        got = await bob.hears("room:envelope", "order:update", payload)
        has_time(got)


@check("Wire contract, chapter 5")
async def test_receivers(subject: Subject) -> None:
    """`published` says to how many members the event was sent.

    Count where you send: who is skipped does not count, who is in another channel does not either.
    """
    alice = await subject.member("room:count", "room:alone")
    await subject.member("room:count")
    await subject.member("room:count")
    wanted = (("room:count", True, 3), ("room:count", False, 2), ("room:alone", False, 0))
    for channel, to_self, expected in wanted:
        got = await alice.publish(channel, more={"self": to_self})

        what = f"receivers of an event to {channel} with self {to_self} is wrong"
        require(got == expected, what, expected=expected, got=got)


@check("Wire contract, chapter 5")
async def test_twice_subscribed_is_once_delivered(subject: Subject) -> None:
    """Who subscribes twice is a member once: one copy of each event, and one unsubscribe ends it.

    A client that is not sure subscribes again, and each time gets its `subscribed`. A set does the
    rest; in a list the second entry is a second copy.
    """
    alice, bob = await subject.member("room:twice"), await subject.member("room:twice")
    await bob.subscribe("room:twice")

    sent_to = await alice.publish("room:twice", payload=1)

    require(sent_to == 2, "one member counts twice", expected="2 receivers", got=sent_to)
    await bob.hears("room:twice", payload=1)
    await bob.hears_nothing("it has its copy already")
    await subject.until_members("room:twice", 2)
    await bob.unsubscribe("room:twice")
    await alice.publish("room:twice", payload=2)
    await bob.hears_nothing("it has unsubscribed")


@check("Wire contract, chapter 5")
async def test_self_false_skips_the_sender(subject: Subject) -> None:
    """With `self` false the sender gets no copy; without it, it does.

    A page that has drawn its own message already wants no second one. The default is true, so that
    everybody sees the same events.
    """
    alice, bob = await subject.member("room:self"), await subject.member("room:self")

    await alice.publish("room:self", payload="default")
    await alice.publish("room:self", payload="without me", more={"self": False})
    await alice.publish("room:self", payload="with me", more={"self": True})

    for payload in ("default", "with me"):
        await alice.hears("room:self", payload=payload)
    await alice.hears_nothing("self was false")
    for payload in ("default", "without me", "with me"):
        await bob.hears("room:self", payload=payload)


@check("Wire contract, chapter 5")
async def test_leaving_stops_it(subject: Subject) -> None:
    """After `unsubscribed` no event of that channel comes, and those of the others still do.

    `unsubscribe` takes the connection out of one set. The source has no such message at all.
    """
    alice = await subject.member("room:left", "room:kept")
    bob = await subject.member("room:left", "room:kept")

    await bob.unsubscribe("room:left")
    await alice.publish("room:left", payload="not for bob")
    await alice.publish("room:kept", payload="for both")

    await bob.hears("room:kept", payload="for both")
    await bob.hears_nothing("it has left")
    await bob.subscribe("room:left")
    await alice.publish("room:left", payload="bob is back")
    await bob.hears("room:left", payload="bob is back")


# Who may do what


@check("Wire contract, chapter 5")
async def test_not_subscribed(subject: Subject) -> None:
    """Publishing where one is no member gets `not_subscribed`, and reaches nobody.

    Look the sender up in the channel's set before anything else. Who has left is no member either.
    """
    alice, bob = await subject.member("room:members"), await subject.member("room:other")

    await bob.refused("publish", event("room:members", "from outside"), "not_subscribed")
    await bob.subscribe("room:members")
    await bob.unsubscribe("room:members")
    await bob.refused("publish", event("room:members", "from outside"), "not_subscribed")
    await bob.refused("publish", event("room:nobody", "where nobody is"), "not_subscribed")

    await alice.hears_nothing("its sender is no member")


@check("Wire contract, chapter 5")
async def test_reserved_channels_are_forbidden(subject: Subject) -> None:
    """Nobody can ask for a channel user:… or role:…: the answer is `forbidden`.

    These are for the server to fill, by what it knows of a client. If the name that a client sends
    is the permission, everybody is an administrator: that is broken access control.
    """
    eve = await subject.member()

    for name in ("role:admin", "user:1", "user:alice:orders", "role:" + "x" * 100):
        await eve.refused("subscribe", {"channel": name}, "forbidden")
        await eve.refused("publish", event(name, "?"), "forbidden", "not_subscribed")

    await publish_over_http(subject, event("role:admin", "secret"))
    await eve.hears_nothing("it was refused there")
    stats = await subject.stats()
    taken = [name for name in stats.channels if name.startswith(("role:", "user:"))]
    require(not taken, "a refused channel has a member", expected="none", got=taken)
    await eve.subscribe("users:alice")  # not reserved: it only begins alike


@check("Wire contract, chapter 5")
async def test_bad_channel(subject: Subject) -> None:
    """A name that is no channel gets `bad_request`, whatever is asked, and the connection lives.

    [a-z0-9]+(:[a-z0-9_-]+)+ and at most 128 characters, of the whole string. Check it before it
    becomes a key: in JavaScript a missing name is the channel "undefined".

    In many languages `$` also matches before a line feed at the end; look for a full match.
    """
    member = await subject.member("room:witness")
    kinds = ("subscribe", "unsubscribe", "publish")

    for name in BAD_NAMES:
        for kind in kinds if name in ("lobby", "", None) else ("subscribe",):
            await member.refused(kind, event("", 1) | {"channel": name}, "bad_request")
    no_data: tuple[object, ...] = (None, {}, [], "room:lobby", 7, [["channel", "room:lobby"]])
    for data in no_data:
        for kind in kinds:
            await member.refused(kind, data, "bad_request")
    for name in (LONGEST, "0:0", "order:42:line-1:part_2", "a:-", "a:_"):
        await member.subscribe(name)

    stats = await subject.stats()
    wrong = [name for name in stats.channels if name in BAD_NAMES]
    require(not wrong, "a refused channel is there", expected="none", got=short(wrong))


@check("Wire contract, chapter 5")
async def test_bad_publish(subject: Subject) -> None:
    """A publish with a wrong field gets `bad_request`, and reaches nobody.

    `event` is a string with a colon, for names without one are the protocol's own: an event called
    `pong` would pass for a reply. `payload` is there, `self` is true or false.
    """
    alice, bob = await subject.member("room:strict"), await subject.member("room:strict")
    right = event("room:strict", 1)
    without = [{k: v for k, v in right.items() if k != name} for name in ("event", "payload")]
    events: tuple[object, ...] = ("said", "", "pong", 7, None, True, ["a:b"], {"a:b": 1})

    bad: list[Envelope] = [*without, *(right | {"event": name} for name in events)]
    for data in bad:
        await alice.refused("publish", data, "bad_request")
    wrong: tuple[object, ...] = ("no", 0, 1, [])
    for to_self in wrong:
        await alice.refused("publish", right | {"self": to_self}, "bad_request")

    for member in (alice, bob):
        await member.hears_nothing("its publish was refused")
    await alice.publish("room:strict", "order:update:v2", 1, {"later": "unknown fields do no harm"})
    await bob.hears("room:strict", "order:update:v2", 1)


# Over HTTP


@check("Wire contract, chapter 5")
async def test_publish_over_http(subject: Subject) -> None:
    """POST /api/publish sends an event to a channel's members: 202 and {"receivers":n}.

    This is how business code speaks to the clients. It is no member and needs none of the rules for
    members; what the members get is the same envelope.
    """
    alice, bob = await subject.member("room:http"), await subject.member("room:http")
    stranger = await subject.member("room:elsewhere")
    for channel, payload, expected in (("room:http", {"id": 7, "state": "帧"}, 2), ("a:b", 1, 0)):
        response = await publish_over_http(subject, event(channel, payload, "order:update"))

        require(response.status == 202, "the publish is not taken", expected=202, got=response)
        got = body_of(response).get("receivers")
        require(alike(got, expected), "receivers is wrong", expected=expected, got=got)
    for member in (alice, bob):
        has_time(await member.hears("room:http", "order:update", {"id": 7, "state": "帧"}))
        await member.hears_nothing("the one event has come already")
    await stranger.hears_nothing("its channel is another")


@check("Wire contract, chapter 5")
async def test_bad_publish_over_http(subject: Subject) -> None:
    """A bad body gets 400 and an error as JSON, and reaches nobody.

    The same fields and the same rules as for `publish`. A missing check here is an exception in the
    handler, and 500 blames the server for what the caller did.
    """
    alice = await subject.member("room:http")
    right = event("room:http", 1)
    without = [{k: v for k, v in right.items() if k != name} for name in right]
    raw = (b"", b"not JSON", b"[]", b"null", b'"room:http"', b"\xff\xfe", b"[" * 10_000)
    bad: list[object] = [*without, *raw]
    channels: tuple[object, ...] = ("lobby", "", "room:http\n", None, 7, LONGEST + "x")
    events: tuple[object, ...] = ("said", "", None, 7, {})
    bad += [right | {"channel": name} for name in channels]
    bad += [right | {"event": name} for name in events]

    for body in bad:
        response = await publish_over_http(subject, body)

        about = f"the answer to {body!r:.60} is wrong"
        require(response.status == 400, about, expected="400", got=response)
        require(body_of(response), "the error body is empty", got=response.body[:80])
    await alice.hears_nothing("every publish was refused")


def body_of(response: Response) -> Envelope:
    """The JSON object in an answer."""
    try:
        value = json.loads(response.body)
    except ValueError as error:
        fail(f"the body of the answer is no JSON ({error})", got=response.body[:80])
    if not isinstance(value, dict):
        fail("the body of the answer is no JSON object", got=response.body[:80])
    return value


@check("Wire contract, chapter 5")
async def test_stats(subject: Subject) -> None:
    """GET /api/stats counts the connections, and the members of each channel.

    {"connections":n,"channels":{name:members}}. A connection that is in no channel counts as a
    connection: keep a set of all of them.
    """
    others = 0 if subject.is_process else (await subject.stats()).connections
    alice, _ = await subject.member("room:one", "room:both"), await subject.member("room:both")
    carol = await subject.member()

    what = f"{others + 3} connections, room:one 1, room:both 2"
    await subject.until(
        what,
        lambda stats: (
            stats.connections == others + 3
            and (stats.members("room:one"), stats.members("room:both")) == (1, 2)
        ),
    )
    await carol.close()
    await alice.unsubscribe("room:both")
    what = f"{others + 2} connections, room:one 1, room:both 1"
    await subject.until(
        what,
        lambda stats: (
            stats.connections == others + 2
            and (stats.members("room:one"), stats.members("room:both")) == (1, 1)
        ),
    )


# Who goes


@check("Wire contract, chapter 5")
async def test_empty_rooms_vanish(subject: Subject) -> None:
    """A channel without members is not in the statistics: it is not kept at all.

    Delete the key with the last member. Sets that stay behind empty are a leak: a client that makes
    up names fills the memory with them.
    """
    alice, bob = await subject.member("room:empty", "room:gone"), await subject.member("room:empty")
    await bob.unsubscribe("room:empty")
    await alice.unsubscribe("room:empty")
    await alice.close()

    await subject.until(
        "neither room:empty nor room:gone",
        lambda stats: not {"room:empty", "room:gone"} & stats.channels.keys(),
    )


async def left_all(subject: Subject, others: Member) -> None:
    """The one that is gone is in no channel any more, and publishing goes on without it."""
    await subject.until(
        "room:shared 1, and nobody in room:own",
        lambda stats: (stats.members("room:shared"), stats.members("room:own")) == (1, 0),
    )
    number = await others.publish("room:shared", payload="after")
    require(number == 1, "the event goes to one that is gone", expected=1, got=number)
    await others.hears("room:shared", payload="after")


@check("Wire contract, chapter 5")
async def test_closed_client_leaves_every_room(subject: Subject) -> None:
    """A client that closes its connection leaves all of its channels.

    Take it out where the connection's handler ends. A second index, from the connection to its
    channels, saves going through all channels there are.
    """
    alice = await subject.member("room:shared")
    bob = await subject.member("room:shared", "room:own")

    await bob.close()

    await left_all(subject, alice)


@check("Wire contract, chapter 5")
async def test_reset_client_leaves_every_room(subject: Subject) -> None:
    """A client whose connection is reset leaves all of its channels.

    No close frame comes. Clean up in a `finally`, or on `close` and `error` alike: whichever way
    the handler ends, it has to pass there.
    """
    alice = await subject.member("room:shared")
    bob = await subject.member("room:shared", "room:own")

    bob.reset()

    await left_all(subject, alice)


@check("Wire contract, chapter 5")
async def test_failing_member_does_not_stop_the_others(subject: Subject) -> None:
    """Members that vanish in the middle of a broadcast cost the others nothing.

    Sending to a connection that has just ended raises an error in most libraries. Caught around the
    whole loop it ends the loop, not caught at all it ends the sender: catch it around each send.
    """
    alice, bob = await subject.member("room:failing"), await subject.member()
    failing = [await subject.member("room:failing") for _ in range(FAILING)]
    await bob.subscribe("room:failing")  # so that it stands behind them, where order counts
    events = [("publish", event("room:failing", number)) for number in range(BROADCASTS)]

    async def publish() -> None:
        sent = await alice.send_together(events, f"{BROADCASTS} times publish, in one write")
        for member in failing:
            member.reset()
        for request_id in sent:
            receivers(await alice.reply(request_id), "room:failing")

    await asyncio.gather(publish(), all_of_them(bob))
    await all_of_them(alice)
    await subject.until_members("room:failing", 2)


async def all_of_them(member: Member) -> None:
    """Each of the numbered events came once."""
    missing = set(range(BROADCASTS))
    while missing:
        got = await member.event(f"the events {short(sorted(missing)[:5])} and so on")
        if got.get("data") not in missing:
            fail("an event comes twice, or is none that was sent", got=short(got))
        missing.remove(got["data"])


@check("Wire contract, chapter 5")
async def test_join_and_leave_while_broadcasting(subject: Subject) -> None:
    """Others come and go while events are sent: who stays gets each event once.

    If sending can wait, the set can change in the middle of the loop: go over a copy, and look
    again whether each is still a member. Who has left gets nothing more.
    """
    alice, bob = await subject.member("room:churn"), await subject.member("room:churn")
    churning = [await subject.member() for _ in range(CHURNING)]
    events = [("publish", event("room:churn", number)) for number in range(BROADCASTS)]

    over = asyncio.Event()

    async def come_and_go(member: Member) -> None:
        while not over.is_set():
            await member.subscribe("room:churn")
            await member.unsubscribe("room:churn")
            heard = [got.get("data") for got in member.events]
            require(len(heard) == len(set(map(str, heard))), "one event comes twice", got=heard)
            member.events.clear()
            await member.hears_nothing("it has unsubscribed")

    async def broadcast() -> None:
        for start in range(0, BROADCASTS, 10):
            ids = await alice.send_together(events[start : start + 10], "10 times publish")
            for request_id in ids:
                receivers(await alice.reply(request_id), "room:churn")
        over.set()

    others = (come_and_go(member) for member in churning)
    await asyncio.gather(broadcast(), all_of_them(bob), *others)

    await all_of_them(alice)
    await subject.until_members("room:churn", 2)


# What takes heartbeats


@dataclass
class Scene:
    """What happened in one of them."""

    exchange: Exchange = field(default_factory=Exchange)
    problem: CheckFailure | None = None

    def judge(self, subject: Subject) -> None:
        """Make its record the check's own, and pass on what went wrong in it."""
        subject.exchange.events = self.exchange.events
        if self.problem:
            raise self.problem


class Scenes:
    """The members that only time tells about, each with its own record."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.beat = subject.settings.heartbeat
        self.within = LATEST * self.beat + SLACK
        self.cut_off, self.stuck, self.crashed = Scene(), Scene(), Scene()

    async def watch(self) -> None:
        """All of them in the time of the longest; the floods one after the other."""

        async def floods() -> None:
            await self._scene(self.stuck, self.stop_reading)
            await self._scene(self.crashed, self.stop_reading_and_crash)

        await asyncio.gather(self._scene(self.cut_off, self.lose_the_cable), floods())

    async def _scene(self, scene: Scene, play: Callable[[Subject], Awaitable[None]]) -> None:
        try:
            await play(self.subject.seen(scene.exchange))
        except CheckFailure as failure:
            scene.problem = failure
        finally:
            await scene.exchange.close()

    async def lose_the_cable(self, subject: Subject) -> None:
        async with Wire(subject.host, subject.port) as wire:
            alice = await subject.member("room:cut")
            behind = subject.seen(subject.exchange, through=wire)
            await behind.member("room:cut", "room:cable")
            wire.blackhole()
            subject.exchange.add("wire", "·", "from here on every byte vanishes")
            async with alice.kept_alive(self.beat / 3):
                await subject.until(
                    "room:cut 1, and nobody in room:cable",
                    lambda stats: (
                        (stats.members("room:cut"), stats.members("room:cable")) == (1, 0)
                    ),
                    self.within,
                )

    async def stop_reading(self, subject: Subject) -> None:
        """As a page that is busy: the browser answers pings, and nobody reads the messages."""
        stuck = await subject.member("room:stuck", receive_buffer=SMALL_BUFFER)

        async def answer_pings() -> None:
            while True:
                await stuck.peer.send(PONG)
                await asyncio.sleep(self.beat / 3)

        answering = asyncio.create_task(answer_pings())
        await self.flood(subject, "room:stuck")
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)

    async def stop_reading_and_crash(self, subject: Subject) -> None:
        """The connection ends while the server waits for it to take bytes."""
        stuck = await subject.member("room:crash", receive_buffer=SMALL_BUFFER)
        crash = asyncio.get_running_loop().call_later(self.beat / 2, stuck.reset)
        try:
            await self.flood(subject, "room:crash")
        finally:
            crash.cancel()

    async def flood(self, subject: Subject, channel: str) -> None:
        """Publish more than the buffers take; every other member has to get all of it.

        A few at a time: a server may give up a member for whom much waits (chapter 7), and the one
        that listens here must not be that, however busy this machine is.
        """
        alice, bob = await subject.member(channel), await subject.member(channel)
        data = event(channel, "x" * LARGE) | {"self": False}
        heard = 0
        try:
            async with asyncio.timeout(self.within):
                for number in range(0, FLOOD, TOGETHER):
                    text = f"events {number + 1} to {number + TOGETHER}, {LARGE} bytes each"
                    await alice.send_together([("publish", data)] * TOGETHER, text, self.within)
                    for reply in await alice.all_replies(TOGETHER, self.within):
                        receivers(reply, channel)
                    for _ in range(TOGETHER):
                        await bob.event(f"event {heard + 1} of {FLOOD}", self.within)
                        heard += 1
        except TimeoutError:
            fail("one member that does not read stops its room for good", expected=FLOOD, got=heard)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scenes(_program: Subject) -> Scenes:
    """All scenes, played to the end."""
    await _program.ensure_running()
    scenes = Scenes(_program)
    await scenes.watch()
    return scenes


@check("Wire contract, chapter 5")
async def test_blackholed_client_leaves_every_room(subject: Subject, scenes: Scenes) -> None:
    """A client behind a cut cable leaves all of its channels within three heartbeats.

    Nothing tells the server that the cable is cut. The heartbeat of chapter 3 ends the connection;
    the cleaning up has to hang on that end as well.
    """
    scenes.cut_off.judge(subject)


@check("Wire contract, chapter 5")
async def test_member_that_does_not_read(subject: Subject, scenes: Scenes) -> None:
    """A member that stops reading delays its room for three heartbeats at most.

    Its buffers fill, and a send that waits for room waits for ever: it answers pings, so the
    heartbeat keeps it. Put a deadline on each send, and end a connection that misses it.

    While you wait you do not read the publisher either: its own heartbeat must not run out.
    """
    scenes.stuck.judge(subject)


@check("Wire contract, chapter 5")
async def test_member_that_crashes_while_it_is_waited_for(subject: Subject, scenes: Scenes) -> None:
    """A member that is reset while the server waits for it to read costs the others nothing.

    The error comes out of the wait then, and it may be of another kind than that of a send to a
    connection that had ended before.
    """
    scenes.crashed.judge(subject)


# What may be too much


@check("Wire contract, chapter 5", order=LAST, costly=True)
async def test_ten_thousand_names(subject: Subject) -> None:
    """Of 10,000 names one client gets a hundred, and an error for each of the others.

    Whatever a client can add to has a bound. Count the channels of the connection before it joins
    one more; one that it leaves makes room for another.
    """
    alice, accepted = await subject.member(), 0
    for start in range(0, NAMES, BATCH):
        names = [{"channel": f"room:{number}"} for number in range(start, start + BATCH)]
        text = f"{BATCH} times subscribe, room:{start} to room:{start + BATCH - 1}"
        await alice.send_together([("subscribe", name) for name in names], text)
        for reply in await alice.all_replies(BATCH):
            if reply.get("type") == "subscribed":
                accepted += 1
            else:
                is_error(reply)
    require(
        accepted == MOST_CHANNELS,
        "the number of channels that one connection gets is wrong",
        expected=MOST_CHANNELS,
        got=accepted,
    )
    what = f"{MOST_CHANNELS} channels: those that were refused are not kept"
    await subject.until(what, lambda stats: len(stats.channels) == MOST_CHANNELS)
    await alice.subscribe("room:0")  # it is in there already
    is_error(await alice.ask("subscribe", {"channel": "room:one-more"}))
    await alice.unsubscribe("room:0")
    await alice.subscribe("room:one-more")
    await alice.close()
    await subject.until("no channel of this client", lambda stats: "room:1" not in stats.channels)
