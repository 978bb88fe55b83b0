"""Delivery: who was away catches up, what is sent twice takes effect once, and nothing is lost.

Every history is judged by an oracle that counts what was lost, duplicated and reordered.
"""

import asyncio
import json
import os
import secrets
from typing import Any

from course.wire import Wire
from tests.harness.device import Device, delivery_of, device
from tests.harness.journey import Journey
from tests.harness.member import Envelope, alike, is_error, short
from tests.harness.oracle import judge
from tests.harness.peer import Response
from tests.harness.subject import Subject
from tests.harness.verdict import check, fail, require

RACES = 500
TWICE_AT_ONCE = 40  # requests sent on two connections at the same time
PUBLISHERS, EACH = 4, 25
PUBLISHES = 1_000  # through the wire that cuts
SEED = int(os.environ.get("SEED") or 6)  # of the cuts


def fresh(name: str) -> str:
    """A name that nobody has used: a program that runs on must not remember it from before."""
    return f"{name}-{secrets.token_hex(4)}"


def position(event: Envelope) -> tuple[Any, Any]:
    return event.get("epoch"), event.get("seq")


def said(channel: str, payload: object, **more: object) -> dict[str, object]:
    """The data of a publish."""
    return {"channel": channel, "event": "check:said", "payload": payload, **more}


async def hears_all(member: Device, wanted: int) -> list[Envelope]:
    """The next events of this member, so many."""
    return [await member.event(f"event {n + 1} of {wanted}") for n in range(wanted)]


# Numbers


@check("Wire contract, chapter 6")
async def test_events_are_numbered(subject: Subject) -> None:
    """A channel's events carry `seq` 1, 2, 3 … and the `epoch` of the channel.

    Count for each channel by itself, where the event is born: every member gets the same number,
    and so does the answer to `subscribe`, which says how far the channel is.

    The epoch is a random text, made when the counting begins. It tells one counting from another.
    """
    channel, other = fresh("room:numbers"), fresh("room:others")
    alice, bob = [await device(subject, fresh(name)) for name in ("alice", "bob")]
    start = await alice.subscribe_since(channel)
    require(start["seq"] == 0, "a channel without events is not at 0", expected=0, got=start["seq"])
    for member, room in ((alice, other), (bob, channel), (bob, other)):
        await member.subscribe(room)

    for number, room in enumerate((channel, other, channel, channel)):
        await alice.publish(room, payload=number)

    events = [e for e in await hears_all(alice, 4) if e.get("channel") == channel]
    expected = [(start["epoch"], seq) for seq in (1, 2, 3)]
    got = [position(event) for event in events]
    require(got == expected, "the numbers are wrong", expected=expected, got=got)
    same = [e for e in await hears_all(bob, 4) if e.get("channel") == channel]
    require(same == events, "two members get different numbers", expected=expected, got=same)
    carol = await device(subject, fresh("carol"))
    later = await carol.subscribe_since(channel)
    got_later = position(later)
    require(
        got_later == (start["epoch"], 3),
        "`subscribed` does not say how far the channel is",
        expected=(start["epoch"], 3),
        got=got_later,
    )


@check("Wire contract, chapter 6")
async def test_what_was_missed_comes(subject: Subject) -> None:
    """Who subscribes from a position gets all events after it, as they were sent, and goes on.

    Keep the last HISTORY events of a channel. `missed` holds those behind `since`, oldest first;
    `recovered` is true, also when nothing was missed. The next event follows live, once.
    """
    channel = fresh("room:missed")
    alice, bob = [await device(subject, fresh(name), channel) for name in ("alice", "bob")]
    await alice.publish(channel, payload=0)
    first = await bob.event("the first event")
    bob.reset()
    for number in range(1, 6):
        await alice.publish(channel, payload=number)
    whole = await hears_all(alice, 6)

    again = await device(subject, bob.name)
    since = dict(zip(("epoch", "seq"), position(first), strict=True))
    told = await again.subscribe_since(channel, since)

    require(told["recovered"], "`recovered` is not true, though the history is there", got=told)
    got = [e.get("data") if isinstance(e, dict) else e for e in told["missed"]]
    require(got == [1, 2, 3, 4, 5], "other events were missed", expected=[1, 2, 3, 4, 5], got=got)
    require(
        alike(told["missed"], whole[1:]),
        "`missed` holds the events in another form than they were sent in",
        expected=short(whole[1]),
        got=short(told["missed"][0]),
    )
    now = {"epoch": told["epoch"], "seq": told["seq"]}
    told = await again.subscribe_since(channel, now)
    right = told["recovered"] and told["missed"] == []
    require(right, "who has missed nothing is told so", expected="recovered, none missed", got=told)
    await alice.publish(channel, payload=6)
    await again.hears(channel, payload=6)
    await again.hears_nothing("it was heard already")


