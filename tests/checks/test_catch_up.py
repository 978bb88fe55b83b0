"""Catching up: the client applies each event once and in order, whatever becomes of its connection.

The harness plays a right server, on a line that it breaks. What the client prints as `applied`,
`snapshot` and `delivered` is what counts; an oracle compares it with what has happened.
"""

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest_asyncio

from course.wire import Wire
from tests.harness.client import STARTED_SECONDS, Client, ClientProgram
from tests.harness.exchange import Exchange
from tests.harness.hostile import Hostile, Script
from tests.harness.journey import BETWEEN
from tests.harness.oracle import judge
from tests.harness.stream_server import StreamServer, publish, subscribe
from tests.harness.verdict import CheckFailure, check, fail, require

ROLE = "client"

QUICK = {"BACKOFF_BASE_MS": "1", "BACKOFF_CAP_MS": "5"}
LIMIT = 100  # publishes that wait for their replies
PUBLISHES = 1_000  # over the wire that cuts
WINDOW = 40  # of them under way at once
STEP_SECONDS = 10.0  # for the reply to the middle of the window
SEED = int(os.environ.get("SEED") or 6)  # of the cuts

StartClient = Callable[..., Awaitable[Client]]
StartServer = Callable[[Script], Awaitable[Hostile]]


class Scene:
    """One client that follows the channel of one server."""

    def __init__(self, client: Client, server: StreamServer, hostile: Hostile) -> None:
        self.client, self.server, self.hostile = client, server, hostile

    async def until(self, what: str, true: Callable[[], bool], within: float = 5.0) -> None:
        """Wait until something holds of the server's record; `what` names it."""
        if not await self.hostile.until(true, within):
            fail(f"what the client has to do does not come within {within:g} s", expected=what)

    async def applied(self, up_to: int) -> list[int]:
        """The seq of every event that was applied so far, once this one was, or `fail()`."""
        if not any(heard.fields.get("seq") == up_to for heard in self.client.all("applied")):
            await self.client.event("applied", where=lambda fields: fields.get("seq") == up_to)
        return [heard.fields["seq"] for heard in self.client.all("applied")]

    async def cut(self) -> None:
        """Reset the connection, and wait until the client is back in its channel."""
        asks = len(self.server.asks)
        assert self.server.live is not None
        self.server.live.reset()
        await self.until("a subscribe on a new connection", lambda: len(self.server.asks) > asks)


async def follow(
    client: StartClient,
    hostile: StartServer,
    events: int = 2,
    server: StreamServer | None = None,
) -> Scene:
    """A client that follows the channel and has applied the first events."""
    server = server or StreamServer()
    listening = await hostile(server)
    scene = Scene(await client(listening.url, **QUICK), server, listening)
    await scene.client.say(subscribe())
    await scene.until("a connection", lambda: server.lines > 0, STARTED_SECONDS)
    await scene.client.event("snapshot")
    for number in range(1, events + 1):
        await server.emit({"n": number})
    if events:
        await scene.applied(events)
    return scene


@dataclass(frozen=True)
class FirstTry:
    """A client that followed the channel, was cut off, and came back; two checks judge it."""

    exchange: Exchange
    server: StreamServer
    problem: CheckFailure | None  # that it follows no channel at all
    cut_problem: CheckFailure | None = None  # that it did not come back to it

    def judge(self, exchange: Exchange) -> StreamServer:
        """Make its record the check's own, and pass on what went wrong."""
        exchange.events = self.exchange.events
        if self.cut_problem is not None:
            raise self.cut_problem
        return self.server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def first_try(program: ClientProgram) -> FirstTry:
    """A client that follows no channel fails every check, at once and not after a wait for each."""
    record, server = Exchange(), StreamServer()

    async def start_server(script: Script) -> Hostile:
        hostile = Hostile(record, script)
        record.closers.append(hostile.stop)
        return await hostile.listen()

    try:
        scene = await follow(partial(program.start, record), start_server, 3, server)
    except CheckFailure as failure:
        await record.close()
        return FirstTry(record, server, failure)
    try:
        await scene.cut()
    except CheckFailure as failure:
        return FirstTry(record, server, None, failure)
    finally:
        await record.close()
    return FirstTry(record, server, None)


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _follows_at_all(exchange: Exchange, first_try: FirstTry) -> None:
    if first_try.problem is not None:
        exchange.events = first_try.exchange.events
        raise first_try.problem


def is_reply(request_id: str, printed: dict[str, Any]) -> bool:
    """Whether what was printed is the message that answers this request."""
    data = printed.get("data")
    return isinstance(data, dict) and data.get("requestId") == request_id


