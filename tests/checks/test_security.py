"""Security: each check is an attack that must fail, or a right that must hold.

The tokens of the attacks are made by hand with the secret that the program was told. What takes
time, the end of a token or of patience, is watched in scenes side by side, once for all checks.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio

from course import frames
from tests.harness import tokens
from tests.harness.again import ask_again
from tests.harness.door import ADMIN, MEMBER, VISITOR, User
from tests.harness.patience import SECRET_TEXT, SHORT, SLACK, Scene, Watch
from tests.harness.peer import TEXT, Peer
from tests.harness.place import Place, ask, at, hears_nothing, is_error, place_with, secret
from tests.harness.subject import FOREIGN_ORIGIN, ORIGIN, SETTLE_SECONDS, Subject
from tests.harness.verdict import LAST, CheckFailure, check, fail, require

RATE, BURST, STRIKES = 2, 6, 5  # messages, in the program whose limits are small
PER_IP, PER_USER, ATTEMPTS = 4, 2, 5
AT_ONCE = 20  # handshakes with one ticket
EVENTS = {
    *("connect", "disconnect", "auth_failed", "origin_refused"),
    *("denied", "rate_limited", "error"),
}


async def refused_everywhere(subject: Subject, bad: dict[str, str]) -> None:
    """Each token (named for what is wrong with it) opens nothing: 401."""
    place = at(subject)
    for name, token in bad.items():
        status, said = await place.post("/api/ticket", token=token)
        require(status != 200 and "ticket" not in said, f"a token {name} gets a ticket")
        require(status == 401, f"a token {name} is answered wrongly", expected=401, got=status)


# Tokens


@check("Wire contract, chapter 8")
async def test_login(subject: Subject) -> None:
    """A right password gets a token that says who, for whom and until when.

    POST /api/login {"user","password"} answers 200 {"accessToken","expiresIn"}. The token is a JWT,
    signed with HS256, with sub, role, aud, iss, exp and jti; aud and iss are ws-course.

    expiresIn is the time until exp in seconds.
    """
    place = at(subject)
    member = place.who(MEMBER)

    status, said = await place.login(member.name, member.password)

    require(status == 200, "a right password is refused", expected=200, got=status)
    try:
        header, found = (read(str(said["accessToken"])) for read in (tokens.header_of, tokens.read))
    except (KeyError, ValueError) as error:
        fail(f"accessToken is no JWT ({error})", got=json.dumps(said)[:200])
    require(header.get("alg") == "HS256", "the algorithm is another", expected="HS256", got=header)
    right = {"sub": member.name, "role": member.role, "aud": tokens.OURS, "iss": tokens.OURS}
    got = {name: found.get(name) for name in right}
    require(got == right, "the claims are wrong", expected=right, got=got)
    require(found.get("jti"), "the token has no jti", expected="a name of its own")
    left = float(found.get("exp") or 0) - time.time()
    require(0 < left <= 310, "exp is not in a few minutes", expected="300 s from now", got=left)
    expires = said.get("expiresIn")
    require(
        isinstance(expires, int | float) and abs(expires - left) < 5,
        "expiresIn is not the time until exp",
        expected=round(left),
        got=expires,
    )


@check("OWASP ASVS 2.2 · wire contract, chapter 8")
async def test_login_tells_nobody_who_exists(subject: Subject) -> None:
    """A wrong password and an unknown name get the same answer, 401.

    Whoever can tell the two apart collects the names first and guesses passwords after. Same
    status, same body; and the same work: compare with some hash even if there is no such user.
    """
    place = at(subject)

    wrong = await place.login(place.who(MEMBER).name, "not-the-password")
    unknown = await place.login("nobody-of-this-name", "not-the-password")

    require(wrong[0] == 401, "a wrong password is answered wrongly", expected=401, got=wrong[0])
    require(wrong == unknown, "an unknown name shows", expected=wrong, got=unknown)


@check("Wire contract: never a crash")
async def test_login_with_nonsense(subject: Subject) -> None:
    """What is no login is refused, and the next login works.

    A list, a number as the name, an object as the password, half a character: each gets a 4xx.
    A 500 means that a handler broke on what a stranger sent.
    """
    place = at(subject)
    member = place.who(MEMBER)
    half = {"user": "\ud800", "password": ""}
    nonsense: list[object] = [None, [], "user", {}, {"user": 7, "password": {}}, half]
    for said in nonsense:
        status, _ = await place.post("/api/login", said)
        require(400 <= status < 500, f"the login {said!r}", expected="a 4xx", got=status)

    status, _ = await place.login(member.name, member.password)
    require(status == 200, "after it a right login fails", expected=200, got=status)


@check("RFC 8725 §2.1")
async def test_unsigned_token(subject: Subject) -> None:
    """A token whose alg is none is refused, however it is written.

    The header of a token is written by whoever made it. Give your library the list of algorithms
    that you accept, HS256 alone; never ask the token.
    """
    secret(subject)
    body = tokens.part(tokens.claims(ADMIN.name, "admin"))
    bad = {}
    for alg in ("none", "None", "NONE"):
        head = tokens.part({"alg": alg, "typ": "JWT"})
        bad[f"with alg {alg}"] = f"{head}.{body}."
        bad[f"with alg {alg} and a signature"] = f"{head}.{body}.{tokens.encoded(b'x' * 32)}"
    await refused_everywhere(subject, bad)


@check("RFC 8725 §2.1")
async def test_another_algorithm(subject: Subject) -> None:
    """A token that names another algorithm is refused, even if its signature fits.

    HS512 with the right secret, or RS256 over an HMAC: the key confusion that lets a public key
    sign. A key that the token brings along in its header is the attacker's.
    """
    key, said = secret(subject), tokens.claims(ADMIN.name, "admin")
    stranger = "the key of somebody else, and long enough"
    brought = {"kty": "oct", "k": tokens.encoded(stranger.encode())}
    await refused_everywhere(
        subject,
        {
            "signed with HS512": tokens.sign(said, key, method="HS512"),
            "that says RS256 over an HMAC": tokens.sign(said, key, alg="RS256"),
            "that says ES256 over an HMAC": tokens.sign(said, key, alg="ES256"),
            "that brings its own key": tokens.sign(said, stranger, jwk=brought),
            "that names a file as its key": tokens.sign(said, "", kid="/dev/null"),
        },
    )


@check("RFC 7515 §5.2")
async def test_forged_token(subject: Subject) -> None:
    """A token with a changed claim, or signed with a guessed secret, is refused.

    Check the signature before you believe a word. dev_secret stands in every tutorial, so it is
    the first thing that is tried.
    """
    key, said = secret(subject), tokens.claims(MEMBER.name, "user")
    head, body, signature = tokens.sign(said, key).split(".")
    promoted = tokens.part({**said, "role": "admin"})
    guesses = ("dev_secret", "secret", "", key[:-1], key + "x")
    await refused_everywhere(
        subject,
        {
            "whose role was changed": f"{head}.{promoted}.{signature}",
            "without its signature": f"{head}.{body}.",
            "with half a signature": f"{head}.{body}.{signature[:20]}",
            **{f"signed with {guess!r}": tokens.sign(said, guess) for guess in guesses[:3]},
            "signed with a part of the secret": tokens.sign(said, guesses[3]),
            "signed with more than the secret": tokens.sign(said, guesses[4]),
        },
    )


@check("RFC 8725 §3.10 · wire contract, chapter 8")
async def test_missing_claims(subject: Subject) -> None:
    """A token without exp, sub, aud or iss is refused.

    A library checks exp if it is there; without it the token lives for ever. Say which claims are
    required.
    """
    key = secret(subject)
    bad = {}
    for name in ("exp", "sub", "aud", "iss"):
        said = tokens.claims(ADMIN.name, "admin", **{name: None})
        bad[f"without {name}"] = tokens.sign(said, key)
    bad["that is a text"] = tokens.sign("admin", key)
    bad["that is a list"] = tokens.sign([], key)
    await refused_everywhere(subject, bad)


@check("RFC 8725 §3.9")
async def test_token_for_somebody_else(subject: Subject) -> None:
    """A token of another issuer, or for another service, is refused.

    One secret, two services: the token that the other one gave out must not open yours. Compare aud
    and iss with ws-course.
    """
    key = secret(subject)
    wrong: list[dict[str, Any]] = [{"aud": "mail"}, {"aud": ["mail"]}, {"iss": "mail"}]
    wrong += [{"aud": f"{tokens.OURS}.evil"}, {"iss": [tokens.OURS, "mail"]}, {"aud": ""}]
    bad = {f"with {w}": tokens.sign(tokens.claims(ADMIN.name, "admin", **w), key) for w in wrong}
    await refused_everywhere(subject, bad)


@check("RFC 7519 §4.1.2")
async def test_sub_is_a_string(subject: Subject) -> None:
    """A token whose sub is a number, a list or an object is refused.

    It would become the name of a room and the key of a table. Somewhere on the way 7 and "7" meet.
    """
    key = secret(subject)
    wrong: list[object] = [7, 0, [ADMIN.name], {"name": ADMIN.name}, True]
    bad = {
        f"whose sub is {sub!r}": tokens.sign({**tokens.claims("", "admin"), "sub": sub}, key)
        for sub in wrong
    }
    await refused_everywhere(subject, bad)


@check("RFC 7519 §4.1.4")
async def test_expired_token(subject: Subject) -> None:
    """A token whose exp has passed opens nothing, a refresh neither.

    POST /api/refresh is for a token that is still good. Who comes later logs in again.
    """
    key, now = secret(subject), int(time.time())
    old = tokens.sign(tokens.claims(MEMBER.name, "user", iat=now - 400, exp=now - 30), key)
    await refused_everywhere(subject, {"that expired 30 s ago": old})

    status, said = await at(subject).post("/api/refresh", token=old)
    require(
        status == 401 and "accessToken" not in said,
        "an expired token can be refreshed",
        expected=401,
        got=status,
    )


@check("Wire contract: never a crash")
async def test_garbage_for_a_token(subject: Subject) -> None:
    """What is no token at all gets a 4xx, and the server lives on.

    The header of a token is read before its signature can be checked: three thousand brackets there
    are a RecursionError, and Base64 of nothing is an error of its own. Catch what your library
    throws, all of it.
    """
    place = at(subject)
    deep = tokens.encoded(b"[" * 3000)
    for token in ("", ".", "..", "a.b.c", "é.é.é", f"{deep}.e30.eA", "x" * 6000):
        status, said = await place.post("/api/ticket", token=token)
        require(
            400 <= status < 500 and "ticket" not in said,
            f"a token of {len(token)} characters that is none",
            expected="401, or another 4xx",
            got=status,
        )
    token = await place.token(MEMBER)
    for headers in ({}, {"Authorization": token}, {"Authorization": f"Basic {token}"}):
        status, said = await place.post("/api/ticket", **headers)
        require(status == 401, f"asked with {list(headers)}", expected=401, got=status)


@check("Wire contract, chapter 8")
async def test_refresh(subject: Subject) -> None:
    """POST /api/refresh with a good token gives a new one for the same user.

    The answer is that of the login. The new token has a jti and an exp of its own.
    """
    place = at(subject)
    token = await place.token(MEMBER)

    status, said = await place.post("/api/refresh", token=token)

    require(status == 200, "a good token cannot be refreshed", expected=200, got=status)
    before, after = tokens.read(token), tokens.read(str(said.get("accessToken", "..")))
    got = {name: after.get(name) for name in ("sub", "role")}
    expected = {name: before.get(name) for name in ("sub", "role")}
    require(got == expected, "the new token is of somebody else", expected=expected, got=got)
    require(after.get("jti") != before.get("jti"), "it is the old token again")
    require(after["exp"] >= before["exp"], "the new token ends sooner than the old one")


# Tickets


@check("Wire contract, chapter 8")
async def test_ticket_opens_one_connection(subject: Subject) -> None:
    """A ticket has 256 bits and opens one connection; the second handshake with it gets 401.

    POST /api/ticket with the token as Bearer answers {"ticket","expiresIn"}. In Base64, 256 bits
    are 43 characters. A ticket stands in an address, and addresses are logged: used up, it is
    worth nothing to whoever reads the log.
    """
    place = at(subject)
    one, two = [await place.ticket(MEMBER) for _ in range(2)]
    require(one != two, "two tickets are the same", got=one)
    require(len(one) >= 43, "a ticket is too short for 256 bits", expected="43 characters", got=one)

    peer, response = await place.knock(f"?ticket={one}")
    require(response.status == 101, "a fresh ticket is refused", expected=101, got=response)
    await peer.welcome()
    for _ in range(2):
        _, response = await place.knock(f"?ticket={one}")
        require(response.status == 401, "a used ticket is let in", expected=401, got=response)


@check("OWASP ASVS 11.1.6 · wire contract, chapter 8")
async def test_one_ticket_at_once(subject: Subject) -> None:
    """Of twenty handshakes at once with one ticket, exactly one gets in.

    Look it up and take it away in one step (dict.pop, GETDEL). With a wait between the look and the
    taking, all twenty have looked before one has taken.
    """
    place = at(subject)
    ticket = await place.ticket(MEMBER)

    async def arrive() -> Peer:
        peer = Peer(place.exchange)
        peer.door = None
        await peer.dial(subject.host, subject.port)
        return peer

    peers = await asyncio.gather(*(arrive() for _ in range(AT_ONCE)))
    path = f"{subject.path}?ticket={ticket}"
    answers = await asyncio.gather(*(peer.request(path) for peer in peers))

    got = sorted(response.status for response in answers)
    expected = [101] + [401] * (AT_ONCE - 1)
    require(
        got == expected,
        "one ticket did not open exactly one connection",
        expected="one 101, else 401",
        got=got,
    )


@check("Wire contract, chapter 8")
async def test_no_ticket_no_connection(subject: Subject) -> None:
    """Without a ticket that is known there is no connection: 401, before the upgrade.

    None at all, an empty one, an invented one, and a token in its place. A server that answers 101
    first and closes after has let a stranger reach its frame parser, and told the client that it is
    open.
    """
    place = at(subject)
    token = await place.token(MEMBER)
    invented = "A" * 43
    for query in ("", "?ticket=", f"?ticket={invented}", f"?ticket={token}", f"?token={token}"):
        _, response = await place.knock(query)
        shown = query[:20] or "no query"
        require(
            response.status == 401, f"a handshake with {shown}", expected=401, got=response.status
        )


# The handshake's other judges


@check("RFC 6455 §10.2 · wire contract, chapter 8")
async def test_foreign_pages_with_a_ticket(subject: Subject) -> None:
    """A page from elsewhere gets 403, though its ticket is good.

    The list holds whole origins: scheme, host and port. A suffix, a prefix, another port or scheme
    is another origin, and so is `null`, which any sandboxed frame can send.
    """
    subject.need_process()
    place = at(subject)
    host = ORIGIN[7:]
    tricks = [FOREIGN_ORIGIN, f"{ORIGIN}.evil.example", f"http://evil-{host}", "null"]
    tricks += [f"{ORIGIN}:81", f"https://{host}", f"http://user@{host}", f"{ORIGIN}/", "*"]
    for origin in tricks:
        ticket = await place.ticket(MEMBER)
        _, response = await place.knock(f"?ticket={ticket}", headers={"Origin": origin})
        require(
            response.status == 403,
            f"the origin {origin} is answered wrongly",
            expected=403,
            got=response.status,
        )


@check("Wire contract, chapter 8")
async def test_known_page_and_no_page(subject: Subject) -> None:
    """A page of the list gets in with a ticket, and so does a program, which names no origin.

    A missing Origin means: this is no browser. It is let in, because it has no visitor whose rights
    it could borrow.
    """
    subject.need_process()
    place = at(subject)
    for headers in ({"Origin": ORIGIN}, {}):
        ticket = await place.ticket(MEMBER)
        _, response = await place.knock(f"?ticket={ticket}", headers=headers)
        require(response.status == 101, f"with {headers} it is refused", expected=101, got=response)


# Rooms, events and roles


@check("Wire contract, chapter 8")
async def test_own_rooms(subject: Subject) -> None:
    """Who enters is in the rooms of their user and role, and nobody else is.

    The server joins user:NAME and role:ROLE by itself, from the token. Publish to user:visitor
    from business code: only the visitor hears it. To role:user: all with that role.
    """
    place = at(subject)
    member, visitor, admin = [await place.enter(user) for user in (MEMBER, VISITOR, ADMIN)]
    heard = {
        f"user:{place.who(VISITOR).name}": [visitor],
        f"role:{place.who(MEMBER).role}": [member, visitor],
        "role:admin": [admin],
    }
    token = await place.token(ADMIN)
    for channel, listeners in heard.items():
        event = {"channel": channel, "event": "note:came", "payload": channel}
        status, _ = await place.post("/api/publish", event, token=token)
        require(status == 202, "business code cannot publish", expected=202, got=status)
        for peer in listeners:
            got = await peer.json(f"the event for {channel}")
            require(got.get("channel") == channel, "another event came", expected=channel, got=got)
    for peer in (member, visitor, admin):
        await hears_nothing(peer, "an event reached somebody whom it is not for")


@check("OWASP API1:2023 · wire contract, chapter 8")
async def test_rooms_of_others(subject: Subject) -> None:
    """A role's room may be subscribed by those who hold the role, a user's by nobody else.

    The name that a client sends is a wish, no permission. role:admin for a user: `forbidden`.
    user:admin too. role:user for a user is fine.
    """
    place = at(subject)
    member, admin = await place.enter(MEMBER), await place.enter(ADMIN)
    for channel in ("role:admin", f"user:{place.who(ADMIN).name}", "role:root"):
        reply = await ask(member, "subscribe", {"channel": channel})
        is_error(reply, "forbidden", f"a user asks for {channel}")
    for peer, channel in ((member, f"role:{place.who(MEMBER).role}"), (admin, "role:admin")):
        reply = await ask(peer, "subscribe", {"channel": channel})
        require(reply.get("type") == "subscribed", f"a holder asks for {channel}", got=reply)

    event = {"channel": "role:admin", "event": "note:came", "payload": 1}
    reply = await ask(member, "publish", event)
    require(reply.get("type") == "error", "a user publishes to role:admin", got=reply)
    await hears_nothing(admin, "what a user sent reached role:admin")


@check("OWASP API5:2023 · wire contract, chapter 8")
async def test_admin_events(subject: Subject) -> None:
    """An admin: event is published by admins alone; from a user it reaches nobody.

    Membership of the room is not enough: ask for the role at the act itself. The way over
    POST /api/publish has a door too: 401 without a token, 403 with a user's.
    """
    place = at(subject)
    member, admin = await place.enter(MEMBER), await place.enter(ADMIN)
    for peer in (member, admin):
        await ask(peer, "subscribe", {"channel": "room:hall"})
    event = {"channel": "room:hall", "event": "admin:evacuate", "payload": 1}

    is_error(await ask(member, "publish", event), "forbidden", "a user publishes admin:evacuate")
    for token, expected in ((None, 401), (await place.token(MEMBER), 403)):
        status, _ = await place.post("/api/publish", event, token=token)
        who = "a user" if token else "a stranger"
        require(status == expected, f"{who} over HTTP", expected=expected, got=status)
    await hears_nothing(admin, "an admin: event of somebody who is none was delivered")

    reply = await ask(admin, "publish", event)
    require(reply.get("type") == "published", "an admin publishes admin:evacuate", got=reply)
    got = await member.json("the event")
    require(got.get("type") == "admin:evacuate", "the event is another", got=got)


# The life of a connection


@check("Wire contract, chapter 8")
async def test_refresh_in_the_connection_needs_the_right_token(subject: Subject) -> None:
    """auth:refresh takes a good token of the same user, and no other.

    A forged one, an expired one, somebody else's: `forbidden`, and the connection goes on with the
    token that it has. Somebody else's would turn one user into another in mid-connection.
    """
    key, place = secret(subject), at(subject)
    member = await place.enter(MEMBER)
    now = int(time.time())
    bad = {
        "forged": tokens.sign(tokens.claims(MEMBER.name, "admin"), "dev_secret"),
        "expired": tokens.sign(tokens.claims(MEMBER.name, "user", exp=now - 9), key),
        "somebody else's": await place.token(ADMIN),
        "garbage": "a.b.c",
    }
    for name, token in bad.items():
        reply = await ask(member, "auth:refresh", {"token": token})
        is_error(reply, "forbidden", f"auth:refresh with a token that is {name}")
    reply = await ask(member, "auth:refresh", {"token": 7})
    is_error(reply, "bad_request", "auth:refresh with a number")
    reply = await ask(member, "subscribe", {"channel": "role:admin"})
    is_error(reply, "forbidden", "after it, a user asks for role:admin")

    reply = await ask(member, "auth:refresh", {"token": await place.token(MEMBER)})
    require(reply.get("type") == "auth:refreshed", "a good token is refused", got=reply)
    expires = (reply.get("data") or {}).get("expiresIn")
    require(isinstance(expires, int | float), "auth:refreshed has no expiresIn", got=reply)


@check("Wire contract, chapter 8")
async def test_logout(subject: Subject) -> None:
    """Logging out closes all connections of that user with 4401, and voids the token.

    Keep a table from users to their connections. A token that still gets a ticket after the logout
    has logged nobody out.
    """
    place = at(subject)
    visitors = [await place.enter(VISITOR) for _ in range(2)]
    member = await place.enter(MEMBER)
    token, ticket = await place.token(VISITOR), await place.ticket(VISITOR)

    status, _ = await place.post("/api/logout", token=token)

    require(status // 100 == 2, "POST /api/logout fails", expected="2xx", got=status)
    for visitor in visitors:
        ended = await visitor.ended("close 4401")
        require(
            ended.code == 4401,
            "a connection does not end with 4401 after the logout",
            expected="close 4401",
            got=ended,
        )
    status, _ = await place.post("/api/ticket", token=token)
    require(status == 401, "the token still gets a ticket", expected=401, got=status)
    _, response = await place.knock(f"?ticket={ticket}")
    require(response.status == 401, "a ticket from before opens", expected=401, got=response.status)
    reply = await ask(member, "ping", None)
    require(reply.get("type") == "pong", "another user was logged out too", got=reply)
    status, _ = await place.login(place.who(VISITOR).name, place.who(VISITOR).password)
    require(status == 200, "the user cannot log in again", expected=200, got=status)


@check("Wire contract, chapter 8")
async def test_refuses_to_start_without_a_secret(subject: Subject) -> None:
    """Without a JWT_SECRET of 32 bytes the program does not start, and says so in one line.

    No default: it would be public. Exit with a code that is not 0 before any port opens, and name
    the variable on stderr.
    """
    subject.need_process()
    for value, what in (("", "is empty"), ("x" * 31, "has 31 bytes")):
        process = subject.new_process(JWT_SECRET=value)
        await process.start()
        subject.exchange.closers.append(process.stop)
        code = await process.wait(within=10)
        require(code not in (None, 0), f"it starts though JWT_SECRET {what}", expected="exit ≠ 0")
        lines = [line for line in process.stderr if line.strip()]
        require(
            len(lines) == 1 and "JWT_SECRET" in lines[0],
            "stderr does not say why",
            expected="one line with JWT_SECRET",
            got=lines[-1][:200] if lines else "nothing",
        )
        require(value == "" or value not in lines[0], "the secret is shown", got=lines[0])


# Short patience: one program, and scenes side by side


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watch(_program: Subject) -> AsyncIterator[Watch]:
    """All scenes, played to the end in a program whose patience is short."""
    short = {name: str(value) for name, value in SHORT.items()}
    async with place_with(_program, **short) as place:
        watch = Watch(place)
        await watch.run()
        yield watch


def ended_at(scene: Scene, when: str) -> None:
    """The connection ended with 4410 when its token did."""
    require(
        scene.ended and scene.ended.code == 4410,
        f"the connection does not end with 4410 at {when}",
        expected="close 4410",
        got=scene.ended,
    )
    require(
        -1 <= scene.late <= SLACK,
        f"the connection does not end at {when}",
        expected=when,
        got=f"{scene.late:+.1f} s",
    )


@check("Wire contract, chapter 8")
async def test_connection_ends_with_its_token(subject: Subject, watch: Watch) -> None:
    """At exp the connection is closed with 4410.

    A token is judged at the door; without a timer a token of five minutes buys a connection of
    days. Wait for exp in a task of each connection.
    """
    scene = watch.expiring.judge(subject)

    ended_at(scene, "exp")


@check("Wire contract, chapter 8")
async def test_refreshed_connection_lives_on(subject: Subject, watch: Watch) -> None:
    """auth:refresh with a new token keeps the connection until the new exp.

    `auth:refresh {token}` is answered with `auth:refreshed {expiresIn}`. The old deadline must not
    strike any more; the new one must.
    """
    scene = watch.refreshed.judge(subject)

    kinds = [reply.get("type") for reply in scene.said]
    require(
        kinds[0] == "auth:refreshed",
        "auth:refresh is answered wrongly",
        expected="auth:refreshed",
        got=kinds[0],
    )
    beyond = kinds[1:] or ["pong"]  # a slow machine may have come to the second exp by then
    require(
        beyond == ["pong"],
        "after the first exp the connection does not answer",
        expected="pong",
        got=kinds,
    )
    ended_at(scene, "the new exp")


@check("Wire contract, chapter 8")
async def test_old_ticket(subject: Subject, watch: Watch) -> None:
    """A ticket older than TICKET_SECONDS is refused with 401.

    Half a minute is enough to open a connection, and little for whoever finds the address in a log.
    """
    got = watch.old_ticket.judge(subject).said

    require(got == [401], "a ticket that is too old is answered wrongly", expected=401, got=got)


@check("CWE-400 · wire contract, chapter 8")
async def test_slow_handshakes(subject: Subject, watch: Watch) -> None:
    """A request that has not arrived whole after HANDSHAKE_SECONDS is cut off.

    Half a request, none at all, or one byte a second: each keeps a connection, and a thousand of
    them keep all you have. One deadline for the whole head, not one for each read.
    """
    watch.half.judge(subject)
    watch.dripping.judge(subject)
    await subject.client()


# The audit log


async def audit_lines(
    watch: Watch, wanted: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    """The log's lines, once what is wanted stands there, or after a while."""

    async def lines() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        text = watch.place.log.read_text("utf-8") if watch.place.log.exists() else ""
        for line in text.splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                fail("a line of the audit log is no JSON object", got=line[:200])
            found.append(value)
        return found

    return await ask_again(lines, wanted, SETTLE_SECONDS)


