"""The dashboard: one board for everybody, changed by actions alone, and numbers that say how it is.

Native and Socket.IO clients are asked at once. The board stands still while visitors act on it; for
the rest, programs of their own are started: one whose board moves all the time, and two instances
with a Valkey.
"""

import asyncio
import contextlib
import json
import statistics
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from tests.harness.again import ask_again
from tests.harness.board import (
    NATIVE,
    ORDERS,
    RESERVATIONS,
    SOCKETIO,
    TELEMETRY,
    Metrics,
    Place,
    done,
    join,
    place_with,
)
from tests.harness.device import Device
from tests.harness.door import ADMIN, MEMBER, VISITOR, post
from tests.harness.exchange import Exchange
from tests.harness.instances import Instances
from tests.harness.member import Envelope, Member, alike, is_error, short
from tests.harness.peer import Peer
from tests.harness.socketio_peer import SocketMember, WebSocketPeer
from tests.harness.subject import Process, Subject
from tests.harness.verdict import CheckFailure, check, fail, require

EVENTS = 25  # that have to come while the board moves
LOOK_SECONDS = 1.2  # at the telemetry
SLACK = 2.0  # seconds for a busy machine
STEP_SECONDS = 0.2  # of the business of two instances
STEPS = 18
TAKEOVER_SECONDS = 10.0  # until another instance drives
SMALL = 4096  # bytes: the receive buffer of one that does not read, so that it is soon full
CHUNK, MOST_CHUNKS = 60_000, 150  # of what fills it
NEXT = {
    "order": {
        "new": {"preparing", "cancelled"},
        "preparing": {"ready", "cancelled"},
        "ready": {"served", "cancelled"},
    },
    "reservation": {"requested": {"confirmed", "cancelled"}, "confirmed": {"seated", "cancelled"}},
}
ORDER = {"customer": "check", "items": [{"name": "tea", "count": 2}], "total": 700}
SAMPLE = ("connections", "messagesPerSecond", "queued", "dropped", "reconnects", "roundTripMs")


# A board that moves: one scene, judged by several checks


@dataclass(repr=False)  # a record is long, and pytest would print it
class Moving:
    """What two clients, one of each dialect, saw of a board that moved all the time."""

    exchange: Exchange = field(default_factory=Exchange)
    problem: CheckFailure | None = None
    before: dict[str, Any] = field(default_factory=dict)  # the snapshot that they began with
    after: dict[str, Any] = field(default_factory=dict)
    heard: dict[str, list[Envelope]] = field(default_factory=dict)  # by dialect: missed, then live
    samples: dict[str, list[Envelope]] = field(default_factory=dict)
    looked: float = 0.0  # seconds, at the telemetry

    def judge(self, subject: Subject) -> "Moving":
        subject.exchange.events = self.exchange.events
        if self.problem:
            raise self.problem
        return self


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def moving(_program: Subject) -> Moving:
    """The scene: snapshot, subscribe, listen, snapshot again."""
    scene = Moving()
    async with place_with(_program, BUSINESS_SECONDS="0.02", BUSINESS_SEED="7") as place:
        try:
            await watch(place.see(scene.exchange), scene)
        except CheckFailure as failure:
            scene.problem = failure
        finally:
            await scene.exchange.close()
    return scene


async def watch(place: Place, scene: Moving) -> None:
    native, guest = await place.native(), await place.guest()
    both: dict[str, Device | SocketMember] = {NATIVE: native, SOCKETIO: guest}
    scene.before = await place.snapshot(ORDERS)
    since = {"epoch": scene.before["epoch"], "seq": scene.before["seq"]}
    for dialect, member in both.items():
        said = await join(member, ORDERS, since)
        require(said.get("recovered") is True, "a snapshot is no place to go on from", got=said)
        scene.heard[dialect] = list(said["missed"])
    for dialect, member in both.items():
        while len(scene.heard[dialect]) < EVENTS:
            scene.heard[dialect].append(await member.event("what happens on the board"))
    scene.after = await place.snapshot(ORDERS)
    for dialect, member in both.items():
        while scene.heard[dialect][-1].get("seq", 0) < scene.after["seq"]:
            scene.heard[dialect].append(await member.event("what happened before the snapshot"))
        await member.unsubscribe(ORDERS)
        member.events.clear()
    now = asyncio.get_running_loop().time
    started = now()
    for member in both.values():
        await join(member, TELEMETRY)
    await asyncio.sleep(LOOK_SECONDS)
    for dialect, member in both.items():
        await member.ask("ping")
        scene.samples[dialect] = list(member.events)
    scene.looked = now() - started