def is_history(came: list[int], wanted: list[int]) -> None:
    """`fail()` unless these, in this order, are the numbers of what was applied."""
    found = judge(wanted, came)
    require(
        found.clean,
        "what was applied is not what has happened",
        expected=f"seq {wanted}",
        got=f"seq {came}: {found}",
    )


@check("Wire contract, chapter 6")
async def test_names_itself(exchange: Exchange, first_try: FirstTry) -> None:
    """The client names itself in the address, `/ws?client=…`: the same name on each connection.

    Draw a random name once, a UUID, and keep it for as long as there is something to send again:
    the server remembers requests and messages under it.
    """
    names = first_try.judge(exchange).names

    require(all(names), "the address names no client", expected="/ws?client=…", got=names)
    require(len(set(names)) == 1, "it has another name on each connection", got=names)


@check("Wire contract, chapter 6")
async def test_follows_its_channels_again(exchange: Exchange, first_try: FirstTry) -> None:
    """After a cut the client subscribes again by itself, from the position it has read to.

    Keep a list of channels in the client, each with the epoch and seq of the last event that was
    applied. The position is the last one *applied*, not the last one that the server had.
    """
    ask = first_try.judge(exchange).asks[-1]

    since = ask.data.get("since") if isinstance(ask.data, dict) else None
    expected = {"epoch": "first", "seq": 3}
    require(since == expected, "it asks from another position", expected=expected, got=since)


@check("Wire contract, chapter 6")
async def test_applies_what_it_missed(client: StartClient, hostile: StartServer) -> None:
    """What happened while the client was away is applied from `missed`, in order; then it goes on.

    The answer to `subscribe` brings the missed events. They go through the same function as those
    that come live.
    """
    scene = await follow(client, hostile)

    scene.hostile.shut(reset=True)
    for number in range(3, 7):
        scene.server.happen({"n": number})
    await scene.hostile.listen()
    await scene.until("a subscribe", lambda: scene.server.subscribed)
    await scene.server.emit({"n": 7})

    is_history(await scene.applied(7), [1, 2, 3, 4, 5, 6, 7])


@check("Wire contract, chapter 6")
async def test_applies_nothing_twice(client: StartClient, hostile: StartServer) -> None:
    """An event that comes again is dropped.

    A number that is not above the last one was applied before. At least once means that it may
    come twice.
    """
    scene = await follow(client, hostile, events=3)

    for number in (3, 2, 3, 1):
        await scene.server.send(scene.server.events[number - 1])
    await scene.server.emit({"n": 4})

    is_history(await scene.applied(4), [1, 2, 3, 4])


@check("Wire contract, chapter 6")
async def test_closes_a_gap(client: StartClient, hostile: StartServer) -> None:
    """When a number is missing the client asks again from its position, and applies in order.

    Do not apply number 5 after number 2, and do not only complain: subscribe again, on the same
    connection, with `since`. What came too early comes again in `missed`.
    """
    scene = await follow(client, hostile)

    scene.server.happen({"n": 3})
    scene.server.happen({"n": 4})
    await scene.server.emit({"n": 5})
    await scene.until("a subscribe from seq 2", lambda: len(scene.server.asks) >= 2)
    await scene.applied(5)
    await scene.server.emit({"n": 6})

    is_history(await scene.applied(6), [1, 2, 3, 4, 5, 6])
    since = scene.server.asks[1].data.get("since")
    expected = {"epoch": "first", "seq": 2}
    require(since == expected, "it asks from another position", expected=expected, got=since)


@check("Wire contract, chapter 6")
async def test_state_comes_first(client: StartClient, hostile: StartServer) -> None:
    """On `recovered` false the client loads the snapshot, drops what that contains, and goes on.

    GET /api/channels/{channel}/snapshot on the same host, by HTTP. The position is the snapshot's
    from then on: an event with a number up to it is in the state already, one above it is news.
    """
    scene = await follow(client, hostile)
    server = scene.server
    server.snapshots = 0

    async def meanwhile() -> None:
        """Events that come live while the state is being read: the state contains them."""
        await server.emit({"id": "a", "n": 5})
        await server.emit({"id": "b", "n": 6})

    scene.hostile.shut(reset=True)
    for number in (3, 4):
        server.happen({"id": "a", "n": number})
    server.forget()
    server.before_snapshot = meanwhile
    await scene.hostile.listen()

    told = (await scene.client.event("snapshot")).fields
    got = {name: told.get(name) for name in ("epoch", "seq", "state")}
    state = {"a": {"id": "a", "n": 5}, "b": {"id": "b", "n": 6}}
    expected = {"epoch": "first", "seq": 6, "state": state}
    require(got == expected, "the state is another", expected=expected, got=got)
    await server.emit({"n": 7})
    is_history(await scene.applied(7), [1, 2, 7])