@check("Wire contract, chapter 6")
async def test_all_or_nothing(subject: Subject) -> None:
    """A gap longer than the history is told: `recovered` false, and no event of it.

    Never give a part: a client that gets the second half cannot know that there was a first. It
    loads the snapshot instead.

    Count: `missing = seq - since.seq` must be in the history to the last one. With HISTORY events
    kept, exactly HISTORY can be given, and not one more.
    """
    channel, kept = fresh("room:short"), subject.settings.history
    alice = await device(subject, fresh("alice"))
    epoch = (await alice.subscribe_since(channel))["epoch"]
    requests = [("publish", said(channel, n, self=False)) for n in range(kept + 1)]
    for request_id in await alice.send_together(requests, f"{kept + 1} publishes"):
        await alice.reply(request_id)

    bob = await device(subject, fresh("bob"))
    too_old = await bob.subscribe_since(channel, {"epoch": epoch, "seq": 0})
    just_kept = await bob.subscribe_since(channel, {"epoch": epoch, "seq": 1})

    told_nothing(too_old, f"HISTORY={kept}, and {kept + 1} events have come since")
    require(
        just_kept["recovered"] and len(just_kept["missed"]) == kept,
        f"with HISTORY={kept}, a gap of {kept} events is not closed",
        expected=f"recovered, {kept} missed",
        got=f"recovered {just_kept['recovered']}, {len(just_kept['missed'])} missed",
    )


def told_nothing(told: dict[str, Any], because: str) -> None:
    """`fail()` unless the answer says that nothing can be recovered."""
    got = f"recovered {json.dumps(told['recovered'])}, {len(told['missed'])} missed"
    right = told["recovered"] is False and told["missed"] == []
    expected = "recovered false, none missed"
    require(right, f"this cannot be recovered: {because}", expected=expected, got=got)


@check("Wire contract, chapter 6")
async def test_foreign_positions(subject: Subject) -> None:
    """A position of another epoch, or ahead of the channel, is not recovered.

    Number 3 of another counting is another event. And a client that claims to be further than you
    are has been told so by somebody else: a server that has forgotten since, or another one.
    """
    channel = fresh("room:foreign")
    alice = await device(subject, fresh("alice"))
    epoch = (await alice.subscribe_since(channel))["epoch"]
    for number in range(3):
        await alice.publish(channel, payload=number)
    bob = await device(subject, fresh("bob"))

    for since, because in (
        ({"epoch": "another", "seq": 1}, "the epoch is another"),
        ({"epoch": "another", "seq": 3}, "the epoch is another, though the number is the same"),
        ({"epoch": epoch, "seq": 4}, "the client is ahead"),
    ):
        told = await bob.subscribe_since(channel, since)
        told_nothing(told, because)
        got = position(told)
        require(got == (epoch, 3), "the position is wrong", expected=(epoch, 3), got=got)