@check("Wire contract, chapter 14")
async def test_snapshot_and_delta_leave_no_hole(subject: Subject, moving: Moving) -> None:
    """A snapshot, what was missed since and what comes live add up to the next snapshot.

    The board moves while the state is read and while the client subscribes. Read state and position
    at one moment; join, look at what was missed and answer before the next event is told.

    If an event is lost at the seam, or applied before its turn, the sum is another.
    """
    scene = moving.judge(subject)
    for dialect, events in scene.heard.items():
        state, seq = dict(scene.before["state"]), scene.before["seq"]
        for event in events:
            what = f"the numbers that the {dialect} client hears have a hole"
            require(event.get("seq") == seq + 1, what, expected=seq + 1, got=short(event))
            seq += 1
            if seq <= scene.after["seq"]:
                state[str(event["data"]["id"])] = event["data"]
        same = alike(state, scene.after["state"])
        what = f"what the {dialect} client has put together is not the state"
        require(same, what, expected=short(scene.after["state"]), got=short(state))


@check("Wire contract, chapter 14")
async def test_both_dialects_see_one_board(subject: Subject, moving: Moving) -> None:
    """A native and a Socket.IO client get the same events, with the same numbers, in one order.

    Let both be members of the same rooms: what the bus brings is written once for each dialect and
    handed to all. Two servers beside one another would number twice.
    """
    scene = moving.judge(subject)
    native, guest = scene.heard[NATIVE], scene.heard[SOCKETIO]
    for one, other in zip(native, guest, strict=False):
        same = alike(one, other)
        require(same, "Socket.IO tells another event", expected=short(one), got=short(other))


@check("Wire contract, chapter 14")
async def test_things_take_their_way(subject: Subject, moving: Moving) -> None:
    """An order goes from new over preparing and ready to served, or is cancelled; and it is whole.

    Each event carries the whole order, not a part: who applies it needs nothing else. The business
    that moves the board obeys the same rules as everybody.
    """
    scene = moving.judge(subject)
    before = {key: thing.get("status") for key, thing in scene.before["state"].items()}
    require(before, "the board is empty at the start", expected="orders", got=before)
    updates = 0
    for event in scene.heard[NATIVE]:
        thing = event["data"]
        whole(thing)
        was = before.get(thing["id"])
        right = thing["status"] == "new" if was is None else thing["status"] in NEXT["order"][was]
        require(right, f"an order that was {was} becomes something else", got=short(event))
        kind = "order:created" if was is None else "order:update"
        require(event["type"] == kind, "the event is called otherwise", expected=kind, got=event)
        before[thing["id"]] = thing["status"]
        updates += was is not None
    require(updates, "no order that is there moves", expected="order:update", got="order:created")


def whole(thing: Any) -> None:
    """`fail()` unless it is an order."""
    kinds = {"id": str, "customer": str, "items": list, "total": int, "status": str}
    kinds |= {"updatedAt": int}
    right = isinstance(thing, dict) and all(type(thing.get(k)) is v for k, v in kinds.items())
    require(right, "an order lacks a field", expected=", ".join(kinds), got=short(thing))


@check("Wire contract, chapter 14")
async def test_telemetry_comes_now_and_then(subject: Subject, moving: Moving) -> None:
    """Telemetry comes at most once in FLUSH_MS, without a number, and in both dialects.

    It is a value and no history: under the policy `latest` the newest sample is sent when its
    deadline comes. Numbered, each one that was skipped would look like a gap.
    """
    scene = moving.judge(subject)
    most = int(scene.looked * 1000 / subject.settings.flush_ms) + 2
    for dialect, samples in scene.samples.items():
        number = len(samples)
        what = f"the {dialect} client gets another number of samples in {scene.looked:.1f} s"
        require(2 <= number <= most, what, expected=f"2 to {most}", got=number)
        for event in samples:
            data = event["data"] if isinstance(event.get("data"), dict) else {}
            right = event.get("type") == "telemetry:sample"
            right = right and all(isinstance(data.get(name), int | float) for name in SAMPLE)
            expected = f"telemetry:sample with {', '.join(SAMPLE)}"
            require(right, "a sample is wrong", expected=expected, got=short(event))
            require("seq" not in event, "a sample is numbered", expected="no seq", got=event)


