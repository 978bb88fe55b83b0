"""Namespaces: who is let in where, what each event may do, and how every connection ends.

All clients of these checks have tokens: of a login, or made by hand with the program's secret.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.harness import tokens
from tests.harness.again import ask_again
from tests.harness.door import ADMIN, MEMBER, VISITOR, User, post
from tests.harness.exchange import Exchange
from tests.harness.guest import Guest, Packet, forged, guest, is_error, stranger, token_of
from tests.harness.place import secret
from tests.harness.socketio_peer import POLLING, WEBSOCKET, PollingPeer
from tests.harness.subject import Subject
from tests.harness.verdict import CheckFailure, check, require

NAMESPACES = ("/", "/admin")
RATE, BURST, STRIKES, SEATS, PER_IP = 2, 6, 4, 2, 12  # of the program whose limits are small
ASK_SECONDS, HANDSHAKE_SECONDS = 1.0, 1.0  # there
SLACK = 3.0  # seconds for a busy machine
MANY = 60  # events that pass while a client comes back
SECRET = "a payload that is nobody else's business"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict_one(_program: Subject) -> AsyncIterator[Subject]:
    """One more run of the program, with small limits and little patience."""
    _program.need_process()
    process = _program.new_process(
        MESSAGE_RATE=str(RATE),
        MESSAGE_BURST=str(BURST),
        MAX_STRIKES=str(STRIKES),
        MAX_CONNECTIONS_PER_USER=str(SEATS),
        MAX_CONNECTIONS_PER_IP=str(PER_IP),
        ASK_SECONDS=f"{ASK_SECONDS:g}",
        HANDSHAKE_SECONDS=f"{HANDSHAKE_SECONDS:g}",
    )
    await process.start()
    try:
        await process.ready()
        other = _program.seen(Exchange())
        other.port = process.port
        yield other
    finally:
        await process.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def strict(subject: Subject, strict_one: Subject) -> Subject:
    """The same, on the record of this check."""
    other = strict_one.seen(subject.exchange)
    other.port = strict_one.port
    return other


async def rest(
    subject: Subject, path: str, said: object, user: User | None
) -> tuple[int, dict[str, Any]]:
    """POST with this user's token."""
    headers = {} if user is None else {"Authorization": f"Bearer {await token_of(subject, user)}"}
    return await post(
        subject.host, subject.port, path, said, headers=headers, exchange=subject.exchange
    )


async def get(subject: Subject, path: str, user: User | None) -> int:
    """The status of GET with this user's token."""
    peer = await subject.dial()
    peer.door = None
    headers = {} if user is None else {"Authorization": f"Bearer {await token_of(subject, user)}"}
    response = await peer.request(path, upgrade=False, headers=headers)
    await peer.close()
    return response.status


def name(subject: Subject, user: User) -> str:
    return subject.door.who(user).name


def notice(*rooms: str, payload: object = None) -> dict[str, object]:
    return {"rooms": list(rooms), "event": "check:notice", "payload": payload}


# Coming in


@check("Wire contract, chapter 11 · RFC 7519 §7.2")
async def test_every_namespace_wants_a_token(subject: Subject) -> None:
    """Without a good token each namespace answers `44`, with `data.code` "unauthorized".

    `auth` is any JSON: an object without a token, a list, a number, nothing. And a token may be
    forged, expired, unsigned, for somebody else, or without `sub`.

    A check of the namespace "/" is no check of "/admin": each namespace has its own connect. Put
    the checks into a base class, and catch everything there: an exception that is no refusal sends
    nothing at all.
    """
    right = tokens.claims(name(subject, ADMIN), "admin")
    bad: dict[str, object] = {
        "no auth": None,
        "an empty auth": {},
        "a list": [1, 2],
        "a string": "token",
        "a number for a token": {"token": 7},
        "a word for a token": {"token": "WRONG"},
        "half a character": {"token": "\ud800"},
        "another secret": {"token": tokens.sign(right, "another-secret-of-32-bytes-long!")},
    }
    if subject.is_process:
        past = {"exp": int(time.time()) - 60}
        changed: dict[str, dict[str, Any]] = {
            "no sub": {"sub": None},
            "no exp": {"exp": None},
            "an exp of the past": past,
            "another audience": {"aud": "another"},
        }
        for what, changes in changed.items():
            bad[what] = {"token": forged(subject, ADMIN, **changes)}
        unsigned = tokens.sign(right, secret(subject), alg="none").rpartition(".")[0] + "."
        bad["no signature"] = {"token": unsigned}
    for namespace in NAMESPACES:
        client = await stranger(subject, "websocket" if namespace == "/" else "polling")
        for what, auth in bad.items():
            await client.refused(namespace, auth, "unauthorized", what)

        await client.enter(namespace, token=await token_of(subject, ADMIN))