@check("Wire contract, chapter 6")
async def test_bad_fields(subject: Subject) -> None:
    """Fields that are wrong get `bad_request`: of `since`, of `notify`, of `ack`.

    Look at the kind of each field before you compare it: `"3" > 2` is an exception in one language
    and true in another. A refused subscribe does not join.
    """
    channel = fresh("room:fields")
    alice = await device(subject, fresh("alice"))
    bad_since: list[object] = [
        *("yesterday", 3, [], {}, {"epoch": "e"}, {"seq": 1}, {"epoch": "e", "seq": "1"}),
        *({"epoch": 7, "seq": 1}, {"epoch": "e", "seq": -1}, {"epoch": "e", "seq": 1.5}),
        *({"epoch": "e", "seq": None}, {"epoch": "e", "seq": True}),
    ]
    for since in bad_since:
        wanted = {"channel": channel, "since": since}
        is_error(await alice.ask("subscribe", wanted), "bad_request")
    is_error(await alice.ask("publish", said(channel, 1)), "not_subscribed")
    good = {"client": "somebody", "event": "check:told", "payload": 1}
    for name, value in (("client", 7), ("client", ""), ("event", "nocolon"), ("event", None)):
        is_error(await alice.ask("notify", good | {name: value}), "bad_request")
    for name in good:
        short_of_one = {key: value for key, value in good.items() if key != name}
        is_error(await alice.ask("notify", short_of_one), "bad_request")
    for data in (None, {}, {"deliveryId": 7}, "x"):
        is_error(await alice.ask("ack", data), "bad_request")


@check("Wire contract, chapter 6", costly=True)
async def test_restart_begins_a_new_epoch(subject: Subject) -> None:
    """After a restart the epoch is another one, and old positions are not recovered.

    The counting begins at 1 again, so an old 2 would look like a new 2. Draw the epoch at random
    when the counting begins; a fixed one, or the name of the channel, is the same after a restart.
    """
    subject.need_process()
    channel = "room:restart"
    told = []
    since = None
    for _ in range(2):
        async with subject.new_process().up() as process:
            alice = await device(subject, "alice", port=process.port)
            told.append(await alice.subscribe_since(channel, since))
            since = since or {"epoch": told[0]["epoch"], "seq": 2}
            for number in range(3):
                await alice.publish(channel, payload=number)

    told_nothing(told[1], "the server has started again since")
    epoch = told[0]["epoch"]
    require(epoch != told[1]["epoch"], "the epoch is that of before the restart", got=epoch)


# Once


@check("Wire contract, chapter 6")
async def test_a_repeat_has_no_second_effect(subject: Subject) -> None:
    """A publish with a requestId that has taken effect gets the same reply and has no other effect.

    Remember the reply by (client, requestId), where the client is the name in the address. It is
    the whole reply, `ts` too: a client must not be able to tell the two apart.

    It holds on a new connection as well, before it has subscribed to anything: look there first.
    """
    channel = fresh("room:once")
    alice, bob = [await device(subject, fresh(name), channel) for name in ("alice", "bob")]
    first = await alice.ask_as("the-one", "publish", said(channel, "once"))
    await bob.hears(channel, payload="once")

    second = await alice.ask_as("the-one", "publish", said(channel, "once"))
    again = await device(subject, alice.name)
    third = await again.ask_as("the-one", "publish", said(channel, "once"))

    await bob.hears_nothing("the requestId is known")
    for reply, where in ((second, "the same connection"), (third, "a new connection")):
        require(
            alike(reply, first),
            f"the reply to a repeat on {where} is another",
            expected=short(first),
            got=short(reply),
        )


@check("Wire contract, chapter 6")
async def test_ids_belong_to_their_client(subject: Subject) -> None:
    """Two clients may use the same requestId: each takes effect.

    A requestId is unique for its client only. Many count 1, 2, 3.
    """
    channel = fresh("room:ids")
    alice, bob = [await device(subject, fresh(name), channel) for name in ("alice", "bob")]

    await alice.ask_as("1", "publish", said(channel, "of alice"))
    await bob.ask_as("1", "publish", said(channel, "of bob"))

    for payload in ("of alice", "of bob"):
        await bob.hears(channel, payload=payload)


@check("Wire contract, chapter 6")
async def test_an_error_may_be_tried_again(subject: Subject) -> None:
    """What was refused is not remembered: the same requestId may succeed later.

    Only effects are remembered. Nothing happened, so nothing can happen twice; and the reason for
    the refusal may be gone.
    """
    channel = fresh("room:errors")
    alice = await device(subject, fresh("alice"))
    is_error(await alice.ask_as("try", "publish", said(channel, 1)), "not_subscribed")
    await alice.subscribe(channel)

    reply = await alice.ask_as("try", "publish", said(channel, 1))

    got = reply.get("type")
    require(got == "published", "a refusal is remembered", expected="published", got=short(reply))
    await alice.hears(channel, payload=1)


