"""Several instances: an event published at one reaches the members at all, whatever Valkey does.

Two processes of the program are started, with a real Valkey between them that is paused and killed
on the way. A asks it directly; B through a wire that can be broken for B alone.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest_asyncio

from tests.harness.again import ask_again
from tests.harness.exchange import Exchange
from tests.harness.instances import (
    BACK_SECONDS,
    BUS_TIMEOUT,
    SLACK,
    Instance,
    Instances,
    hear,
    payloads,
    position,
)
from tests.harness.member import Envelope, Member, alike, is_error, receivers, short
from tests.harness.subject import Subject
from tests.harness.verdict import CheckFailure, check, fail, require

MANY = 100  # events that are published at each instance at the same time
MISSED = 5  # events that pass while a client is away
LATE = 20  # events that pass while an instance is away


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def streams(_program: Subject) -> AsyncIterator[Instances]:
    """Two instances with BUS=streams."""
    _program.need_process()
    async with Instances(_program, "streams").running() as instances:
        yield instances


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pubsub(_program: Subject) -> AsyncIterator[Instances]:
    """Two instances with BUS=pubsub."""
    _program.need_process()
    async with Instances(_program, "pubsub").running() as instances:
        yield instances


def event(channel: str, payload: object) -> Envelope:
    return {"channel": channel, "event": "check:said", "payload": payload}


# Across instances


async def reaches_everybody_once(one: Instance, other: Instance, channel: str) -> None:
    """Published at either, each event comes once to the members at both."""
    alice, bob = await one.member(channel), await other.member(channel)
    stranger = await other.member("room:elsewhere")

    await alice.publish(channel, payload="from A")
    await bob.hears(channel, payload="from A")
    await bob.publish(channel, payload="from B")

    await alice.hears(channel, payload="from A")
    await alice.hears(channel, payload="from B")
    await bob.hears(channel, payload="from B")
    for member in (alice, bob, stranger):
        await member.hears_nothing("all of its events have come already")


@check("Wire contract, chapter 9")
async def test_reaches_the_members_at_both_instances(subject: Subject, streams: Instances) -> None:
    """What is published at A reaches the members at A and at B, each of them once.

    A process knows its own connections and no others. Something that both are connected to has to
    carry the event: publish it there, and deliver what comes from there.

    If A delivers at once and again what comes back, its members get two copies. Deliver only what
    comes from the bus, at the instance of the publisher too.
    """
    await reaches_everybody_once(*streams.see(subject.exchange), "room:both")


@check("Wire contract, chapter 9")
async def test_reaches_both_by_pubsub(subject: Subject, pubsub: Instances) -> None:
    """The same with BUS=pubsub: each member at A and at B gets each event once.

    Valkey's pub/sub passes a message to every connection that has subscribed, that of the publisher
    too. A connection that listens cannot publish: it takes two.
    """
    await reaches_everybody_once(*pubsub.see(subject.exchange), "room:both")


@check("Wire contract, chapter 9")
async def test_receivers_counts_the_members_here(subject: Subject, streams: Instances) -> None:
    """`receivers` is the number of members at the instance where the event was published.

    Nobody can count the others without asking every instance and waiting for all answers.
    """
    a, b = streams.see(subject.exchange)
    alice = await a.member("room:count")
    await a.member("room:count")
    bob = await b.member("room:count")

    for member, more, expected in ((alice, {}, 2), (alice, {"self": False}, 1), (bob, {}, 1)):
        got = await member.publish("room:count", more=more)
        require(got == expected, "receivers is wrong", expected=expected, got=got)


@check("Wire contract, chapter 9")
async def test_self_false_across_instances(subject: Subject, streams: Instances) -> None:
    """With `self` false only the sender gets no copy; the others at both instances do.

    The event comes back from the bus, and nothing in it shows whose it is, unless you write it in:
    a name for each connection, alike at no two instances.
    """
    a, b = streams.see(subject.exchange)
    alice, neighbour, bob = (
        await a.member("room:self"),
        await a.member("room:self"),
        await b.member("room:self"),
    )

    await alice.publish("room:self", payload="not for me", more={"self": False})
    await alice.publish("room:self", payload="for all")

    await alice.hears("room:self", payload="for all")
    for member in (neighbour, bob):
        await member.hears("room:self", payload="not for me")
        await member.hears("room:self", payload="for all")


@check("Wire contract, chapter 9")
async def test_one_order_everywhere(subject: Subject, streams: Instances) -> None:
    """Published at both at the same time, events come in one order at both, numbered 1, 2, 3 …

    The order is made where all events pass: in Valkey, which numbers them as well. Two counters in
    two processes both begin with 1. Deliver the events of a channel one after the other.

    `epoch` names the counter, and is the same at both.
    """
    a, b = streams.see(subject.exchange)
    alice, bob = await a.member("room:order"), await b.member("room:order")

    async def publish(member: Member, name: str) -> None:
        requests = [("publish", event("room:order", f"{name} {n}")) for n in range(MANY)]
        for request_id in await member.send_together(requests, f"{MANY} times publish"):
            receivers(await member.reply(request_id), "room:order")

    await asyncio.gather(publish(alice, "A"), publish(bob, "B"))

    at_a, at_b = await hear(alice, 2 * MANY, "at A"), await hear(bob, 2 * MANY, "at B")
    for member in (alice, bob):
        await member.hears_nothing("it has all of them")
    wanted = {f"{name} {n}" for name in "AB" for n in range(MANY)}
    require(
        set(payloads(at_a)) == wanted, "an event is missing, or came twice", expected=len(wanted)
    )
    for n, (one, other) in enumerate(zip(at_a, at_b, strict=True)):
        same = one.get("data") == other.get("data") and position(one) == position(other)
        what = f"event {n + 1} is another at B than at A"
        require(same, what, expected=f"as at A: {short(one)}", got=short(other))
    numbers = [position(one)[1] for one in at_a]
    expected = list(range(1, 2 * MANY + 1))
    require(numbers == expected, "the numbers are wrong", expected="1, 2, 3 …", got=numbers[:10])


@check("Wire contract, chapter 9")
async def test_publish_over_http_at_either(subject: Subject, streams: Instances) -> None:
    """POST /api/publish at B reaches the members at A, and counts those at B.

    Business code asks whichever instance it finds. It publishes through the same bus.
    """
    a, b = streams.see(subject.exchange)
    alice, bob = await a.member("room:http"), await b.member("room:http")

    body = json.dumps(event("room:http", {"id": 7})).encode()
    response = await b.subject.http("POST", "/api/publish", body)

    require(response.status == 202, "the publish is not taken", expected=202, got=response)
    got = json.loads(response.body).get("receivers")
    require(alike(got, 1), "receivers is wrong", expected=1, got=got)
    for member in (alice, bob):
        await member.hears("room:http", payload={"id": 7})
        await member.hears_nothing("the one event has come already")


# Once


@check("Wire contract, chapter 9")
async def test_request_takes_effect_once(subject: Subject, streams: Instances) -> None:
    """The same requestId of the same client again takes no second effect, at either instance.

    A client that got no answer asks again, perhaps elsewhere: /ws?client=… is the name that it
    gives itself. The id is settled in Valkey in the same step as the event, for between two steps
    anything can break. A script does it, and so does a transaction.
    """
    a, b = streams.see(subject.exchange)
    alice, bob = await a.member("room:once", client="device-1"), await b.member("room:once")
    moved = await b.member("room:once", client="device-1")
    other = await b.member("room:once", client="device-2")
    request = {"type": "publish", "requestId": "buy", "data": event("room:once", "one")}

    for member in (alice, alice, moved):
        await published_again(member, request)
    await published_again(other, {**request, "data": event("room:once", "another client's")})

    for member in (alice, bob, moved):
        await member.hears("room:once", payload="one")
        await member.hears("room:once", payload="another client's")
        await member.hears_nothing("the same request came before")


async def published_again(member: Member, request: Envelope) -> None:
    """Send exactly this request; it has to be granted."""
    request_id = str(request["requestId"])
    member.awaited.add(request_id)
    await member.peer.send_json(request)
    receivers(await member.reply(request_id), request["data"]["channel"])


# Coming back


async def subscribed_since(member: Member, channel: str, since: object) -> Envelope:
    """What `subscribed` says to a client that names its position."""
    reply = await member.ask("subscribe", {"channel": channel, "since": since})
    data = reply.get("data")
    if reply.get("type") != "subscribed" or not isinstance(data, dict):
        fail("subscribe is not granted", expected='{"type":"subscribed",…}', got=short(reply))
    return data


@check("Wire contract, chapter 9")
async def test_since_at_the_other_instance(subject: Subject, streams: Instances) -> None:
    """A client that comes back to the other instance gets all that it missed, as it was sent.

    `subscribe` with {"since":{"epoch","seq"}} is answered from the stream in Valkey: recovered
    true, and in `missed` every event after that position. What a process remembers is of no use to
    a client that comes from another one.
    """
    a, b = streams.see(subject.exchange)
    alice, bob = await a.member("room:since"), await a.member("room:since")
    witness = await b.member("room:since")
    await alice.publish("room:since", payload=0)
    epoch, seq = position((await hear(bob, 1, "before it leaves"))[0])
    await bob.close()
    for number in range(1, MISSED + 1):
        await alice.publish("room:since", payload=number)
    sent = (await hear(alice, MISSED + 1, "at A"))[1:]
    await hear(witness, MISSED + 1, "at B, which has seen all of it")

    back = await b.member()
    said = await subscribed_since(back, "room:since", {"epoch": epoch, "seq": seq})

    right = said.get("recovered") is True and alike(said.get("missed"), sent)
    expected = {"recovered": True, "missed": sent}
    require(right, "not all that was missed comes, as it was sent", expected=expected, got=said)
    top = {"epoch": epoch, "seq": seq + MISSED}
    require(alike(said | top, said), "the position is wrong", expected=top, got=said)
    await alice.publish("room:since", payload="live")
    await back.hears("room:since", payload="live")
    await back.hears_nothing("what it missed was in the reply")


@check("Wire contract, chapter 9")
async def test_since_that_cannot_be_answered(subject: Subject, streams: Instances) -> None:
    """A position of another epoch, or ahead of the channel, gets recovered false and no events.

    A part of what was missed would look like all of it. The client then asks for the state, and not
    for the way to it. What is no position at all is a `bad_request`.
    """
    a, b = streams.see(subject.exchange)
    alice, bob = await a.member("room:strange"), await b.member()
    await alice.publish("room:strange", payload=1)
    epoch, seq = position((await hear(alice, 1, "at A"))[0])

    for unknown in ({"epoch": "another", "seq": 0}, {"epoch": epoch, "seq": seq + 1}):
        said = await subscribed_since(bob, "room:strange", unknown)
        right = said.get("recovered") is False and said.get("missed") == []
        require(right, f"the answer to {unknown} is wrong", expected="recovered false", got=said)
    wrong: tuple[object, ...] = ("", 7, [], {}, {"epoch": epoch}, {"epoch": 1, "seq": 1})
    wrong += (
        {"epoch": epoch, "seq": -1},
        {"epoch": epoch, "seq": "1"},
        {"epoch": epoch, "seq": True},
    )
    for since in wrong:
        await bob.refused("subscribe", {"channel": "room:strange", "since": since}, "bad_request")


@check("Wire contract, chapter 9")
async def test_coming_back_while_events_pass(subject: Subject, streams: Instances) -> None:
    """Who comes back in the middle of a stream of events gets each of them once, and in order.

    An event that passes while `missed` is read must be in the reply or come after it, never both,
    never neither. Look at the position and deliver the channel's events one at a time; what comes
    and is not after the position has been in the reply.
    """
    a, b = streams.see(subject.exchange)
    alice, back = await a.member("room:race"), await b.member()
    await alice.publish("room:race", payload=0)
    epoch, seq = position((await hear(alice, 1, "at A"))[0])
    requests = [("publish", event("room:race", n)) for n in range(1, MANY + 1)]
    asked = await alice.send_together(requests, f"{MANY} times publish, in one write")
    seen = [0]

    for _ in range(5):  # joins and leaves: each time a part comes in the reply, a part live
        said = await subscribed_since(back, "room:race", {"epoch": epoch, "seq": seq})
        require(said.get("recovered") is True, "not recovered", expected="recovered true", got=said)
        seen += payloads(said.get("missed", []))
        await back.ask("ping")
        await back.unsubscribe("room:race")
        seen += payloads(list(back.events))
        back.events.clear()
        require(seen == list(range(len(seen))), "events are missing or twice", got=seen[-20:])
        seq = seen[-1] + 1  # event 0 has number 1
    for request_id in asked:
        receivers(await alice.reply(request_id), "room:race")
    said = await subscribed_since(back, "room:race", {"epoch": epoch, "seq": seq})
    seen += payloads(said.get("missed", []))
    require(seen == list(range(MANY + 1)), "events are missing or twice", got=seen[-20:])


# When Valkey is away


@check("Wire contract, chapter 9")
async def test_health(subject: Subject, streams: Instances) -> None:
    """GET /api/health is 200 when the instance works, alone or on the bus.

    A load balancer asks it before it sends anybody here.
    """
    a, b = streams.see(subject.exchange)
    for instance in (Instance("alone", a.process, subject), a, b):
        status, said = await instance.health()
        require(status == 200, f"instance {instance.name} is not well", expected=200, got=said)


@dataclass
class Pause:
    """What was seen while Valkey answered nothing, and after."""

    exchange: Exchange = field(default_factory=Exchange)
    problem: CheckFailure | None = None
    took: float = 0.0  # seconds until the publish was answered
    reply: Envelope = field(default_factory=dict)
    sick: list[tuple[int, Envelope]] = field(default_factory=list)
    heard: dict[str, list[object]] = field(default_factory=dict)
    repeats: int = 0

    def judge(self, subject: Subject) -> "Pause":
        subject.exchange.events = self.exchange.events
        if self.problem:
            raise self.problem
        return self


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pause(streams: Instances) -> Pause:
    """Valkey is paused in the middle of a publish, asked about, and woken up."""
    pause = Pause()
    try:
        await play(streams, pause)
    except CheckFailure as failure:
        pause.problem = failure
    finally:
        streams.valkey.resume()
        await pause.exchange.close()
    return pause


async def play(streams: Instances, pause: Pause) -> None:
    a, b = streams.see(pause.exchange)
    alice, bob = await a.member("room:pause"), await b.member("room:pause")
    await alice.publish("room:pause", payload="before")
    now = asyncio.get_running_loop().time
    request = {"type": "publish", "requestId": "p", "data": event("room:pause", "during")}

    streams.valkey.pause()
    pause.exchange.add("valkey", "·", "is paused")
    started = now()
    alice.awaited.add("p")
    await alice.peer.send_json(request)
    await bob.ask("ping")
    pause.reply = await alice.reply("p", BUS_TIMEOUT + 4 * SLACK)
    pause.took = now() - started
    for instance in (a, b):
        pause.sick.append(await instance.until_health(503, 2 * BUS_TIMEOUT + SLACK))

    streams.valkey.resume()
    pause.exchange.add("valkey", "·", "goes on")

    async def repeat() -> Envelope:
        pause.repeats += 1
        alice.awaited.add("p")
        await alice.peer.send_json(request)
        return await alice.reply("p")

    await ask_again(repeat, lambda reply: reply["type"] == "published", BACK_SECONDS)
    await a.healthy()
    await b.healthy()
    await alice.publish("room:pause", payload="after")
    for name, member in (("A", alice), ("B", bob)):
        got: list[object] = []
        while "after" not in got:
            got += payloads(await hear(member, 1, f"at {name}, up to the one after the pause"))
        await member.ask("ping")
        pause.heard[name] = got + payloads(list(member.events))


@check("Wire contract, chapter 9")
async def test_publish_while_valkey_is_paused(subject: Subject, pause: Pause) -> None:
    """A publish that Valkey does not answer gets `bus_unavailable` within BUS_TIMEOUT.

    Somebody waits for the answer. Put a deadline on everything that you ask of Valkey: a machine
    that hangs refuses no connection and resets none.
    """
    pause.judge(subject)
    is_error(pause.reply, "bus_unavailable")
    what = "the answer to publish comes too late"
    within = BUS_TIMEOUT + SLACK
    require(pause.took <= within, what, expected=f"{within:g} s", got=f"{pause.took:.1f} s")


@check("Wire contract, chapter 9")
async def test_unknown_outcome_is_settled_by_asking_again(subject: Subject, pause: Pause) -> None:
    """A request that got `bus_unavailable` and is sent again takes effect once, at both instances.

    Valkey may have read the first one before it stopped, and does it when it wakes up: the outcome
    is unknown. Only the request's id, kept beside the event, tells the second from the first.
    """
    pause.judge(subject)
    for name, heard in pause.heard.items():
        expected = ["before", "during", "after"]
        require(heard == expected, f"what comes at {name} is wrong", expected=expected, got=heard)


@check("Wire contract, chapter 9")
async def test_health_says_why(subject: Subject, pause: Pause) -> None:
    """GET /api/health is 503 at both instances while Valkey is away, and `why` says what it is.

    The connection that listens is quiet when nothing happens, and when nothing can: ask it
    something now and then.
    """
    pause.judge(subject)
    for name, (status, said) in zip("AB", pause.sick, strict=True):
        require(status == 503, f"instance {name} says it is well", expected=503, got=status)
        why = said.get("why")
        require(isinstance(why, str) and why, f"{name} does not say why", expected="why", got=said)


async def comes_back(instances: Instances, subject: Subject, channel: str) -> None:
    """Kill Valkey and start it again: what was accepted stays, and both instances are back."""
    a, b = instances.see(subject.exchange)
    alice, bob = await a.member(channel), await b.member(channel)
    await alice.publish(channel, payload="before")
    for member in (alice, bob):
        await member.hears(channel, payload="before")

    await instances.valkey.kill()
    subject.exchange.add("valkey", "·", "is killed")
    await alice.refused("publish", event(channel, "nobody"), "bus_unavailable")
    await instances.valkey.start()
    subject.exchange.add("valkey", "·", "is started again")
    await asyncio.gather(a.healthy(), b.healthy())

    await alice.publish(channel, payload="after, at A")
    await bob.publish(channel, payload="after, at B")
    for member in (alice, bob):
        await member.hears(channel, payload="after, at A")
        await member.hears(channel, payload="after, at B")
        await member.hears_nothing("its events have come already")


@check("Wire contract, chapter 9")
async def test_back_after_a_restart(subject: Subject, streams: Instances) -> None:
    """Valkey is killed and started again: within 10 s events pass again, each of them once.

    The client library may connect again by itself for the next command; whoever listens has to
    subscribe again, or read on. A task that ends with the first error never comes back.
    """
    await comes_back(streams, subject, "room:restart")


@check("Wire contract, chapter 9")
async def test_back_after_a_restart_by_pubsub(subject: Subject, pubsub: Instances) -> None:
    """The same with BUS=pubsub: within 10 s both instances have subscribed again by themselves.

    Listen in a loop that survives the loss of its connection, and waits a little between attempts.
    """
    await comes_back(pubsub, subject, "room:restart")


@check("Wire contract, chapter 9")
async def test_instance_that_was_cut_off_catches_up(subject: Subject, streams: Instances) -> None:
    """An instance that loses Valkey for a while delivers what it missed, in order, each event once.

    The log stays where it is: remember the last entry you have read, and read on from there. Who
    begins at the end again loses the part between; pub/sub has no such place to begin from.
    """
    a, b = streams.see(subject.exchange)
    alice, bob = await a.member("room:late"), await b.member("room:late")
    await alice.publish("room:late", payload=0)
    await bob.hears("room:late", payload=0)

    streams.cut_off_b()
    subject.exchange.add("wire", "·", "B loses Valkey")
    await b.healthy(503)
    for number in range(1, LATE + 1):
        await alice.publish("room:late", payload=number)
    await bob.refused("publish", event("room:late", "nobody"), "bus_unavailable")
    await bob.hears_nothing("its instance cannot know of it")
    streams.mend_b()
    subject.exchange.add("wire", "·", "B has Valkey again")

    until = BACK_SECONDS + SLACK
    late = payloads([await bob.event("what it missed", until) for _ in range(LATE)])
    expected = list(range(1, LATE + 1))
    require(late == expected, "what B missed comes otherwise", expected=expected, got=late)
    await alice.publish("room:late", payload="live")
    await bob.hears("room:late", payload="live")
    await bob.hears_nothing("it has all of them")