@check("Wire contract, chapter 11")
async def test_admin_is_for_admins(subject: Subject) -> None:
    """`/admin` answers a user's token with `44/admin,` and code "forbidden"; "/" does not notice.

    A good token says who somebody is. Whether they may come in here is another question, and
    another code: the one is cured by a login, the other by nothing.

    Its events are no way around it: who is not in `/admin` is not answered there.
    """
    for transport in ("websocket", "polling"):
        bob = await guest(subject, MEMBER, transport=transport)
        auth = {"token": await token_of(subject, MEMBER)}
        await bob.refused("/admin", auth, "forbidden", "the role user")
        number = await bob.emit("admin:kick", {"user": name(subject, MEMBER)}, namespace="/admin")
        who = await bob.ask("session:whoami")
        if number in bob.acks:
            is_error(bob.acks[number].data[0], "unauthorized", "an event of nobody")
        require(not bob.waiting, "somebody outside /admin is answered", got=bob.waiting)
        require(who.get("role") == "user", "whoami says another role", expected="user", got=who)
    alice = await guest(subject, ADMIN, "/admin")
    who = await alice.ask("session:whoami", namespace="/admin")
    require(who.get("role") == "admin", "whoami says another role", expected="admin", got=who)
    await alice.enter("/", token=await token_of(subject, ADMIN))


@check("Socket.IO protocol 5, connection to a namespace")
async def test_nothing_for_those_outside(subject: Subject) -> None:
    """Who has not been let in hears nothing, and who has, hears its `40` first.

    Twenty clients knock while an admin sends notices without a pause: every other one with a bad
    token. In python-socketio an emit to everybody also reaches clients whose connect still runs,
    and rooms that are joined before the last check are joined by those it refuses.

    So emit to rooms, never to all; join them when all is checked, as the last step of connect, with
    no await after it that could wait.
    """
    alice = await guest(subject, ADMIN, "/admin")
    role, user = "role:user", f"user:{name(subject, MEMBER)}"
    good = {"token": await token_of(subject, MEMBER)}
    done = asyncio.Event()

    async def notify() -> None:
        while not done.is_set():
            await alice.ask("admin:notify", notice(role, user), namespace="/admin")

    async def come(transport: str, auth: dict[str, Any], code: str | None) -> None:
        for _ in range(5):
            client = await stranger(subject, transport)
            await client.send(f"40{json.dumps(auth)}")
            packet = await client.next("40{…} or 44{…}")
            first = "40" if code is None else "44"
            require(packet.text[:2] == first, "something comes first", expected=first, got=packet)
            if code is None:
                await client.event("check:notice")
            else:
                await client.enter("/", token=await token_of(subject, ADMIN))  # no such room
                await client.hears_nothing("it was refused, and is no user now")
            await client.close()

    notifying = asyncio.create_task(notify())
    try:
        await asyncio.gather(
            come("websocket", good, None),
            come("polling", good, None),
            come("websocket", {"token": "WRONG"}, "unauthorized"),
            come("polling", {"token": "WRONG"}, "unauthorized"),
        )
    finally:
        done.set()
        await asyncio.gather(notifying, return_exceptions=True)


@check("Wire contract, chapter 11")
async def test_another_identity_on_the_same_engine(subject: Subject) -> None:
    """Who leaves with `41` and enters anew is who the new token says, with nothing of the old.

    The engine stays the same, and what a library keeps for it stays as well. In python-socketio the
    session of a namespace belongs to the engine: empty it in connect.

    The same holds for the rooms, and for a second `40` without a `41` in between.
    """
    client = await guest(subject, ADMIN)
    await client.ask("session:name", {"name": "the boss"})
    await client.send("41")
    await client.enter("/", token=await token_of(subject, MEMBER))

    who = await client.ask("session:whoami")

    member = name(subject, MEMBER)
    expected = {"user": member, "role": "user", "name": None}
    require(who == expected, "something of the other is left", expected=expected, got=who)
    await client.denied("subscribe", {"channel": "role:admin"}, code="forbidden")
    await client.send(f"40{json.dumps({'token': await token_of(subject, ADMIN)})}")
    who = await client.ask("session:whoami")
    client.waiting.clear()
    require(who.get("role") == "user", "a second 40 changes who it is", expected="user", got=who)


@check("Wire contract, chapter 11 · Engine.IO protocol 4")
async def test_silent_engine(strict: Subject) -> None:
    """An engine that has entered no namespace ends after HANDSHAKE_SECONDS, on both transports.

    The transport opens before anybody has shown a token. The heartbeat is no help: the client
    answers every ping. JavaScript's server waits 45 s (connectTimeout), python-socketio for ever.

    It counts from the opening, also for one that was refused.
    """
    silent = [await stranger(strict, transport) for transport in ("websocket", "polling")]
    refused = await stranger(strict)
    await refused.refused("/", {"token": "WRONG"}, "unauthorized", "a wrong token")
    member = await guest(strict, MEMBER)

    await asyncio.gather(*(each.until_end(HANDSHAKE_SECONDS + SLACK) for each in silent))
    await refused.until_end(HANDSHAKE_SECONDS + SLACK)

    await member.ask("app:ping")
    await member.close()