@check("Wire contract, chapter 6")
async def test_cut_between_effect_and_reply(subject: Subject) -> None:
    """A client that was cut off before the replies came sends again: each takes effect once.

    The replies are dropped on the way, the line is reset, the client comes back under its name and
    sends the three again in order, and a fourth. Everybody else has to hear four events.

    Remember the effect when it takes place, not when the reply has been sent.
    """
    channel = fresh("room:cut")
    witness = await device(subject, fresh("witness"), channel)
    async with Wire(subject.host, subject.port) as wire:
        alice = await device(subject, fresh("alice"), channel, port=wire.port)
        connection = await wire.connection(1)
        connection.blackhole("server")
        for number in range(3):
            await alice.send_as(f"cut-{number}", "publish", said(channel, number))
        events = await hears_all(witness, 3)
        connection.reset()

    again = await device(subject, alice.name, channel)
    for number in range(4):
        reply = await again.ask_as(f"cut-{number}", "publish", said(channel, number))
        require(reply.get("type") == "published", "a repeat is refused", got=short(reply))

    events.append(await witness.event("the fourth event"))
    await witness.ask("ping")
    found = judge(range(4), [event.get("data") for event in [*events, *witness.events]])
    require(found.clean, "four publishes are not four events", expected="all clean", got=found)


@check("Wire contract, chapter 6")
async def test_a_repeat_beside_the_first(subject: Subject) -> None:
    """A repeat that comes while the first is still under way waits for it, and gets its reply.

    The old connection is not dead yet, the new one sends again already. Remember the request when
    you begin with it, and let who asks meanwhile wait for the same result.
    """
    channel = fresh("room:beside")
    witness = await device(subject, fresh("witness"), channel)
    old = await device(subject, fresh("alice"), channel)
    new = await device(subject, old.name, channel)

    for number in range(TWICE_AT_ONCE):
        wanted = said(channel, number, self=False)
        await old.send_as(f"r{number}", "publish", wanted)
        await new.send_as(f"r{number}", "publish", wanted)
        first, second = await old.reply(f"r{number}"), await new.reply(f"r{number}")
        require(
            alike(first, second),
            "two copies of one request, sent at once, get different replies",
            expected=short(first),
            got=short(second),
        )

    await witness.ask("ping")
    found = judge(range(TWICE_AT_ONCE), [event.get("data") for event in witness.events])
    require(found.clean, "requests sent twice at once are not one event each", got=found)


# Order


@check("Wire contract, chapter 6")
async def test_everybody_hears_one_order(subject: Subject) -> None:
    """With several publishers at once every member hears all events in the order of their numbers.

    Sending to the members can suspend, and then another publish overtakes: number 8 is with a
    member before number 7. Number, keep and send one event of a channel after the other, for
    example under a lock of the channel.
    """
    channel = fresh("room:order")
    devices = [await device(subject, fresh(f"d{n}"), channel) for n in range(PUBLISHERS)]

    async def publish(member: Device) -> None:
        wanted = [("publish", said(channel, f"{member.name}/{n}")) for n in range(EACH)]
        await member.send_together(wanted, f"{EACH} publishes in one write")

    await asyncio.gather(*(publish(member) for member in devices))
    total = PUBLISHERS * EACH
    heard = [await hears_all(member, total) for member in devices]

    numbers = list(range(1, total + 1))
    for member, events in zip(devices, heard, strict=True):
        found = judge(numbers, [event.get("seq") for event in events])
        require(found.clean, f"the numbers that {member.peer.name} hears", got=found)
        for publisher in devices:
            own = [f"{publisher.name}/{n}" for n in range(EACH)]
            came = [e["data"] for e in events if str(e.get("data")).startswith(publisher.name)]
            found = judge(own, came)
            require(found.clean, "the events of one publisher, in its order", got=found)