@check("Wire contract, chapter 6")
async def test_state_that_cannot_be_had(client: StartClient, hostile: StartServer) -> None:
    """If the snapshot fails the client tries again, and applies nothing before it has it.

    A failed GET is no empty state. Come back later, with the backoff that you have for everything.
    """
    scene = await follow(client, hostile)
    scene.hostile.shut(reset=True)
    for number in (3, 4):
        scene.server.happen({"n": number})
    scene.server.forget()
    scene.server.snapshot_fails = 2
    await scene.hostile.listen()

    told = (await scene.client.event("snapshot")).fields
    require(told.get("seq") == 4, "the state is another", expected="seq 4", got=told)
    await scene.until("a subscribe", lambda: scene.server.subscribed)
    await scene.server.emit({"n": 5})

    is_history(await scene.applied(5), [1, 2, 5])


@check("Wire contract, chapter 6")
async def test_another_epoch_is_a_gap(client: StartClient, hostile: StartServer) -> None:
    """An event of another epoch is not applied to the old state, whatever its number.

    The server has forgotten, or started again; its number 3 is another event. Ask from your
    position, be told that it cannot be recovered, and begin from the snapshot.
    """
    scene = await follow(client, hostile)

    scene.server.forget(epoch="second")
    for number in (1, 2):
        scene.server.happen({"id": "a", "n": number})
    await scene.server.emit({"id": "a", "n": 3})

    told = (await scene.client.event("snapshot")).fields
    got = (told.get("epoch"), told.get("seq"))
    require(got == ("second", 3), "the state is another", expected=("second", 3), got=got)
    await scene.server.emit({"n": 4})
    is_history(await scene.applied(4), [1, 2, 4])


@check("Wire contract, chapter 6")
async def test_unanswered_is_sent_again(client: StartClient, hostile: StartServer) -> None:
    """A publish without a reply is sent again after a cut: in order, under its id; with one, never.

    Keep every publish that has a requestId until a message with that requestId comes. On a new
    connection subscribe first, then send what is kept, oldest first, then what is new.
    """
    scene = await follow(client, hostile, events=0)
    server = scene.server
    server.answers_publishes = False
    ids = [f"p{number}" for number in range(4)]
    await scene.client.say(*(publish(name, {"n": name}) for name in ids))
    await scene.until("four publishes", lambda: len(server.publishes) == 4)

    server.answers_publishes = True
    await scene.cut()
    await scene.until("the four publishes again", lambda: len(server.publishes) >= 8)
    await scene.client.event("message", where=partial(is_reply, "p3"))
    await scene.client.say(publish("p4", {"n": "p4"}))
    await scene.until("one more", lambda: len(server.publishes) >= 9)

    got = [sent.request_id for sent in server.publishes]
    expected = [*ids, *ids, "p4"]
    require(got == expected, "what was sent", expected=expected, got=got)
    await scene.applied(5)
    await scene.client.event("message", where=partial(is_reply, "p4"))
    await scene.cut()
    await scene.client.say('{"type":"marker"}')
    await scene.until("the line that was typed last", lambda: "marker" in server.others)
    require(len(server.publishes) == 9, "what was answered is sent again", got=server.publishes[9:])
    is_history(await scene.applied(5), [1, 2, 3, 4, 5])


@check("Wire contract, chapter 6")
async def test_publishes_wait_for_a_connection(client: StartClient, hostile: StartServer) -> None:
    """What is published while there is no connection goes out when there is one, in order.

    Behind the subscribe: who is no member may not publish.
    """
    scene = await follow(client, hostile, events=0)
    scene.hostile.shut(reset=True)
    await scene.client.event("close")
    ids = [f"p{number}" for number in range(5)]
    await scene.client.say(*(publish(name, {"n": name}) for name in ids))

    await scene.hostile.listen()
    await scene.until("five publishes", lambda: len(scene.server.publishes) >= 5)

    got = [sent.request_id for sent in scene.server.publishes]
    require(got == ids, "what was sent", expected=ids, got=got)
    is_history(await scene.applied(5), [1, 2, 3, 4, 5])


@check("Wire contract, chapter 6")
async def test_unanswered_is_bounded(client: StartClient, hostile: StartServer) -> None:
    """Of 105 publishes that nobody answers 100 are kept, and five are refused in so many words.

    A buffer without a limit is memory that somebody else fills. Print
    {"event":"refused","line":…}, and the person knows.
    """
    scene = await follow(client, hostile, events=0)
    scene.server.answers_publishes = False
    ids = [f"p{number}" for number in range(LIMIT + 5)]

    await scene.client.say(*(publish(name, {"n": name}) for name in ids))

    for _ in range(5):
        await scene.client.event("refused")
    await scene.until("100 publishes", lambda: len(scene.server.publishes) >= LIMIT)
    lines = [json.loads(heard.fields.get("line") or "{}") for heard in scene.client.all("refused")]
    got = [line.get("requestId") for line in lines]
    require(got == ids[LIMIT:], "others were refused", expected=ids[LIMIT:], got=got)