# Events


@check("Wire contract, chapter 11")
async def test_every_event_in_admin_gets_its_ack(subject: Subject) -> None:
    """Each event in `/admin` is acked there: `43/admin,id[{"ok":…}]`, also the wrong ones.

    What holds for "/" has to hold in every namespace: unknown events, wrong arguments, and the
    names `connect` and `disconnect`, which would run the server's own.

    A base class with one `trigger_event` does all of them at once. `@sio.on("*")` does not: it sees
    only the events that nobody else handles.
    """
    alice = await guest(subject, ADMIN, "/admin", transport="polling")
    ask = {"namespace": "/admin"}
    await alice.denied("nope", {}, code="unknown_type", **ask)
    await alice.denied("publish", {"channel": "room:a"}, code="unknown_type", **ask)
    nobody: tuple[object, ...] = ({}, None, [], {"user": 7}, {"user": ""})
    for wrong in nobody:
        await alice.denied("admin:kick", wrong, code="bad_request", **ask)
    for wrong in ({}, notice() | {"event": "x"}, notice() | {"rooms": "role:user"}, notice("x")):
        await alice.denied("admin:notify", wrong, code="bad_request", **ask)
    for arguments in ('["disconnect"]', '["connect",{}]', "[1]", "[null]", '[["x"]]', "[]"):
        alice.number += 1
        await alice.send(f"42/admin,{alice.number}{arguments}")
        answer = await alice.ack(alice.number, arguments)
        require(answer["ok"] is False, f"{arguments} is taken", expected="an error", got=answer)
    users = await alice.ask("admin:users", **ask)
    require(isinstance(users, list), "admin:users gives no list", expected="[…]", got=users)


@check("Wire contract, chapter 11")
async def test_admin_events_are_for_admins(subject: Subject) -> None:
    """An `admin:` event of a user gets an ack with "forbidden", does nothing, and is written down.

    A name is no protection, and neither is a namespace: the rule stands where all events pass.
    JavaScript's `next(err)` in `socket.use` reaches the server's side alone, and the client waits.

    Published in a room it is the same: `publish` with an event named `admin:…` needs the role.
    """
    bob, victim = await guest(subject, MEMBER), await guest(subject, VISITOR)
    await bob.ask("subscribe", {"channel": "room:plot"})
    about = {"user": name(subject, VISITOR), "reason": "a plot"}

    await bob.denied("admin:kick", about, code="forbidden")
    await bob.denied("admin:anything", code="forbidden")
    said = {"channel": "room:plot", "event": "admin:notice", "payload": 1}
    await bob.denied("publish", said, code="forbidden")

    await victim.hears_nothing("nobody may kick it")
    await bob.hears_nothing("nothing was published")
    response = await subject.http("GET", "/api/audit")
    lines = json.loads(response.body).get("lines", []) if response.status == 200 else []
    denied = [
        line for line in lines if line.get("event") == "denied" and line.get("name") == "admin:kick"
    ]
    expected = '{"event":"denied","user":…,"name":"admin:kick"}'
    right = denied and denied[-1].get("user") == name(subject, MEMBER)
    require(right, "GET /api/audit does not show it", expected=expected, got=lines[-1:])


@check("Wire contract, chapters 8 and 11")
async def test_rate_limit_over_all_sockets(strict: Subject) -> None:
    """Events beyond the budget get "rate_limited" with retryAfter; a user's sockets share it.

    MESSAGE_BURST at once, then MESSAGE_RATE a second. The next user has a budget of their own.

    Who goes on for MAX_STRIKES refused events in a row is told `session:ended`, and `41`: that is
    final for a Socket.IO client.
    """
    one, two = await guest(strict, VISITOR), await guest(strict, VISITOR)
    other = await guest(strict, ADMIN)
    answers = []
    for client in (one, two, one, two) * BURST:
        answers.append(await client.ack(await client.emit("app:ping"), "app:ping"))
        if len(answers) >= BURST and not answers[-1]["ok"]:
            break

    granted = [answer for answer in answers if answer["ok"]]
    right = BURST <= len(granted) <= BURST + RATE * SLACK
    require(right, "the budget is another", expected=BURST, got=len(granted))
    error = is_error(answers[-1], "rate_limited", "app:ping")
    wait = error.get("retryAfter")
    right = isinstance(wait, int | float) and 0 < wait <= 1 / RATE + 0.1
    require(right, "retryAfter is wrong", expected=f"at most {1 / RATE:g}", got=wait)
    await other.ask("app:ping")
    for _ in range(10 * STRIKES):
        await one.emit("app:ping")
    ended = await one.until("session:ended")
    require(ended.get("code") == "rate_limited", "the reason is another", got=ended)
    packet = await one.next("41")
    require(packet.kind == "1", "the client is not sent away", expected="41", got=packet)
    for client in (one, two, other):
        await client.close()