@check("Wire contract, chapter 6", costly=True)
async def test_publish_races_subscribe(subject: Subject) -> None:
    """An event published while somebody subscribes is in `missed` or comes live: once, 500 times.

    Between reading the history and joining, or the other way round, an event can slip through, or
    come twice. Do both in one step, and answer before the next event is sent.
    """
    channel = fresh("room:race")
    alice = await device(subject, fresh("alice"), channel)
    bob = await device(subject, fresh("bob"))
    told = await bob.subscribe_since(channel)
    since = {"epoch": told["epoch"], "seq": told["seq"]}
    await bob.unsubscribe(channel)
    came: list[Any] = []

    for number in range(RACES):
        published = said(channel, number, self=False)
        wanted = {"channel": channel, "since": since}
        if number % 2:
            request = await alice.send("publish", published)
            answer = await bob.send("subscribe", wanted)
        else:
            answer = await bob.send("subscribe", wanted)
            request = await alice.send("publish", published)
        data = (await bob.reply(answer)).get("data") or {}
        require(data.get("recovered"), "a short gap is not recovered", got=short(data))
        came += [event.get("data") for event in bob.events]
        came += [event.get("data") for event in data["missed"]]
        bob.events.clear()
        await alice.reply(request)  # from here on it is out, or was never meant for bob
        await bob.unsubscribe(channel)
        came += [event.get("data") for event in bob.events]
        bob.events.clear()
        since = {"epoch": data["epoch"], "seq": number + 1}

    found = judge(range(RACES), came)
    require(found.clean, "events that were published during a subscribe", got=found)


# State


async def snapshot(subject: Subject, channel: str) -> dict[str, Any]:
    """What the server says of a channel's state."""
    response = await subject.http("GET", f"/api/channels/{channel}/snapshot")
    require(response.status == 200, "GET …/snapshot fails", expected=200, got=response)
    expected = '{"epoch":…,"seq":n,"state":{…}}'
    got = body(response)
    right = (
        isinstance(got.get("epoch"), str)
        and type(got.get("seq")) is int
        and isinstance(got.get("state"), dict)
    )
    require(right, "the snapshot is wrong", expected=expected, got=short(got))
    return got


def body(response: Response) -> dict[str, Any]:
    try:
        value = json.loads(response.body)
    except ValueError:
        fail("the answer is not JSON", got=response.body[:200])
    return value if isinstance(value, dict) else {}


@check("Wire contract, chapter 6")
async def test_snapshot(subject: Subject) -> None:
    """The snapshot is the latest payload of each `payload.id`, and the position that it is of.

    Keep it in memory as the events come: a dict by id. State and position are read at one moment;
    an event between the two would be lost, or applied twice. What has no id is no state.
    """
    channel = fresh("orders:state")
    alice = await device(subject, fresh("alice"))
    told = await alice.subscribe_since(channel)
    empty = await snapshot(subject, channel)
    expected = {"epoch": told["epoch"], "seq": 0, "state": {}}
    require(empty == expected, "the snapshot of nothing", expected=expected, got=empty)

    for payload in (
        *({"id": "a", "count": 1}, {"id": "b"}, {"id": "a", "count": 2}),
        *("no object", {"no": "id"}, None, {"id": None}, {"id": ["x"]}),
    ):
        await alice.publish(channel, payload=payload)

    got = await snapshot(subject, channel)
    state = {"a": {"id": "a", "count": 2}, "b": {"id": "b"}}
    expected = {"epoch": told["epoch"], "seq": 8, "state": state}
    require(got == expected, "the snapshot is another", expected=expected, got=got)
    bad = await subject.http("GET", "/api/channels/nocolon/snapshot")
    require(bad.status == 400, "a name that is no channel's", expected=400, got=bad)