# A board that stands still, and what visitors do to it


@pytest_asyncio.fixture(loop_scope="session")
async def place(subject: Subject) -> Place:
    subject.need_process()
    return Place(subject)


async def an_order(member: Member) -> str:
    """A new order's id."""
    return str(done(await member.ask("order:create", ORDER), status="new")["id"])


@check("Wire contract, chapter 14")
async def test_actions_change_the_board(subject: Subject, place: Place) -> None:
    """An action is answered with id and status, and everybody hears of it: by either dialect.

    `order:create`, `order:advance`, `order:cancel`, `reservation:confirm`, `reservation:cancel`. An
    action reads the state, decides, and publishes what there is then: the event is the change.
    """
    admin, guest = await place.native(ADMIN), await place.guest()
    await join(admin, ORDERS)
    await join(guest, RESERVATIONS)

    reply = await guest.ask("order:create", ORDER)
    key = str(done(reply, status="new")["id"])
    event = await admin.event("order:created")
    right = event["type"] == "order:created" and alike(event["data"] | ORDER, event["data"])
    require(right, "the event is another", expected=short(ORDER), got=short(event))
    whole(event["data"])
    for member, status in ((admin, "preparing"), (guest, "ready"), (admin, "served")):
        done(await member.ask("order:advance", {"id": key}), key, status)
        event = await admin.event(f"the order becomes {status}")
        got = event["type"], event["data"]["id"], event["data"]["status"]
        expected = "order:update", key, status
        require(got == expected, "the event is another", expected=expected, got=got)
    other = await an_order(guest)
    reply = await admin.ask("order:cancel", {"id": other})
    done(reply, other, "cancelled")
    kind = reply.get("type")
    require(kind == "order:cancelled", "the reply's name", expected="order:cancelled", got=kind)

    state = (await place.snapshot(RESERVATIONS))["state"]
    waiting = [key for key, thing in state.items() if thing["status"] == "requested"]
    require(len(waiting) >= 2, "there are too few reservations to begin with", expected="2 or more")
    done(await guest.ask("reservation:confirm", {"id": waiting[0]}), waiting[0], "confirmed")
    done(await admin.ask("reservation:cancel", {"id": waiting[1]}), waiting[1], "cancelled")
    heard = [await guest.event("what becomes of a reservation") for _ in range(2)]
    came = [(event["type"], event["data"]["id"], event["data"]["status"]) for event in heard]
    names = zip(waiting, ("confirmed", "cancelled"), strict=False)
    wanted = [("reservation:update", key, status) for key, status in names]
    require(came == wanted, "the events are others", expected=wanted, got=came)


@check("Wire contract, chapter 14")
async def test_what_does_not_fit_is_refused(subject: Subject, place: Place) -> None:
    """An action that does not fit the state, or whose fields are wrong, is `bad_request`.

    The state may have changed since the client looked at it, so only the server can say what fits.
    Nothing happens then, and nobody hears of it. Nor can anybody publish into the board's channels:
    `forbidden`, for a publish could say anything.
    """
    admin = await place.native(ADMIN)
    await join(admin, ORDERS)
    key = await an_order(admin)
    done(await admin.ask("order:cancel", {"id": key}), key, "cancelled")
    for _ in range(2):
        await admin.event("the order comes and goes")

    for type in ("order:advance", "order:cancel"):
        await admin.refused(type, {"id": key}, "bad_request")
        for data in ({"id": "order-nowhere"}, {"id": 7}, {}, None, "x"):
            await admin.refused(type, data, "bad_request")
    for name, value in (
        *(("customer", 7), ("customer", ""), ("customer", None)),
        *(
            ("items", []),
            ("items", "tea"),
            ("items", [7]),
            ("items", [{"name": "tea", "count": 0}]),
        ),
        *(("total", -1), ("total", 1.5), ("total", "700"), ("total", True), ("table", [])),
    ):
        await admin.refused("order:create", ORDER | {name: value}, "bad_request")
    said = {"channel": ORDERS, "event": "order:update", "payload": {"id": key, "status": "free"}}
    await admin.refused("publish", said, "forbidden")
    status, _ = await post(
        place.subject.host,
        place.subject.port,
        "/api/publish",
        said,
        headers={"Authorization": f"Bearer {await place.token(ADMIN)}"},
    )
    require(status == 403, "POST /api/publish to the board", expected=403, got=status)
    await admin.hears_nothing("nothing of it fits")