@check("Wire contract, chapter 11")
async def test_packets_that_are_none_count(strict: Subject) -> None:
    """MAX_STRIKES packets that are no packets end their sender, on both transports; others live.

    No event comes of them, so no rule of the events sees them: the library logs each, and keeps the
    client. It could go on for ever, and fill the log.
    """
    other = await guest(strict, ADMIN)
    for transport in ("websocket", "polling"):
        bad = await guest(strict, MEMBER, transport=transport)
        for number in range(2 * STRIKES):
            with contextlib.suppress(CheckFailure):  # it may be out already
                await bad.send(f"4{'x' * (number + 1)}")
        await bad.until_end(SLACK)
    await other.ask("app:ping")
    await other.close()


@check("Wire contract, chapters 8 and 11")
async def test_seats(strict: Subject) -> None:
    """A user has MAX_CONNECTIONS_PER_USER places in a namespace, an address so many engines.

    One too many in a namespace is `44` with code "rate_limited"; an engine too many of one address
    is a 429 before anything is opened: each costs memory and a heartbeat.
    """
    auth = {"token": await token_of(strict, MEMBER)}
    mine = [await guest(strict, MEMBER) for _ in range(SEATS)]
    third = await stranger(strict)
    await third.refused("/", auth, "rate_limited", "one connection too many")
    await mine[0].send("41")
    packet = await ask_again(
        lambda: third.knock("/", auth), lambda packet: packet.kind == "0", SLACK
    )
    what = "a place that is free again is not given"
    require(packet.kind == "0", what, expected="40{…}", got=packet)

    opened = []
    for path, upgrade in ((WEBSOCKET, True), (POLLING, False)) * PER_IP:
        peer = await strict.dial()
        response = await peer.request(path, upgrade=upgrade)
        opened.append(peer)
        if response.status == 429:
            break
    require(response.status == 429, "there is no end of engines", expected=429, got=response)
    for peer in opened:
        await peer.close()
    for client in (*mine, third):
        await client.close()


# Rooms


@check("Wire contract, chapter 11")
async def test_own_rooms(subject: Subject) -> None:
    """Each client is in `user:NAME` and `role:ROLE` from its token, and in nobody else's.

    The server joins them, after the token was checked. A client may ask for its own, and gets
    "forbidden" for the rooms of others: a name that it sends is a wish.
    """
    bob, carol = await guest(subject, MEMBER), await guest(subject, VISITOR, transport="polling")
    alice = await guest(subject, ADMIN, "/", "/admin")
    for user, client in ((MEMBER, bob), (VISITOR, carol), (ADMIN, alice)):
        mine, role = f"user:{name(subject, user)}", f"role:{subject.door.who(user).role}"
        for room in (mine, role):
            said = await alice.ask("admin:notify", notice(room, payload=room), namespace="/admin")
            got = said.get("receivers")
            require(got >= 1, f"nobody is in {room}", expected="1 or more", got=said)
            while (heard := await client.until("check:notice")).get("data") != room:
                pass
            require(heard.get("data") == room, "another notice", expected=room, got=heard)
    others = (f"user:{name(subject, VISITOR)}", "role:admin", "user:nobody", "role:")
    for room in others[:3]:
        await bob.denied("subscribe", {"channel": room}, code="forbidden")
    for client in (alice, bob, carol):
        client.waiting.clear()
    await alice.ask("admin:notify", notice(others[0], "role:admin"), namespace="/admin")
    await bob.hears_nothing("these rooms are others'")
    await carol.until("check:notice")


@check("Wire contract, chapter 11")
async def test_many_rooms_once(subject: Subject) -> None:
    """A notice to many rooms comes once to each client; a notice to no room comes to nobody.

    Who is in three of the rooms gets one copy: emit once to a list, do not loop over it.

    In python-socketio an empty list means everybody, and so do "" and None. Return early.
    """
    bob, carol = await guest(subject, MEMBER, transport="polling"), await guest(subject, VISITOR)
    alice = await guest(subject, ADMIN, "/admin")
    rooms = ("room:many", "room:more", "room:many", "room:even-more")
    for client, mine in ((bob, rooms), (carol, rooms[1:3])):
        for room in mine:
            await client.ask("subscribe", {"channel": room})

    said = await alice.ask("admin:notify", notice(*rooms, payload=1), namespace="/admin")
    none = await alice.ask("admin:notify", notice(payload=2), namespace="/admin")
    empty = await alice.ask("admin:notify", notice("room:empty"), namespace="/admin")

    for client in (bob, carol):
        heard = await client.event("check:notice")
        require(heard.get("data") == 1, "another notice comes", expected=1, got=heard)
        await client.hears_nothing("it has the one copy, and nothing was sent to others")
    got = [one.get("receivers") for one in (said, none, empty)]
    require(got == [2, 0, 0], "receivers is wrong", expected=[2, 0, 0], got=got)