@check("Wire contract, chapter 6")
async def test_snapshot_then_events(subject: Subject) -> None:
    """The position of a snapshot is a place to go on from: nothing lost, nothing twice.

    A publish falls between the snapshot and the subscribe. The answer to the subscribe has to
    bring it, and nothing that is in the snapshot already.
    """
    channel = fresh("orders:between")
    alice = await device(subject, fresh("alice"), channel)
    bob = await device(subject, fresh("bob"))

    for number in range(1, 21):
        await alice.publish(channel, payload={"id": "a", "n": number - 1})
        state = await snapshot(subject, channel)
        await alice.publish(channel, payload={"id": "a", "n": number})
        since = {"epoch": state["epoch"], "seq": state["seq"]}
        told = await bob.subscribe_since(channel, since)
        got = [event["data"]["n"] for event in told["missed"]]
        require(got == [number], "after a snapshot", expected=[number], got=got)


# Direct messages


@check("Wire contract, chapter 6")
async def test_direct_message(subject: Subject) -> None:
    """`notify` reaches the client that it names, with the deliveryId of the reply, and nobody else.

    The name is that of the address, `/ws?client=…`. Answer `notified` with the id under which the
    message waits for its `ack`.
    """
    alice, bob = [await device(subject, fresh(name)) for name in ("alice", "bob")]

    delivery_id = await alice.notify(bob.name, {"text": "hello"})

    payload, got = await bob.told("the direct message")
    require(payload == {"text": "hello"}, "the payload is another", got=payload)
    require(got == delivery_id, "the deliveryId is another", expected=delivery_id, got=got)
    await bob.ack(delivery_id)
    await bob.ack(delivery_id)  # once or twice, it is the same
    await alice.hears_nothing("the message is for another client")


@check("Wire contract, chapter 6")
async def test_notify_over_http(subject: Subject) -> None:
    """POST /api/notify does the same for business code: 202 and the deliveryId, 400 for bad input.

    One function does the work for both.
    """
    bob = await device(subject, fresh("bob"))
    good = {"client": bob.name, "event": "check:told", "payload": 1}

    response = await subject.http("POST", "/api/notify", json.dumps(good).encode())

    require(response.status == 202, "POST /api/notify fails", expected=202, got=response)
    payload, delivery_id = await bob.told("the direct message")
    expected = {"deliveryId": delivery_id}
    require(body(response) == expected, "the answer", expected=expected, got=body(response))
    require(payload == 1, "the payload is another", expected=1, got=payload)
    await bob.ack(delivery_id)
    for bad in (b"not JSON", b"[]", json.dumps(good | {"event": "nocolon"}).encode()):
        response = await subject.http("POST", "/api/notify", bad)
        require(response.status == 400, "bad input", expected=400, got=response)
        got = body(response).get("error")
        require(isinstance(got, dict), "the error has no body", expected='{"error":{…}}', got=got)


@check("Wire contract, chapter 6")
async def test_unacknowledged_is_sent_again(subject: Subject) -> None:
    """Without an `ack` a direct message is sent again after ACK_SECONDS, in order; with one, never.

    Keep each message until its ack, with the time when it is due again. Three are sent here and
    the second is acknowledged: the first and the third have to come again, under their ids.
    """
    alice, bob = [await device(subject, fresh(name)) for name in ("alice", "bob")]
    sent = [await alice.notify(bob.name, number) for number in range(3)]
    first = [await bob.told(f"message {number}") for number in range(3)]
    expected = list(enumerate(sent))
    require(first == expected, "the messages come otherwise", expected=expected, got=first)
    await bob.ack(sent[1])
    bob.events.clear()  # what came again before the ack was there
    soon = subject.settings.ack_seconds + 5.0

    heard = [await bob.told("a message again", soon) for _ in range(4)]

    ids = [delivery_id for _, delivery_id in heard]
    require(sent[1] not in ids, "what was acknowledged comes again", got=heard)
    start = ids.index(sent[0]) if sent[0] in ids else 0
    pair = ids[start : start + 2]
    expected_ids = [sent[0], sent[2]]
    require(pair == expected_ids, "the order of the repeats", expected=expected_ids, got=pair)
    for delivery_id in expected_ids:
        await bob.ack(delivery_id)