@check("Wire contract, chapter 14")
async def test_actions_by_role(subject: Subject, place: Place) -> None:
    """To cancel is for admins: anybody else gets `forbidden`, in either dialect, and no effect.

    A button that is not drawn is no permission. Ask for the role where the action is done, once for
    both dialects.
    """
    native, guest, admin = await place.native(), await place.guest(), await place.native(ADMIN)
    key = await an_order(native)
    booked = next(iter((await place.snapshot(RESERVATIONS))["state"]))
    for channel in (ORDERS, RESERVATIONS):
        await join(admin, channel)
    for member in (native, guest):
        await member.refused("order:cancel", {"id": key}, "forbidden")
        await member.refused("reservation:cancel", {"id": booked}, "forbidden")
    await admin.hears_nothing("none of them may cancel")
    status = (await place.snapshot(ORDERS))["state"][key]["status"]
    require(status == "new", "the order is another now", expected="new", got=status)


@check("Wire contract, chapter 14")
async def test_an_action_has_one_effect(subject: Subject, place: Place) -> None:
    """An action that is repeated with its requestId has one effect, also over a new connection.

    The line broke before the reply came, and the client asks again: `order:advance` twice would be
    two steps. Remember by user, client and requestId. A Socket.IO client says the requestId beside
    the event's other data, and its name in `auth`.
    """
    admin, native = await place.native(ADMIN), await place.native()
    await join(admin, ORDERS)
    key = await an_order(native)
    await admin.event("order:created")

    first = await native.ask_as("step", "order:advance", {"id": key})
    done(first, key, "preparing")
    native.reset()
    again = await place.native(name=native.name)
    for member in (again, again):
        second = await member.ask_as("step", "order:advance", {"id": key})
        require(
            alike(second, first), "the repeat's reply", expected=short(first), got=short(second)
        )
    guest = await place.guest(name="guest-once")
    for visitor in (guest, guest, await place.guest(name="guest-once")):
        said = {"id": key, "requestId": "guest-step"}
        done(await visitor.ask("order:advance", said), key, "ready")
    for status in ("preparing", "ready"):
        got = (await admin.event(f"the order becomes {status}"))["data"]["status"]
        require(got == status, "a repeat is a second step", expected=status, got=got)
    await admin.hears_nothing("both steps have been told")


@check("Wire contract, chapter 14")
async def test_nobody_sees_it_without_a_login(subject: Subject, place: Place) -> None:
    """Without a login there is no socket in either dialect, no state and no action.

    `/ws` answers 401 before the 101. Socket.IO has let the engine in by then: the namespace refuses
    with `44{…}`, whose `data.code` is `unauthorized`. The snapshot is as secret as the socket.
    """
    host, port = place.subject.host, place.subject.port
    for query in ("", "?ticket=nonsense", "?client=somebody"):
        peer = Peer(subject.exchange)
        peer.door = None
        await peer.dial(host, port)
        response = await peer.request(f"/ws{query}")
        require(response.status == 401, "a stranger gets in", expected=401, got=response)
    for auth in ("", "{}", '{"token":"nonsense"}', '{"token":7}', "[]"):
        guest = WebSocketPeer(subject.exchange, subject.exchange.next_name())
        guest.door = None
        await guest.dial(host, port)
        packet = await guest.enter(auth)
        with contextlib.suppress(ValueError):
            code = json.loads(packet[2:]).get("data", {}).get("code")
            if packet.startswith("44") and code == "unauthorized":
                continue
        fail("a stranger is not refused", expected='44{…"code":"unauthorized"}', got=packet[:200])
    peer = Peer(subject.exchange)
    peer.door = None
    await peer.dial(host, port)
    response = await peer.request(f"/api/channels/{ORDERS}/snapshot", upgrade=False)
    require(response.status == 401, "the state is public", expected=401, got=response)