@check("Wire contract, chapter 11")
async def test_session_data(subject: Subject) -> None:
    """What `session:name` sets belongs to one connection in one namespace, until it ends.

    Another connection of the same user has its own, the other namespace too, and a client that
    comes back begins with none: the sid is another. What has to last belongs into a database.
    """
    one, two = await guest(subject, ADMIN, *NAMESPACES), await guest(subject, ADMIN)
    said = await one.ask("session:name", {"name": "Ann 帧"})
    require(said.get("name") == "Ann 帧", "the name is not taken", expected="Ann 帧", got=said)
    await two.ask("session:name", {"name": "another"})

    for client, space, expected in (
        (one, "/", "Ann 帧"),
        (two, "/", "another"),
        (one, "/admin", None),
    ):
        who = await client.ask("session:whoami", namespace=space)
        require(who.get("name") == expected, "the name is another", expected=expected, got=who)
    await one.denied("session:name", {"name": ""}, code="bad_request")
    await one.denied("session:name", None, code="bad_request")
    await one.close()
    who = await (await guest(subject, ADMIN)).ask("session:whoami")
    require(who.get("name") is None, "a new connection has an old name", expected=None, got=who)


# The server asks


def question(user: str, payload: object = None) -> dict[str, object]:
    return {"user": user, "event": "check:asked", "payload": payload}


@check("Wire contract, chapter 11")
async def test_server_asks(subject: Subject) -> None:
    """POST /api/ask emits an event with an ack to the user's clients, and answers what they say.

    200 {"answer":…}: the first argument of the first ack. An ack may have none or several, and a
    second client's ack is too late. Somebody else's is worth nothing.

    python-socketio's `call()` refuses to work with async_handlers=False: emit with a callback.
    """
    bob, twin = await guest(subject, MEMBER), await guest(subject, MEMBER, transport="polling")
    carol = await guest(subject, VISITOR)
    member = name(subject, MEMBER)
    for says, expected in (('[{"yes":1}]', {"yes": 1}), ("[]", None), ('["a","b"]', "a")):
        asking = asyncio.create_task(rest(subject, "/api/ask", question(member, 7), ADMIN))
        asked = await bob.next("the question")
        right = asked.name == "check:asked" and asked.said.get("data") == 7
        require(right and asked.number is not None, "it is no question with an id", got=asked)
        for number in range(asked.number + 2 if asked.number else 0):
            await carol.send(f'43{number}["forged"]')
        await carol.ask("app:ping")
        await bob.send(f"43{asked.number}{says}")
        status, said = await asking
        require(
            status == 200 and "answer" in said and said["answer"] == expected,
            "POST /api/ask answers wrongly",
            expected=f"200 {json.dumps({'answer': expected})}",
            got=f"{status} {said}",
        )
        late = await twin.next("the question, at the second client")
        await twin.send(f'43{late.number}["too late"]')
    await carol.hears_nothing("nobody asked it")


@check("Wire contract, chapter 11")
async def test_server_asks_in_vain(strict: Subject) -> None:
    """Who is not there is a 404 at once, who leaves meanwhile too, and who says nothing a 504.

    python-socketio's `call()` waits its whole time, 60 s by default, for a client that has gone.
    Watch the room as well as the ack, and ASK_SECONDS is the limit.
    """
    visitor = name(strict, VISITOR)
    status, said = await rest(strict, "/api/ask", question(visitor), ADMIN)
    require(status == 404, "a user who is not there", expected=404, got=f"{status} {said}")
    carol = await guest(strict, VISITOR)
    status, said = await rest(strict, "/api/ask", question(visitor), ADMIN)
    require(status == 504, "a user who says nothing", expected=504, got=f"{status} {said}")
    await carol.next("the first question")
    asking = asyncio.create_task(rest(strict, "/api/ask", question(visitor), ADMIN))
    await carol.next("the second question")
    await carol.send("41")
    status, said = await asking
    require(status == 404, "a user who has left meanwhile", expected=404, got=f"{status} {said}")
    await carol.close()


@check("Wire contract, chapters 8 and 11")
async def test_rest_wants_a_token(subject: Subject) -> None:
    """Statistics, audit log, publishing and asking over HTTP need an admin's token: 401, 403.

    Who may not do it over Socket.IO must not do it over HTTP either.
    """
    for user, expected in ((None, 401), (MEMBER, 403)):
        for path in ("/api/stats", "/api/audit"):
            status = await get(subject, path, user)
            require(status == expected, f"GET {path} is open", expected=expected, got=status)
        said = {"channel": "room:a", "event": "check:said", "payload": 1}
        for path, body in (("/api/publish", said), ("/api/ask", question("bob"))):
            status, answer = await rest(subject, path, body, user)
            require(status == expected, f"POST {path} is open", expected=expected, got=answer)