@check("Wire contract, chapter 6")
async def test_messages_wait_for_a_client_that_is_away(subject: Subject) -> None:
    """Who comes back gets at once, in order, what waits for it, and not what it has acknowledged.

    The outbox belongs to the client, not to a connection: it is there before the client ever was,
    and after it has gone. Here the old connection hangs behind a dead line: the newest one counts.
    """
    alice = await device(subject, fresh("alice"))
    name = fresh("bob")
    sent = [await alice.notify(name, number) for number in range(3)]

    async with Wire(subject.host, subject.port) as wire:
        bob = await device(subject, name, port=wire.port)
        first = [await bob.told(f"message {number}") for number in range(3)]
        await bob.ack(sent[0])
        wire.blackhole()
        again = await device(subject, name)
        second = [await again.told(f"message {number} again") for number in (1, 2)]

    expected = list(enumerate(sent))
    require(first == expected, "what waited comes otherwise", expected=expected, got=first)
    require(second == expected[1:], "on the return", expected=expected[1:], got=second)
    for delivery_id in sent[1:]:
        await again.ack(delivery_id)


@check("Wire contract, chapter 6")
async def test_outbox_is_bounded(subject: Subject) -> None:
    """A message too many for a client is refused with `outbox_full`; after an ack there is room.

    OUTBOX_LIMIT messages may wait. Refuse the newest, and tell its sender; dropping the oldest
    would lose what was promised. The refused one may be sent again under its requestId.
    """
    limit = subject.settings.outbox_limit
    alice, bob = await device(subject, fresh("alice")), await device(subject, fresh("bob"))
    sent = [await alice.notify(bob.name, number) for number in range(limit)]
    one_more = {"client": bob.name, "event": "check:told", "payload": limit}

    is_error(await alice.ask_as("more", "notify", one_more), "outbox_full")
    response = await subject.http("POST", "/api/notify", json.dumps(one_more).encode())
    error = body(response).get("error") or {}
    right = response.status >= 400 and error.get("code") == "outbox_full"
    require(right, "POST /api/notify to a full outbox", expected="outbox_full", got=response)

    await bob.ack(sent[0])
    delivery_of(await alice.ask_as("more", "notify", one_more))
    await bob.ask("ping")
    came = {event.get("deliveryId"): event.get("data") for event in bob.events}
    for delivery_id in came:
        await bob.ack(str(delivery_id))
    expected = list(range(limit + 1))
    require(list(came.values()) == expected, "what came", expected=expected, got=came)


@check("Wire contract, chapter 6")
async def test_a_repeated_notify_is_one_message(subject: Subject) -> None:
    """A `notify` that is sent twice under one requestId is one message, and has one deliveryId.

    It is an effect like a publish: the same memory of requests serves both.
    """
    alice, bob = [await device(subject, fresh(name)) for name in ("alice", "bob")]
    wanted = {"client": bob.name, "event": "check:told", "payload": "once"}

    first = await alice.ask_as("told", "notify", wanted)
    second = await alice.ask_as("told", "notify", wanted)

    same = alike(first, second)
    require(same, "the two replies differ", expected=short(first), got=short(second))
    _, delivery_id = await bob.told("the direct message")
    await bob.ack(delivery_id)
    others = [e for e in bob.events if e.get("deliveryId") != delivery_id]
    require(not others, "the repeat is another message", expected="none", got=others[:1])


# Everything together


@check("Wire contract, chapter 6", costly=True)
async def test_a_thousand_publishes_over_a_wire_that_cuts(subject: Subject) -> None:
    """1,000 publishes over lines that are cut at random frames: 0 lost, 0 duplicated, 0 reordered.

    The publisher sends again, in order, what was not acknowledged. The reader subscribes from its
    position. If one of the three numbers is not 0, one of the other checks most likely says why;
    if none does, look at what happens when two connections of one client live at the same time.

    The cuts come from a seed: SEED=… draws others.
    """
    journey = Journey(
        subject.exchange,
        subject.host,
        subject.port,
        subject.path,
        publishes=PUBLISHES,
        seed=SEED,
        name=fresh("journey"),
    )

    found = await journey.run()

    require(
        found.clean,
        f"what came is not what was published ({journey})",
        expected="0 lost, 0 duplicated, 0 reordered",
        got=f"{found}; {journey.not_recovered} times `recovered` was not true",
    )
