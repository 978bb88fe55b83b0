"""Socket.IO on several instances: who is where must not matter, and an outage must not be silent.

Two processes of the program are started, with a real Valkey between them. A asks it directly; B
through a wire that can be broken for B alone.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from tests.harness.again import ask_again
from tests.harness.door import ADMIN, MEMBER, VISITOR, post
from tests.harness.exchange import Exchange
from tests.harness.guest import Guest, guest, is_error, stranger, token_of
from tests.harness.instances import BACK_SECONDS, BUS_TIMEOUT, SLACK, Instance, Instances
from tests.harness.peer import WITHIN
from tests.harness.subject import Subject
from tests.harness.verdict import CheckFailure, check, fail, require


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def both(_program: Subject) -> AsyncIterator[Instances]:
    """Two instances on one Valkey."""
    _program.need_process()
    async with Instances(_program, "pubsub").running() as instances:
        yield instances


def said(channel: str, payload: object, **more: object) -> dict[str, object]:
    return {"channel": channel, "event": "check:said", "payload": payload, **more}


async def hears(client: Guest, payload: object) -> dict[str, Any]:
    event = await client.event("check:said")
    require(event.get("data") == payload, "another event comes", expected=payload, got=event)
    return event


async def ask(instance: Instance, path: str, body: object) -> tuple[int, dict[str, Any]]:
    """POST as an admin."""
    subject = instance.subject
    headers = {"Authorization": f"Bearer {await token_of(subject, ADMIN)}"}
    return await post(
        subject.host, subject.port, path, body, headers=headers, exchange=subject.exchange
    )


@check("Wire contract, chapter 11")
async def test_reaches_both_instances_once(subject: Subject, both: Instances) -> None:
    """What is published at either instance comes once to each member at both, with one numbering.

    A process knows its own clients and no others: give the server a manager that passes every emit
    on (AsyncRedisManager). It does so for rooms, for lists of rooms and for `skip_sid`.

    The numbers come from Valkey. Two processes that count by themselves both begin with 1.
    """
    a, b = both.see(subject.exchange)
    alice = await guest(a.subject, MEMBER, channels=("room:both",))
    bob = await guest(b.subject, VISITOR, transport="polling", channels=("room:both",))
    stranger = await guest(b.subject, VISITOR)

    await alice.ask("publish", said("room:both", "from A"))
    await hears(alice, "from A")
    first = await hears(bob, "from A")
    await bob.ask("publish", said("room:both", "from B", self=False))
    body = said("room:both", "over HTTP")
    status, answer = await ask(b, "/api/publish", body)

    require(status == 202, "POST /api/publish fails", expected=202, got=answer)
    second = await hears(alice, "from B")
    for client in (alice, bob):
        third = await hears(client, "over HTTP")
        await client.hears_nothing("it has all of its events")
    await stranger.hears_nothing("it is not in the room")
    numbers = [event.get("seq") for event in (first, second, third)]
    require(numbers == [1, 2, 3], "the numbers are wrong", expected=[1, 2, 3], got=numbers)
    epochs = {event.get("epoch") for event in (first, second, third)}
    require(len(epochs) == 1, "the counters are two", expected="one epoch", got=epochs)


@check("Wire contract, chapter 11")
async def test_notice_at_both(subject: Subject, both: Instances) -> None:
    """A notice of an admin at A to many rooms comes once to each of their members, at A and B.

    The manager passes the list of rooms on as it is. A loop over the rooms sends as many copies as
    somebody has rooms, and an empty list is everybody, at every instance.
    """
    a, b = both.see(subject.exchange)
    admin = await guest(a.subject, ADMIN, "/admin")
    clients = [await guest(a.subject, MEMBER), await guest(b.subject, MEMBER)]
    carol = await guest(b.subject, VISITOR)
    rooms = [f"user:{a.subject.door.who(MEMBER).name}", "role:user", "role:none"]

    # The last one comes after whatever would come twice, or to everybody.
    for chosen in (rooms, rooms[:1], [], rooms):
        notice = {"rooms": chosen, "event": "check:notice", "payload": len(chosen)}
        await admin.ask("admin:notify", notice, namespace="/admin")

    for client, expected in ((clients[0], [3, 1, 3]), (clients[1], [3, 1, 3]), (carol, [3, 3])):
        for payload in expected:
            event = await client.event("check:notice")
            require(event.get("data") == payload, "another one", expected=payload, got=event)
    for client in (*clients, carol):
        await client.hears_nothing("it has one copy of each")


@check("Wire contract, chapter 11")
async def test_asks_a_client_at_the_other(subject: Subject, both: Instances) -> None:
    """POST /api/ask at A is answered by the ack of a client at B.

    Nobody at A knows its sid, and `rooms()` and `get_session` of it would fail there. Its room is
    known everywhere: emit to `user:NAME` with a callback, and the manager brings the ack back.
    """
    a, b = both.see(subject.exchange)
    bob = await guest(b.subject, VISITOR)
    question = {"user": b.subject.door.who(VISITOR).name, "event": "check:asked", "payload": 1}

    for expected in ("yes", "again"):
        asking = asyncio.create_task(ask(a, "/api/ask", question))
        packet = await bob.next("the question")
        await bob.send(f"43{packet.number}{json.dumps([expected])}")
        status, answer = await asking
        right = status == 200 and answer.get("answer") == expected
        require(right, "the answer is another", expected=expected, got=f"{status} {answer}")


@check("Wire contract, chapter 11")
async def test_kick_and_logout_at_both(subject: Subject, both: Instances) -> None:
    """Who is kicked or logged out at A is so at B: sent away with `41`, and the token is void.

    The library has no message from server to server (JavaScript's serverSideEmit). A subclass of
    the manager can send its own on the same channel.
    """
    a, b = both.see(subject.exchange)
    admin = await guest(a.subject, ADMIN, "/admin")
    who = a.subject.door.who(VISITOR)
    token = await token_of(a.subject, VISITOR)
    for code in ("kicked", "logged_out"):
        bobs = [await guest(each.subject, MEMBER) for each in (a, b)]
        carols = [await guest(each.subject, VISITOR) for each in (a, b)]

        if code == "kicked":
            await admin.ask("admin:kick", {"user": who.name}, namespace="/admin")
        else:
            headers = {"Authorization": f"Bearer {token}"}
            place = a.subject
            await post(place.host, place.port, "/api/logout", headers=headers)

        for carol in carols:
            ended = await carol.event("session:ended")
            require(ended.get("code") == code, "the reason is another", expected=code, got=ended)
            packet = await carol.next("41")
            require(packet.kind == "1", "it is not sent away", expected="41", got=packet)
        for bob in bobs:
            await bob.hears_nothing("it is somebody else")
    auth = {"token": token}
    for each in (a, b):  # as a newcomer: who was sent away a moment ago may be half in yet
        newcomer = await stranger(each.subject)
        await newcomer.refused("/", auth, "unauthorized", "a token that was logged out at A")


@check("Wire contract, chapter 11")
async def test_recovers_at_the_other(subject: Subject, both: Instances) -> None:
    """A client that comes back to the other instance gets what it missed, by `since` in `auth`.

    What a process remembers is of no use to a client that comes from another one: keep the events
    where all instances see them.

    What was published a moment ago may come a second time, live: its number says so.
    """
    a, b = both.see(subject.exchange)
    alice = await guest(a.subject, ADMIN, channels=("room:move",))
    bob = await guest(a.subject, MEMBER)
    at = await bob.ask("subscribe", {"channel": "room:move", "since": None})
    await bob.close()
    for number in range(3):
        await alice.ask("publish", said("room:move", number))

    since = {"room:move": {"epoch": at.get("epoch"), "seq": at.get("seq")}}
    bob = await guest(b.subject, MEMBER, since=since)
    told = await bob.event("session:recovered")

    found = told.get("channels", {}).get("room:move", {})
    payloads = [event.get("data") for event in found.get("missed", [])]
    right = found.get("recovered") is True and payloads == [0, 1, 2]
    require(right, "not all that was missed comes", expected="0, 1, 2", got=found)
    await alice.ask("publish", said("room:move", "live"))
    await bob.until("check:said", data="live")  # the others may come late as well: numbers tell


@check("Wire contract, chapter 11")
async def test_health_of_both(subject: Subject, both: Instances) -> None:
    """GET /api/health is 200 while the bus works, alone and with others; nobody needs a token.

    With python-socketio the manager begins to listen with the first client. Let it begin with the
    server, and ask Valkey something now and then: a connection that only listens is quiet when
    nothing happens, and when nothing can.
    """
    for instance in both.see(subject.exchange):
        await instance.healthy()
    peer = await subject.dial()
    peer.door = None
    response = await peer.request("/api/health", upgrade=False)
    require(response.status == 200, "one alone is not well", expected=200, got=response)


@dataclass
class Outage:
    """What was seen while B had no Valkey, then nobody, and after."""

    exchange: Exchange = field(default_factory=Exchange)
    problem: CheckFailure | None = None
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)  # what was asked at B
    slow: dict[str, Any] = field(default_factory=dict)  # asked at A while Valkey is paused
    took: float = 0.0
    heard_at_b: list[str] = field(default_factory=list)  # meanwhile
    sick: dict[str, int] = field(default_factory=dict)
    gap: bool = False
    found: dict[str, Any] = field(default_factory=dict)
    alive: bool = False

    def judge(self, subject: Subject) -> "Outage":
        subject.exchange.events = self.exchange.events
        if self.problem:
            raise self.problem
        return self


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outage(both: Instances) -> Outage:
    """B loses Valkey and finds it again; then Valkey is paused for both, and goes on."""
    outage = Outage()
    try:
        await play(both, outage)
    except CheckFailure as failure:
        outage.problem = failure
    finally:
        both.valkey.resume()
        both.mend_b()
        await outage.exchange.close()
    return outage


async def play(both: Instances, outage: Outage) -> None:
    a, b = both.see(outage.exchange)
    alice = await guest(a.subject, ADMIN, "/", "/admin", channels=("room:outage",))
    bob = await guest(b.subject, ADMIN, "/", "/admin")
    at = await bob.ask("subscribe", {"channel": "room:outage", "since": None})
    position = {"epoch": at.get("epoch"), "seq": at.get("seq")}
    notice = {"rooms": ["room:outage"], "event": "check:notice", "payload": 1}
    bob.waiting.clear()

    both.cut_off_b()
    outage.exchange.add("valkey", "·", "is out of reach for B")
    number = await bob.emit("publish", said("room:outage", "half"))
    outage.refused["publish"] = await bob.ack(number, "publish", BUS_TIMEOUT + 4 * SLACK)
    outage.sick["B cut off"], _ = await b.until_health(503, 2 * BUS_TIMEOUT + SLACK)
    number = await bob.emit("admin:notify", notice, namespace="/admin")
    within = 2 * BUS_TIMEOUT + 4 * SLACK
    outage.refused["admin:notify"] = await bob.ack(number, "admin:notify", within)
    await alice.ask("publish", said("room:outage", "missed at B"))
    await hears(alice, "missed at B")
    await bob.ask("app:ping")
    outage.heard_at_b = [packet.name for packet in bob.waiting]

    both.mend_b()
    outage.exchange.add("valkey", "·", "is there again for B")
    await b.healthy()
    await ask_again(lambda: bob.ask("app:ping"), lambda _: bob.gaps > 0, BACK_SECONDS)
    outage.gap = bob.gaps > 0
    since = {"channel": "room:outage", "since": position}
    outage.found = await bob.ask("subscribe", since)
    await alice.ask("publish", said("room:outage", "after"))
    await bob.until("check:said", data="after")
    alice.waiting.clear()

    both.valkey.pause()
    outage.exchange.add("valkey", "·", "is paused")
    started = asyncio.get_running_loop().time()
    number = await alice.emit("publish", said("room:outage", "unknown"))
    outage.slow = await alice.ack(number, "publish", BUS_TIMEOUT + 4 * SLACK)
    outage.took = asyncio.get_running_loop().time() - started
    outage.sick["A, Valkey paused"], _ = await a.until_health(503, 2 * BUS_TIMEOUT + SLACK)
    both.valkey.resume()
    outage.exchange.add("valkey", "·", "goes on")
    await asyncio.gather(a.healthy(), b.healthy())
    await alice.ask("publish", said("room:outage", "the end"))
    await bob.until("check:said", WITHIN, data="the end")
    outage.alive = a.process.alive and b.process.alive


@check("Wire contract, chapter 11")
async def test_nothing_goes_out_in_halves(subject: Subject, outage: Outage) -> None:
    """Without Valkey a publish and a notice get `bus_unavailable`, and nobody hears them.

    python-socketio's emit raises nothing then: the clients of this instance get the event, the
    others never do, and nobody knows. Keep the event in Valkey first; without that it is not sent.
    """
    outage.judge(subject)
    for name, answer in outage.refused.items():
        is_error(answer, "bus_unavailable", name)
    heard = [name for name in outage.heard_at_b if name.startswith("check:")]
    require(not heard, "the members here have heard it", expected="nothing", got=heard)


@check("Wire contract, chapter 11")
async def test_an_answer_in_time(subject: Subject, outage: Outage) -> None:
    """While Valkey is paused a publish gets `bus_unavailable` within BUS_TIMEOUT.

    A machine that hangs refuses no connection and resets none. Every question to it needs a
    deadline of yours.
    """
    outage.judge(subject)
    is_error(outage.slow, "bus_unavailable", "publish")
    within = BUS_TIMEOUT + SLACK
    right = outage.took <= within
    require(right, "it comes too late", expected=f"{within:g} s", got=f"{outage.took:.1f} s")


@check("Wire contract, chapter 11")
async def test_an_outage_is_seen(subject: Subject, outage: Outage) -> None:
    """GET /api/health is 503 while the bus is away, and 200 again within 10 s of its return.

    Nothing in the library tells: it retries, and logs. Send yourself something by way of Valkey
    now and then; when it does not come back, the bus is away.
    """
    outage.judge(subject)
    for name, status in outage.sick.items():
        require(status == 503, f"{name}: it says that it is well", expected=503, got=status)


@check("Wire contract, chapter 11")
async def test_the_gap_is_told(subject: Subject, outage: Outage) -> None:
    """After an outage the clients of that instance get `session:gap`, and catch up by position.

    Pub/Sub keeps nothing: what passed while an instance was away has passed it by, and its clients
    notice nothing. `subscribe` with `since` then gives them what they missed.
    """
    outage.judge(subject)
    require(outage.gap, "nobody is told of it", expected='42["session:gap",…]', got="nothing")
    missed = [event.get("data") for event in outage.found.get("missed", [])]
    right = outage.found.get("recovered") is True and "missed at B" in missed
    require(right, "the event is lost", expected="missed at B", got=outage.found)
    if not outage.alive:
        fail("an instance did not live through it", expected="two processes", got="fewer")