# Going


@check("Wire contract, chapter 11 · Socket.IO protocol 5, disconnection")
async def test_kick(subject: Subject) -> None:
    """`admin:kick` ends all clients of one user: `session:ended` with the reason, then `41`.

    In every namespace that they are in; nobody else notices. After a `41` a Socket.IO client stays
    away by itself, so tell it why first. The token is as good as before: who wants to keep
    somebody out has to take that away too.
    """
    alice = await guest(subject, ADMIN, "/admin")
    bobs = [await guest(subject, MEMBER, transport=t) for t in ("websocket", "polling")]
    carol = await guest(subject, VISITOR)
    about = {"user": name(subject, MEMBER), "reason": "a check"}

    said = await alice.ask("admin:kick", about, namespace="/admin")

    right = isinstance(said.get("closed"), int) and said["closed"] >= 2
    require(right, "the count is wrong", expected="2 or more", got=said)
    for bob in bobs:
        ended = await bob.event("session:ended")
        right = ended.get("code") == "kicked" and ended.get("reason") == "a check"
        require(right, "the reason is another", expected="kicked: a check", got=ended)
        packet = await bob.next("41")
        require(packet.kind == "1", "the client is not sent away", expected="41", got=packet)
        await bob.enter("/", token=await token_of(subject, MEMBER))
    await carol.hears_nothing("it was not kicked")


@check("Wire contract, chapter 11")
async def test_disconnect_has_a_reason(subject: Subject) -> None:
    """Admins hear who comes and who goes, and why: `admin:presence` in `/admin`.

    {"user","role","change":"joined"} and {"user","role","change":"left","reason"}. A client that
    leaves by `41`, one whose connection ends and one that was kicked left for different reasons.
    """
    alice = await guest(subject, ADMIN, "/admin")
    member = name(subject, MEMBER)
    reasons = []
    for how in ("41", "close", "kick"):
        bob = await guest(subject, MEMBER)
        await alice.until_presence(member, "joined")
        if how == "41":
            await bob.send("41")
        elif how == "close":
            await bob.close()
        else:
            await alice.ask("admin:kick", {"user": member}, namespace="/admin")
        left = await alice.until_presence(member, "left")
        reasons.append(left.get("reason"))
    right = all(isinstance(reason, str) and reason for reason in reasons)
    different = right and len(set(reasons)) == len(reasons)
    require(different, "the reasons are not told apart", expected="three reasons", got=reasons)


@check("Wire contract, chapters 8 and 11")
async def test_logout(subject: Subject) -> None:
    """POST /api/logout ends the user's clients in all namespaces, and voids the token.

    `session:ended` with code "logged_out", then `41`; and the same token at the door is
    "unauthorized" from now on.
    """
    who = subject.door.who(ADMIN)
    _, said = await post(
        subject.host,
        subject.port,
        "/api/login",
        {"user": who.name, "password": who.password},
        exchange=subject.exchange,
    )
    token = said.get("accessToken")
    one = await stranger(subject)
    for namespace in NAMESPACES:
        await one.enter(namespace, token=token)

    headers = {"Authorization": f"Bearer {token}"}
    status, _ = await post(subject.host, subject.port, "/api/logout", headers=headers)
    subject.door.tokens.clear()  # of the other checks: they have to log in again

    require(status == 200, "the logout fails", expected=200, got=status)
    gone: set[str] = set()
    while len(gone) < len(NAMESPACES):
        packet = await one.next("session:ended or 41")
        if packet.kind == "1":
            gone.add(packet.namespace)
        elif packet.name == "session:ended":
            right = packet.said.get("code") == "logged_out"
            require(right, "the reason is another", expected="logged_out", got=packet)
    await one.refused("/", {"token": token}, "unauthorized", "a token that was logged out")

    async def come_back() -> Packet:
        subject.door.tokens.clear()
        return await one.knock("/", {"token": await token_of(subject, ADMIN)})

    # Where iat is in whole seconds, the next one has to begin.
    packet = await ask_again(come_back, lambda packet: packet.kind == "0", SLACK)
    require(packet.kind == "0", "a new login is of no use", expected="40{…}", got=packet)