@check("OWASP Logging Cheat Sheet · wire contract, chapter 8")
async def test_audit_of_a_connection(subject: Subject, watch: Watch) -> None:
    """A connection leaves one connect and one disconnect line: who, from where, how, how long.

    AUDIT_LOG is a file of JSON lines. connect has user and ip; disconnect has the close code and
    the duration in seconds too. However a connection ends, its line has to be written: `finally`.
    """
    watch.audited.judge(subject)

    def of_visitor(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        theirs = [line for line in lines if line.get("user") == VISITOR.name]
        kinds = ("connect", "disconnect")
        return {kind: [line for line in theirs if line.get("event") == kind] for kind in kinds}

    lines = await audit_lines(watch, lambda lines: bool(of_visitor(lines)["disconnect"]))
    found = of_visitor(lines)
    counts = {kind: len(some) for kind, some in found.items()}
    require(
        counts == {"connect": 1, "disconnect": 1},
        "one connection did not leave one line each",
        got=counts,
    )
    opened, closed = found["connect"][0], found["disconnect"][0]
    for line in (opened, closed):
        require(
            line.get("ip") == subject.host,
            "a line has not the address as ip",
            expected=subject.host,
            got=line,
        )
    require(
        closed.get("code") == 4007,
        "disconnect has not the close code as code",
        expected=4007,
        got=closed,
    )
    seconds = closed.get("seconds")
    require(
        isinstance(seconds, int | float) and seconds >= 0, "seconds", expected="≥ 0", got=closed
    )


@check("OWASP Logging Cheat Sheet · wire contract, chapter 8")
async def test_audit_of_every_no(subject: Subject, watch: Watch) -> None:
    """Each refusal leaves its line: auth_failed, origin_refused, denied.

    Failed logins and tickets, pages from elsewhere, and what a user may not do. Without them nobody
    can tell afterwards what was tried.
    """
    watch.audited.judge(subject)
    wanted = {"auth_failed", "origin_refused", "denied"}

    def kinds(lines: list[dict[str, Any]]) -> set[str]:
        return {str(line.get("event")) for line in lines}

    found = kinds(await audit_lines(watch, lambda lines: wanted <= kinds(lines)))
    require(wanted <= found, "events are missing", expected=sorted(wanted), got=sorted(found))
    require(found <= EVENTS, "unknown events", expected=sorted(EVENTS), got=sorted(found - EVENTS))


@check("CWE-117 · wire contract, chapter 8")
async def test_log_injection(subject: Subject, watch: Watch) -> None:
    """Nobody can write a line of the log: a newline in a name stays inside its line.

    Each line is one JSON object, made by a JSON library, which writes a newline as \\n. Text that
    is put together by hand lets a login name end the line and begin another.
    """
    watch.injected.judge(subject)

    lines = await audit_lines(watch, lambda lines: any(line.get("code") == 4008 for line in lines))

    forged = [line for line in lines if line.get("user") == "forged-line"]
    require(lines, "there is no audit log at all", expected="lines in AUDIT_LOG")
    require(not forged, "a client wrote a line of the log", got=forged[:1])


@check("CWE-532 · wire contract, chapter 8")
async def test_no_secret_in_any_log(subject: Subject, watch: Watch) -> None:
    """No token, ticket, password or payload stands in any log.

    Neither in AUDIT_LOG nor in what the program prints. Access logs write the query, and libraries
    write the first line of a request that they cannot read. A name at the login that nobody has may
    be a password, typed too early.
    """
    token, ticket = watch.audited.judge(subject).said
    await audit_lines(watch, lambda lines: bool(lines))
    assert watch.place.process is not None
    log = watch.place.log.read_text("utf-8") if watch.place.log.exists() else ""
    require(log, "there is no audit log at all", expected="lines in AUDIT_LOG")
    secrets = {
        "the ticket": ticket,
        "the token": token.split(".")[2],
        "the password": VISITOR.password,
        "a wrong password": "a-wrong-password-to-log",
        "a password in the place of the name": "a-password-typed-too-early",
        "a payload": SECRET_TEXT,
        "JWT_SECRET": watch.place.subject.environment["JWT_SECRET"],
    }
    for where, text in (("AUDIT_LOG", log), ("its output", "\n".join(watch.place.process.output))):
        for what, value in secrets.items():
            require(value not in text, f"{what} stands in {where}", expected="not a trace of it")


@check("OWASP Logging Cheat Sheet · wire contract, chapter 8")
async def test_audit_log_is_private(subject: Subject, watch: Watch) -> None:
    """The audit log can be read by its owner alone: mode 0600.

    It says who was here, from where and when. Files are made readable for everybody unless you say
    otherwise when you create them.
    """
    await audit_lines(watch, lambda lines: bool(lines))
    require(watch.place.log.exists(), "there is no audit log at all", expected="AUDIT_LOG")
    mode = watch.place.log.stat().st_mode & 0o777
    require(
        mode & 0o077 == 0,
        "others than the owner can read the audit log",
        expected="0600",
        got=f"{mode:04o}",
    )


# Small limits: another program


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(_program: Subject) -> AsyncIterator[Place]:
    """A program whose limits are small. All users have logged in, which counts as attempts."""
    settings = {"MESSAGE_RATE": RATE, "MESSAGE_BURST": BURST, "MAX_STRIKES": STRIKES}
    settings |= {"MAX_CONNECTIONS_PER_IP": PER_IP, "MAX_CONNECTIONS_PER_USER": PER_USER}
    settings |= {"LOGIN_ATTEMPTS": ATTEMPTS}
    small = {name: str(value) for name, value in settings.items()}
    async with place_with(_program, **small) as place:
        for user in (MEMBER, ADMIN, VISITOR):
            with contextlib.suppress(CheckFailure):
                await place.token(user)
        yield place


def here(strict: Place, subject: Subject) -> Place:
    """The strict program, on this check's record."""
    return Place(subject, strict.port, subject.exchange, strict.process, strict.log)


async def knock_with_ticket(place: Place, user: User, **headers: str) -> tuple[Peer, int]:
    query = f"?ticket={await place.ticket(user)}"
    peer, response = await place.knock(query, headers=headers)
    return peer, response.status


@check("Wire contract, chapter 8")
async def test_connections_per_user(subject: Subject, strict: Place) -> None:
    """One user has at most MAX_CONNECTIONS_PER_USER connections; one more is 429.

    Count when a connection begins and when it ends, however it ends. Another user still gets in,
    and so does this one when a connection has ended.
    """
    place = here(strict, subject)
    await place.quiet()
    peers = [await place.enter(MEMBER) for _ in range(PER_USER)]

    _, status = await knock_with_ticket(place, MEMBER)
    require(status == 429, "one connection too many is answered wrongly", expected=429, got=status)
    _, status = await knock_with_ticket(place, VISITOR)
    require(status == 101, "another user is refused", expected=101, got=status)

    peers[0].reset()
    _, status = await ask_again(
        lambda: knock_with_ticket(place, MEMBER), lambda answer: answer[1] == 101, 5
    )
    require(
        status == 101,
        "the seat of a connection that has ended is not free again",
        expected=101,
        got=status,
    )
    _, status = await knock_with_ticket(place, MEMBER)
    require(status == 429, "one end has freed more than one seat", expected=429, got=status)


@check("Wire contract, chapter 8")
async def test_connections_per_address(subject: Subject, strict: Place) -> None:
    """One address has at most MAX_CONNECTIONS_PER_IP connections, whatever it says of itself.

    Count the address of the TCP connection. X-Forwarded-For is a header, and a client writes in it
    what it likes: believe it only from a proxy of your own.
    """
    place = here(strict, subject)
    await place.quiet()
    for user in (MEMBER, MEMBER, ADMIN, ADMIN):
        await place.enter(user)

    spoofs: list[dict[str, str]] = [{}, {"X-Forwarded-For": "203.0.113.7"}]
    spoofs += [{"Forwarded": "for=203.0.113.8"}, {"X-Real-IP": "203.0.113.9"}]
    for headers in spoofs:
        _, status = await knock_with_ticket(place, VISITOR, **headers)
        require(status == 429, f"one too many, with {headers}", expected=429, got=status)


async def burst(peer: Peer, count: int, name: str) -> list[dict[str, Any]]:
    """Send pings in one write, and return a reply for each."""
    raw = b""
    for number in range(count):
        ping = json.dumps({"type": "ping", "requestId": f"{name}-{number}"})
        raw += frames.build(TEXT, ping.encode(), mask=next(peer.masks))
    await peer.send_raw(raw, f"{count} pings in one write")
    replies: dict[str, dict[str, Any]] = {}
    while len(replies) < count:
        reply = await peer.json(f"{count - len(replies)} more replies")
        replies[str(reply.get("requestId"))] = reply
    return [replies.get(f"{name}-{number}", {}) for number in range(count)]


def limited(replies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [reply for reply in replies if (reply.get("data") or {}).get("code") == "rate_limited"]


@check("Wire contract, chapter 8")
async def test_rate_limit(subject: Subject, strict: Place) -> None:
    """More than MESSAGE_BURST messages at once are refused with retryAfter; after it one passes.

    A token bucket: it holds MESSAGE_BURST, each message takes one, MESSAGE_RATE a second come back.
    The error carries the requestId and says in retryAfter how many seconds to wait.
    """
    place = here(strict, subject)
    await place.quiet()
    peer = await place.enter(VISITOR)

    replies = await burst(peer, BURST + 2, "burst")

    passed = [reply for reply in replies[:BURST] if reply.get("type") == "pong"]
    require(
        len(passed) == BURST,
        "a burst of the size that is allowed is refused",
        expected=f"{BURST} pongs",
        got=len(passed),
    )
    refused = limited(replies)
    require(
        refused,
        "what goes beyond the burst is not refused",
        expected="an error rate_limited",
        got=replies[-1],
    )
    wait = refused[-1]["data"].get("retryAfter")
    require(
        isinstance(wait, int | float) and 0 < wait <= 5,
        "retryAfter is no time to wait",
        expected=f"seconds, at most {1 / RATE:g} or so",
        got=wait,
    )
    await asyncio.sleep(wait + 0.05)
    reply = await ask(peer, "ping", None, "after")
    require(
        reply.get("type") == "pong",
        "after retryAfter a message is still refused",
        expected="pong",
        got=reply,
    )


@check("Wire contract, chapter 8")
async def test_two_sockets_share_a_budget(subject: Subject, strict: Place) -> None:
    """Two connections of one user share one budget; another user's is not touched.

    A bucket for each connection is a limit that is lifted by opening another.
    """
    place = here(strict, subject)
    await place.quiet()
    one, two = await place.enter(MEMBER), await place.enter(MEMBER)
    other = await place.enter(ADMIN)

    first = await burst(one, BURST, "one")
    require(
        not limited(first),
        "a burst of the size that is allowed is refused",
        expected=f"{BURST} pongs",
        got=first[-1],
    )
    second = await burst(two, STRIKES - 1, "two")

    require(
        limited(second),
        "the same user has another budget on another connection",
        expected="rate_limited",
    )
    reply = await ask(other, "ping", None)
    require(reply.get("type") == "pong", "another user is refused too", expected="pong", got=reply)


@check("Wire contract, chapter 8")
async def test_strikes(subject: Subject, strict: Place) -> None:
    """MAX_STRIKES refusals in a row close the connection with 4429; one that passes begins anew.

    Who is told to wait and does not is closed. In a row: somebody who is too fast now and then, and
    listens, stays.
    """
    place = here(strict, subject)
    await place.quiet()
    peer = await place.enter(ADMIN)
    await burst(peer, BURST + 1, "drain")
    for turn in range(2):
        # A token comes back by time and by nothing else, and to ask for it too early would be a
        # strike: so there is nothing to wait for. On a slow machine it is more than one.
        await asyncio.sleep(1 / RATE + 0.1)
        for again in range(4):
            replies = await burst(peer, STRIKES - 1, f"turn-{turn}-{again}")
            if limited(replies):
                break
        require(limited(replies), "who is too fast is not refused", got=replies[-1])
    for _ in range(4 * STRIKES):
        await peer.send_json({"type": "ping"})

    ended = await peer.ended("close 4429")
    require(
        ended.code == 4429,
        "too many strikes do not end with 4429",
        expected="close 4429",
        got=ended,
    )


@check("OWASP ASVS 2.2.1 · wire contract, chapter 8", order=LAST)
async def test_guessing_passwords(subject: Subject, strict: Place) -> None:
    """More than LOGIN_ATTEMPTS logins a minute get 429 with Retry-After, the right one too.

    Count by address and by name, and before the password is looked at: hashing is what costs.
    Retry-After says in seconds when to come again. X-Forwarded-For buys no new attempts.
    """
    place = here(strict, subject)
    statuses = []
    for number in range(ATTEMPTS + 2):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        said = {"user": MEMBER.name, "password": f"guess-{number}"}
        status, _ = await place.post("/api/login", said, **headers)
        statuses.append(status)
    tried = [status for status in statuses if status != 429]
    require(
        len(tried) <= ATTEMPTS,
        "there are more guesses in a minute than allowed",
        expected=ATTEMPTS,
        got=len(tried),
    )
    require(set(tried) <= {401}, "a wrong password", expected=401, got=statuses)

    peer = Peer(place.exchange)
    peer.door = None
    await peer.dial(subject.host, place.port)
    body = json.dumps({"user": MEMBER.name, "password": MEMBER.password}).encode()
    response = await peer.request(
        "/api/login",
        method="POST",
        upgrade=False,
        body=body,
        headers={"Content-Type": "application/json", "Content-Length": str(len(body))},
    )
    require(
        response.status == 429,
        "when the guesses are used up, the right password is answered wrongly",
        expected=429,
        got=response.status,
    )
    wait = response.headers.get("retry-after", "no such header")
    require(
        wait.isdigit() and int(wait) > 0,
        "Retry-After is no time to wait",
        expected="seconds",
        got=wait,
    )