# Numbers


@check("Prometheus text format 0.0.4")
async def test_metrics_count_what_happens(subject: Subject, place: Place) -> None:
    """GET /metrics is Prometheus text, and counts connections, comings back and messages.

    `ws_connections`, `ws_opened_total`, `ws_closed_total`, `ws_reconnects_total`,
    `ws_received_total`, `ws_sent_total`, each with `dialect="native"` and `dialect="socketio"`. A
    gauge says what is true now; a counter only grows.

    A reconnect is a connection of a client, by its name, that has been here before.
    """
    before = await quiet(place)
    native, guest = await place.native(name="counted"), await place.guest(name="counted-too")
    for member in (native, guest):
        await join(member, ORDERS)
        await member.ask("ping")
    during = await place.metrics()
    for dialect in (NATIVE, SOCKETIO):
        grown(before, during, "ws_connections", 1, dialect)
        grown(before, during, "ws_opened_total", 1, dialect)
        grown(before, during, "ws_received_total", 2, dialect)
        kind = during.types.get("ws_received_total")
        require(kind == "counter", "its type", expected="counter", got=kind)
        sent = [metrics.get("ws_sent_total", dialect=dialect) for metrics in (before, during)]
        require(sent[1] >= sent[0] + 2, "ws_sent_total does not grow", expected="2", got=sent)
    native.reset()
    await guest.peer.send(0x8, (1000).to_bytes(2))
    guest.reset()

    async def closed() -> list[float]:
        now = await place.metrics()
        return [
            now.get("ws_closed_total", dialect=dialect)
            - before.get("ws_closed_total", dialect=dialect)
            for dialect in (NATIVE, SOCKETIO)
        ]

    got = await ask_again(
        closed, lambda numbers: min(numbers) >= 1, subject.settings.heartbeat + SLACK
    )
    require(min(got) >= 1, "ws_closed_total does not count both", expected="1 each", got=got)
    await place.native(name="counted")
    await place.guest(name="counted-too")
    after = await place.metrics()
    for dialect in (NATIVE, SOCKETIO):
        grown(before, after, "ws_reconnects_total", 1, dialect)


async def quiet(place: Place) -> Metrics:
    """What is counted when those of the checks before have left."""

    def nobody(metrics: Metrics) -> bool:
        return not any(metrics.get("ws_connections", dialect=d) for d in (NATIVE, SOCKETIO))

    return await ask_again(place.metrics, nobody, SLACK)


def grown(before: Metrics, after: Metrics, name: str, by: int, dialect: str) -> None:
    one, other = (metrics.get(name, dialect=dialect) for metrics in (before, after))
    what = f'{name}{{dialect="{dialect}"}} is wrong'
    require(other == one + by, what, expected=one + by, got=other)