@check("Wire contract, chapters 8 and 11")
async def test_token_runs_out(subject: Subject) -> None:
    """At `exp` the transport ends, without `41`, unless `auth:refresh` brought a newer token.

    A token is judged once, at the door; its connection could stay for days. `41` would keep the
    client away for good, and an end of the transport makes it come back with a new token. The
    engine's packet `1` is as final for Python's client: end a WebSocket by its close frame.

    Somebody else's token is "forbidden", a bad one "unauthorized".
    """
    exp = int(time.time()) + 2
    short = forged(subject, MEMBER, exp=exp)
    clients = []
    for transport in ("websocket", "polling", "websocket"):
        clients.append(await stranger(subject, transport))
        await clients[-1].enter("/", token=short)
    *dying, kept = clients
    await kept.denied("auth:refresh", {"token": "WRONG"}, code="unauthorized")
    await kept.denied("auth:refresh", {}, code="bad_request")
    others = {"token": await token_of(subject, ADMIN)}
    await kept.denied("auth:refresh", others, code="forbidden")
    said = await kept.ask("auth:refresh", {"token": await token_of(subject, MEMBER)})
    right = isinstance(said.get("expiresIn"), int | float) and said["expiresIn"] > 2
    require(right, "expiresIn is wrong", expected="more than 2", got=said)

    for client in dying:
        heard = await client.until_end(max(0.0, exp - time.time()) + SLACK)
        final = [packet for packet in heard if packet.kind == "1"]
        require(not final, "the client is sent away for good", expected="no 41", got=final)
        closed = client.told_to_close and not isinstance(client.peer, PollingPeer)
        require(not closed, "it is sent away for good", expected="a close frame", got="1")
        early = exp - time.time()
        require(early < 0.5, "the connection ends before exp", expected="exp", got=f"{early:.1f} s")

    await kept.ask("app:ping")


# Coming back


def missed(said: object, channel: str) -> dict[str, Any]:
    """What `session:recovered` says of one channel."""
    channels = said.get("channels") if isinstance(said, dict) else None
    found = channels.get(channel) if isinstance(channels, dict) else None
    require(isinstance(found, dict), f"{channel} is not there", expected=channel, got=said)
    return dict(found or {})


async def where(client: Guest, channel: str) -> dict[str, Any]:
    """Join, and learn the position."""
    said = await client.ask("subscribe", {"channel": channel, "since": None})
    right = isinstance(said.get("epoch"), str) and isinstance(said.get("seq"), int)
    require(right, "subscribe with since says no position", expected='"epoch","seq"', got=said)
    return {"epoch": said["epoch"], "seq": said["seq"]}


@check("Wire contract, chapter 11")
async def test_recovery_in_auth(subject: Subject) -> None:
    """`auth: {since: {channel: position}}` gives a client its channels back, and what it missed.

    After the `40` comes one `session:recovered` {"channels":{name:{"epoch","seq","recovered",
    "missed"}}}; missed holds the events as they were sent, with the name in "type". A sid and its
    rooms are gone after a reconnect, and python-socketio has no recovery of its own.

    A position that cannot be answered is recovered false with nothing; a room of somebody else's
    is an error, and what is no position a refusal, "bad_request".
    """
    alice = await guest(subject, ADMIN, channels=("room:back", "role:admin"))
    bob = await guest(subject, MEMBER)
    at, quiet = await where(bob, "room:back"), await where(bob, "room:quiet")
    await bob.close()
    sent = []
    for number in range(3):
        event = f"check:number-{number}"
        await alice.ask("publish", {"channel": "room:back", "event": event, "payload": number})
        sent.append((await alice.event(event)) | {"type": event})
    strange = {"epoch": "another", "seq": 0}
    since = {"room:back": at, "room:quiet": quiet, "room:x": strange, "role:admin": strange}

    bob = await guest(subject, MEMBER, transport="polling", since=since)
    said = await bob.event("session:recovered")

    expected: dict[str, Any] = {"recovered": True, "missed": sent, "seq": at["seq"] + 3}
    got = missed(said, "room:back")
    right = got | expected == got
    require(right, "not all that was missed comes, as it was sent", expected=expected, got=got)
    got = missed(said, "room:quiet")
    right = got.get("recovered") is True and got.get("missed") == []
    require(right, "nothing was missed there", expected="recovered true, missed []", got=got)
    got = missed(said, "room:x")
    right = got.get("recovered") is False and not got.get("missed")
    require(right, "that position is of another epoch", expected="recovered false", got=got)
    got = missed(said, "role:admin")
    right = isinstance(got.get("error"), dict) and got["error"].get("code") == "forbidden"
    require(right, "a room of others is given back", expected="forbidden", got=got)
    live = {"channel": "room:back", "event": "check:live", "payload": 1}
    await alice.ask("publish", live)
    got = await bob.event("check:live")
    require(got.get("seq") == at["seq"] + 4, "the numbers do not go on", got=got)
    new = await stranger(subject)
    positions: tuple[object, ...] = (
        [],
        7,
        {"room:a": 7},
        {"room:a": {"epoch": 1, "seq": "x"}},
        {"no room": at},
    )
    for wrong in positions:
        auth = {"token": await token_of(subject, MEMBER), "since": wrong}
        await new.refused("/", auth, "bad_request", f"since {json.dumps(wrong)}")