@check("Wire contract, chapter 6")
async def test_too_big_is_given_up(client: StartClient, hostile: StartServer) -> None:
    """After 1009 the client comes back without the publish that was too big, and says so.

    Sent again it would close the next connection too, and the one after that, for ever. Nobody says
    which one it was: give up the largest of those without a reply, and print `refused` for it. The
    others are sent again as always.
    """
    scene = await follow(client, hostile, events=0)
    server = scene.server
    server.longest = 10_000
    scene.hostile.shut(reset=True)
    await scene.client.event("close")
    sizes = (10, 20_000, 20)
    await scene.client.say(*(publish(f"p{n}", {"n": n, "x": "x" * n}) for n in sizes))

    await scene.hostile.listen()
    refused = (await scene.client.event("refused")).fields
    await scene.applied(2)

    came = [heard.fields["data"]["n"] for heard in scene.client.all("applied")]
    require(came == [10, 20], "the others do not get through", expected=[10, 20], got=came)
    right = str(refused.get("line")).find('"p20000"') >= 0
    require(right, "another one was given up", expected="p20000", got=refused)
    require(server.refused == 1, "it was sent again", expected="once", got=server.refused)


@check("Wire contract, chapter 6")
async def test_direct_messages(client: StartClient, hostile: StartServer) -> None:
    """A direct message is handed on once, and acknowledged each time it comes.

    An ack can be lost, and then the message comes again: answer it again, or it comes for ever.
    Remember the deliveryIds, so that it is printed as `delivered` once.
    """
    scene = await follow(client, hostile, events=0)
    server = scene.server

    for delivery_id in ("d1", "d2", "d1", "d2", "d3"):
        assert server.live is not None
        direct = {"type": "check:told", "ts": 0, "deliveryId": delivery_id, "data": delivery_id}
        await server.live.send_json(direct)
    await scene.until("five acks", lambda: len(server.acks) >= 5)

    expected = ["d1", "d2", "d1", "d2", "d3"]
    require(server.acks == expected, "the acks", expected=expected, got=server.acks)
    await scene.client.event("delivered", where=lambda fields: fields.get("deliveryId") == "d3")
    got = [heard.fields.get("deliveryId") for heard in scene.client.all("delivered")]
    expected = ["d1", "d2", "d3"]
    require(got == expected, "what was delivered", expected=expected, got=got)


@check("Wire contract, chapter 6", costly=True)
async def test_a_thousand_publishes_over_a_wire_that_cuts(
    client: StartClient, hostile: StartServer
) -> None:
    """1,000 publishes over a line that is cut at random frames: applied once each, and in order.

    The client hears its own publishes. What it sends again, what it missed and what comes live have
    to fit together without a seam. The other checks show the parts one by one.

    The cuts come from a seed: SEED=… draws others.
    """
    server = StreamServer()
    listening = await hostile(server)
    typed: list[int] = []
    async with Wire("127.0.0.1", listening.port, seed=SEED) as wire:
        scene = Scene(await client(wire.url("/ws"), **QUICK), server, listening)
        await scene.client.say(subscribe())
        await scene.client.event("snapshot")
        wire.cut_randomly(BETWEEN)
        while len(typed) < PUBLISHES:
            some = range(len(typed), min(len(typed) + WINDOW // 2, PUBLISHES))
            await scene.client.say(*(publish(f"p{n}", {"n": n}) for n in some))
            typed += some
            half = f"p{max(0, typed[-1] - WINDOW // 2)}"  # no more than that many lack a reply
            await scene.client.event("message", STEP_SECONDS, where=partial(is_reply, half))
        wire.heal()
        last = {"n": PUBLISHES - 1}
        if not any(heard.fields.get("data") == last for heard in scene.client.all("applied")):
            await scene.client.event(
                "applied", STEP_SECONDS, where=lambda fields: fields.get("data") == last
            )

    came: list[Any] = [heard.fields["data"]["n"] for heard in scene.client.all("applied")]
    found = judge(typed, came)
    require(
        found.clean,
        f"what was applied is not what was published (seed {SEED})",
        expected="0 lost, 0 duplicated, 0 reordered",
        got=f"{found}; {server.lines} connections, {server.snapshots} snapshots",
    )