@check("Prometheus text format 0.0.4")
async def test_metrics_measure_the_round_trip(subject: Subject, place: Place) -> None:
    """The heartbeat's way there and back is a histogram, `ws_heartbeat_round_trip_seconds`.

    A ping with a payload of its own is answered by a pong with the same: note when it left. Engine
    IO's pings carry nothing, so the next pong is the answer. Buckets count all that are not above
    their `le`; the last, `+Inf`, is the count.
    """
    native, guest = await place.native(), await place.guest()
    name = "ws_heartbeat_round_trip_seconds"
    beat = subject.settings.heartbeat
    async with native.kept_alive(beat / 4):

        async def counts() -> list[float]:
            now = await place.metrics()
            return [now.get(f"{name}_count", dialect=d) for d in (NATIVE, SOCKETIO)]

        await ask_again(counts, lambda got: min(got) >= 1, 3 * beat + SLACK)
    metrics = await place.metrics()
    kind = metrics.types.get(name)
    require(kind == "histogram", f"the type of {name}", expected="histogram", got=kind)
    for dialect in (NATIVE, SOCKETIO):
        count = metrics.get(f"{name}_count", dialect=dialect)
        require(count >= 1, f"no round trip of {dialect} is counted", expected="1 or more")
        total = metrics.get(f"{name}_sum", dialect=dialect)
        mean = total / count
        require(0 < mean < beat, f"a round trip of {dialect}", expected=f"0 to {beat} s", got=mean)
        buckets = [
            (float(dict(labels)["le"]), value)
            for (sample, labels), value in metrics.values.items()
            if sample == f"{name}_bucket" and dict(labels)["dialect"] == dialect
        ]
        values = [value for _, value in sorted(buckets)]
        right = values == sorted(values) and values and values[-1] == count
        require(right, "the buckets do not add up to the count", expected=count, got=values)
    await guest.close()


@check("Wire contract, chapter 14")
async def test_metrics_count_what_is_dropped(subject: Subject, place: Place) -> None:
    """What waits for a busy client, and what it is not sent, is counted: in either dialect.

    A client that does not read is sent nothing that is worth nothing later: `ws_dropped_total`.
    What it has to get waits, `ws_queue_depth`, within bounds: Socket.IO has none of its own.
    """
    source = await place.native()
    await source.subscribe("room:drops")
    for dialect in (NATIVE, SOCKETIO):
        slow: Peer = Peer(subject.exchange)
        if dialect == SOCKETIO:
            slow = WebSocketPeer(subject.exchange, subject.exchange.next_name(), background=False)
        await slow.dial(place.subject.host, place.subject.port, receive_buffer=SMALL)
        if isinstance(slow, WebSocketPeer):
            await slow.enter(json.dumps({"token": await place.token(MEMBER)}))
            member: Member = SocketMember(slow)
        else:
            response = await slow.request(f"/ws?ticket={await place.ticket(MEMBER)}")
            require(response.status == 101, "a ticket is refused", expected=101, got=response)
            await slow.welcome()
            member = Member(slow)
        await member.subscribe("room:drops")
        slow.exchange.add(slow.name, "·", "from here on it reads nothing")
        await fill(place, source, dialect)
        before = (await place.metrics()).get("ws_dropped_total")
        await source.publish("room:drops", more={"policy": "drop", "self": False})
        after = (await place.metrics()).get("ws_dropped_total")
        what = f"a message that a busy {dialect} client does not get is not counted"
        require(after == before + 1, what, expected=before + 1, got=after)
        slow.reset()
        await place.subject.until_members("room:drops", 1)


async def fill(place: Place, source: Device, dialect: str) -> None:
    """Publish until something waits for the one who does not read."""
    for count in range(MOST_CHUNKS):
        await source.publish("room:drops", payload="x" * CHUNK, more={"self": False})
        if count % 2:
            waiting = (await place.metrics()).get("ws_queue_depth", dialect=dialect)
            if waiting:
                return
    fail(f"nothing waits for a {dialect} client that reads nothing", expected="ws_queue_depth > 0")


# Two instances


class Two(Instances):
    """Two instances whose business is quick."""

    def new_process(self, url: str) -> Process:
        process = super().new_process(url)
        process.environment |= {"BUSINESS_SECONDS": f"{STEP_SECONDS}"}
        return process


@check("Wire contract, chapter 14", costly=True)
async def test_two_instances_are_one_board(subject: Subject) -> None:
    """Two instances show one board, which one of them drives; and a ticket is good at either, once.

    State, numbers and tickets are in Valkey. The business runs in each process, and only the one
    that holds a claim, with an end that it has to renew, does something; if it dies, another does.

    An action at B is heard at A; a repeat at the other instance is no second step, and of the same
    wish at both at once only one is granted. Who logs out at A is closed at B.
    """
    subject.need_process()
    async with Two(subject, "streams").running() as two:
        a, b = (Place(instance.subject, instance.process) for instance in two.see(subject.exchange))
        at_a, at_b = await a.native(ADMIN, "mover"), await b.guest()
        since = await join(at_a, ORDERS)
        position = {"epoch": since["epoch"], "seq": since["seq"]}
        await join(at_b, ORDERS, position)
        await join(at_a, RESERVATIONS)
        await one_driver(at_a)
        mover = await b.native(ADMIN, "mover")
        await one_step(at_a, mover, at_b)
        await one_of_many(at_a, mover)
        await tickets_and_logout(a, b)
        await two.a.process.stop()
        subject.exchange.add("instance A", "·", "is stopped")
        at_b.events.clear()
        await at_b.event("B drives on, now that A is gone", TAKEOVER_SECONDS)
        await still_known(b, position)