@check("Wire contract, chapter 11")
async def test_recovery_while_events_pass(subject: Subject) -> None:
    """Who comes back in the middle of a stream of events misses none: it is in `missed`, or live.

    Perhaps in both: the numbers tell. Join first and read the history then; the other way round,
    what passes in between is in neither.
    """
    alice = await guest(subject, ADMIN, channels=("room:race",))
    at = await where(alice, "room:race")
    numbers = []
    for number in range(MANY):
        said = {"channel": "room:race", "event": "check:race", "payload": number, "self": False}
        numbers.append(await alice.emit("publish", said))
    backs = [
        await guest(subject, MEMBER, transport=transport, since={"room:race": at})
        for transport in ("websocket", "polling", "websocket")
    ]
    for number in numbers:
        await alice.ack(number, "publish")
    await alice.ask("publish", said | {"payload": "the last"})

    for back in backs:
        seen: list[Any] = []
        while "the last" not in seen or not any(isinstance(one, list) for one in seen):
            packet = await back.next("the last event")
            if packet.name == "session:recovered":
                found = missed(packet.said, "room:race")
                seen.append([event.get("data") for event in found.get("missed", [])])
            else:
                seen.append(packet.said.get("data"))
        flat = {x for one in seen for x in (one if isinstance(one, list) else [one])}
        lost = [number for number in range(MANY) if number not in flat]
        require(not lost, "events are lost", expected="none", got=lost)


# The library's own admin UI


@check("Wire contract, chapter 11 · Socket.IO documentation, Admin UI")
async def test_admin_ui_is_protected(subject: Subject) -> None:
    """`/monitor`, the library's admin UI, wants an admin's name, and an access token as password.

    Wrong ones, users without the role, lists, nothing: each is refused with `44`, and sees nothing
    before it. Left alone it takes the namespace /admin; with auth=False it is open to everybody.

    Its statistics go to everybody in the namespace, also to those whose connect still runs: compare
    a password there, and every stranger may see some. A token is read at once.
    """
    admin, member = subject.door.who(ADMIN), subject.door.who(MEMBER)
    token = await token_of(subject, ADMIN)
    client = await stranger(subject)
    right = {"username": admin.name, "password": token}
    bad: tuple[object, ...] = (None, {}, [], [1], "x", 7, {"username": admin.name}, [right])
    bad += (right | {"password": "wrong"}, right | {"password": [token]}, {"token": token})
    bad += (right | {"username": member.name}, right | {"username": "\ud800"})
    bad += ({"username": member.name, "password": await token_of(subject, MEMBER)},)
    for auth in bad:
        packet = await client.knock("/monitor", auth)
        about = f"/monitor lets {json.dumps(auth)[:100]} in"
        require(packet.kind == "4", about, expected="44/monitor,…", got=packet)
    await client.refused("/admin", right, "unauthorized", "the login of the admin UI")
    for _ in range(3):  # wrong passwords, which take their time where they are compared
        await client.knock("/monitor", {"username": admin.name, "password": "wrong"})

    packet = await client.knock("/monitor", right)
    require(packet.kind == "0", "an admin is refused", expected="40/monitor,…", got=packet)


@check("Wire contract, chapter 11 · Socket.IO documentation, Admin UI")
async def test_admin_ui_shows_no_data(subject: Subject) -> None:
    """Who watches `/monitor` sees counts, not what users say to each other; and may change nothing.

    In development mode the admin UI gets every event with its data, a token in `auth:refresh` too,
    and can emit, join and disconnect. Choose production mode, and read-only.
    """
    watcher = await guest(subject, ADMIN)
    who = {"username": name(subject, ADMIN), "password": await token_of(subject, ADMIN)}
    packet = await watcher.knock("/monitor", who)
    require(packet.kind == "0", "an admin is refused", expected="40/monitor,…", got=packet)
    bob = await guest(subject, MEMBER, channels=("room:private",))
    said = {"channel": "room:private", "event": "check:said", "payload": SECRET}
    await bob.ask("publish", said)
    await watcher.send('42/monitor,["_disconnect","/",false,"room:private"]')
    await watcher.send('42/monitor,["emit","/","room:private","check:forged",1]')

    heard: list[Packet] = []
    while not any(packet.name in ("config", "server_stats") for packet in heard):
        heard.append(await watcher.next("config or server_stats in /monitor", 5.0))
    await watcher.ask("app:ping")

    told = [packet for packet in (*heard, *watcher.waiting) if SECRET in packet.text]
    require(not told, "the admin UI shows what users say", expected="counts", got=told[:1])
    event = await bob.event("check:said")
    require(event.get("data") == SECRET, "another event", got=event)
    await bob.hears_nothing("the admin UI may only look")