async def one_driver(member: Device) -> None:
    """From one step to the next it takes its time, by the server's clock.

    By most of the steps: what is there at first comes all at once, and some of it perhaps late. And
    from each to the next but one: two that drive may do it at the same moment, or in turns.
    """
    await member.event("the first order")
    await asyncio.sleep(STEP_SECONDS)
    await member.ask("ping")
    member.events.clear()
    steps = [await member.event(f"step {number + 1} of the business") for number in range(STEPS)]
    next_but_one = zip(steps, steps[2:], strict=False)
    between = [(later["ts"] - step["ts"]) / 2000 for step, later in next_but_one]
    took, least = statistics.median(between), STEP_SECONDS * 0.75
    what = f"the steps of BUSINESS_SECONDS={STEP_SECONDS} are too quick: do both drive?"
    require(took > least, what, expected=f"{least:.2f} s or more", got=f"{took:.2f} s")


async def one_step(at_a: Device, at_b: Device, guest: SocketMember) -> None:
    """One request at both instances, and what the board says of it."""
    data = done(await at_b.ask("order:create", ORDER), status="new")
    key = data["id"]
    first = await at_a.ask_as("step", "order:cancel", {"id": key})
    second = await at_b.ask_as("step", "order:cancel", {"id": key})
    done(first, key, "cancelled")
    done(second, key, "cancelled")
    for member in (at_a, guest):
        heard: list[str] = []
        while "cancelled" not in heard:
            event = await member.event("what becomes of the order, at either instance")
            if event["data"]["id"] == key:
                heard.append(event["data"]["status"])
        expected = ["new", "cancelled"]
        require(heard == expected, "what is heard of it", expected=expected, got=heard)


async def one_of_many(*members: Device) -> None:
    """The same wish, many times at once and at both instances: the first one leaves no room."""
    key = await an_order(members[0])
    asked = [(member, await member.send("order:cancel", {"id": key})) for member in members * 3]
    replies = [await member.reply(request_id) for member, request_id in asked]
    granted = [reply for reply in replies if reply.get("type") != "error"]
    what = (
        "an order is cancelled more than once, or never: what is written has to fit what is there"
    )
    require(len(granted) == 1, what, expected="1 of 6", got=f"{len(granted)} of {len(replies)}")
    for reply in replies:
        if reply not in granted:
            is_error(reply, "bad_request")


async def tickets_and_logout(a: Place, b: Place) -> None:
    ticket = await a.ticket(VISITOR)
    visitor = await b.native(VISITOR, ticket=ticket)
    peer = Peer(a.subject.exchange)
    await peer.dial(a.subject.host, a.subject.port)
    response = await peer.request(f"/ws?ticket={ticket}")
    require(response.status == 401, "a ticket is used twice", expected=401, got=response)
    token = await a.token(VISITOR)
    headers = {"Authorization": f"Bearer {token}"}
    await post(a.subject.host, a.subject.port, "/api/logout", headers=headers)
    ended = await visitor.peer.ended("the logout at A closes at B")
    require(ended.code == 4401, "the logout at A", expected=4401, got=ended.code)


async def still_known(b: Place, position: dict[str, Any]) -> None:
    """What happened at A is in the history that B gives."""
    said = await join(await b.native(), ORDERS, position)
    numbers = [event.get("seq") for event in said.get("missed", [])]
    expected = list(range(position["seq"] + 1, said["seq"] + 1))
    require(numbers == expected, "the history has a hole", expected=expected, got=numbers)
