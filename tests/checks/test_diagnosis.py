"""The doctor: it goes to an endpoint hop by hop, and names the first thing that is wrong there.

The harness plays the patients. Each is one server that is sick in one way; each is visited once,
all side by side, and each check judges some of the visits.
"""

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from tests.harness.client import Client, ClientProgram
from tests.harness.exchange import Exchange
from tests.harness.hostile import Connection, Hostile, Script
from tests.harness.peer import BINARY, PING
from tests.harness.verdict import CheckFailure, check, fail, require

ROLE = "client"

START = 20.0  # seconds for a slow language on a busy machine to begin
VISIT = 20.0  # seconds for a visit, where nothing has to be waited for
HASTE = 1.5  # CONNECT_TIMEOUT where the patient never answers
BEAT = 0.6  # seconds: of the patient that does not beat
BIG = 100_000  # bytes
MOST_CONNECTIONS = 4  # that one visit may take
MOST_MESSAGES = 10  # that it may send
TOLD = {"ORIGIN": "", "EXPECT": "", "SEND_BYTES": "", "CONNECT_TIMEOUT": "10"}
MINE = "https://mine.example"  # the page that will connect
TYPE = "order:update"  # what it waits for
EXIT = {"ok": 0, "warning": 0, "problem": 1}
SECRET = "f7SqnRGyz0"
# What Socket.IO's server says to a client of another generation.
GENERATIONS = json.dumps({"code": 5, "message": "Unsupported protocol version"})


def token(expires: float) -> str:
    """A JWT, as far as anybody can see who does not know its secret."""
    claims = json.dumps({"sub": "alice", "exp": round(time.time() + expires)}).encode()
    parts = (b'{"alg":"HS256","typ":"JWT"}', claims)
    head, body = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.{SECRET}"


@dataclass
class Visit:
    """One visit to one patient, and what came of it."""

    script: Script
    told: dict[str, str] = field(default_factory=dict)
    path: str = "/ws"
    away: bool = False  # nobody listens there
    exchange: Exchange = field(default_factory=Exchange)
    problem: CheckFailure | None = None
    verdict: dict[str, Any] = field(default_factory=dict)
    code: int | None = None

    async def make(self, program: ClientProgram) -> None:
        self.server = await Hostile(self.exchange, self.script).listen()
        self.exchange.closers.append(self.server.stop)
        if self.away:
            self.server.shut()
        url = f"ws://127.0.0.1:{self.server.port}{self.path}"
        self.client: Client = await program.start(self.exchange, url, **{**TOLD, **self.told})
        try:
            self.verdict = (await self.client.event("verdict", START + VISIT)).fields
            self.code = await self.client.ended(VISIT)
            self.server.raise_problem()
        except CheckFailure as failure:
            self.client.need_life()
            self.problem = failure
        finally:
            await self.exchange.close()

    def gives(self, verdict: str, cause: str | None, exchange: Exchange, what: str) -> None:
        """`fail()` unless this was found, and the exit code says so too."""
        exchange.events = self.exchange.events
        if self.problem:
            raise self.problem
        got = {name: self.verdict.get(name) for name in ("verdict", "cause")}
        wanted = {"verdict": verdict, "cause": cause}
        require(got == wanted, f"{what}: that is not what is said of it", expected=wanted, got=got)
        code = 2 if cause == "unreachable" else EXIT[verdict]
        require(self.code == code, f"{what}: the exit code is wrong", expected=code, got=self.code)

    def sick(self, cause: str, exchange: Exchange, what: str) -> None:
        self.gives("problem", cause, exchange, what)


# The patients


async def well(connection: Connection) -> None:
    if connection.headers.get("origin", MINE) != MINE:
        await connection.refuse(403)
        return
    await connection.accept(heartbeat_ms=20_000)
    await connection.send_json({"type": TYPE, "ts": 0, "data": {}})
    await connection.send(PING, b"heartbeat")


def refusing(status: int, body: str = "") -> Script:
    async def script(connection: Connection) -> None:
        await connection.refuse(status, body=body)

    return script


async def only_its_own_pages(connection: Connection) -> None:
    if connection.headers.get("origin"):
        await connection.refuse(403)
    else:
        await well(connection)


async def forged(connection: Connection) -> None:
    await connection.accept(key="the sample nonce")


async def mute(connection: Connection) -> None:
    """It accepts TCP, reads the request, and says nothing."""


def closing(code: int) -> Script:
    async def script(connection: Connection) -> None:
        await connection.accept()
        await connection.close(code, "because")

    return script


async def cutting(connection: Connection) -> None:
    await connection.accept()
    connection.drop()


async def without_a_beat(connection: Connection) -> None:
    await connection.accept(heartbeat_ms=round(BEAT * 1000))


async def small(connection: Connection) -> None:
    connection.most_bytes = BIG // 2
    await well(connection)


async def other_name(connection: Connection) -> None:
    await connection.accept(heartbeat_ms=20_000)
    await connection.send_json({"type": "orderUpdate", "ts": 0, "data": {}})
    await connection.send(PING, b"heartbeat")


async def blob(connection: Connection) -> None:
    await connection.accept(heartbeat_ms=20_000)
    await connection.send(BINARY, json.dumps({"type": TYPE, "ts": 0, "data": {}}).encode())
    await connection.send(PING, b"heartbeat")


class Ward:
    """All patients, visited side by side."""

    def __init__(self) -> None:
        self.well = Visit(well, {"ORIGIN": MINE, "EXPECT": TYPE})
        self.away = Visit(well, away=True)
        self.statuses = {
            400: (Visit(refusing(400)), "no-upgrade-headers"),
            426: (Visit(refusing(426)), "no-upgrade-headers"),
            404: (Visit(refusing(404)), "wrong-path"),
            502: (Visit(refusing(502)), "backend-down"),
        }
        self.foreign = Visit(only_its_own_pages, {"ORIGIN": MINE})
        self.shut = Visit(refusing(403), {"ORIGIN": MINE})
        self.expired = Visit(refusing(401), path=f"/ws?token={token(-90)}")
        self.unknown = Visit(refusing(401), path=f"/ws?token={token(900)}")
        self.judged_late = Visit(closing(4401))
        self.forged = Visit(forged)
        self.mute = Visit(mute, {"CONNECT_TIMEOUT": f"{HASTE}"})
        self.closed, self.cut = Visit(closing(1011)), Visit(cutting)
        self.no_beat = Visit(without_a_beat, {"HEARTBEAT_SECONDS": f"{BEAT}"})
        self.small = Visit(small, {"SEND_BYTES": f"{BIG}"})
        hasty = {"EXPECT": TYPE, "CONNECT_TIMEOUT": f"{HASTE}"}
        self.other_name, self.blob = Visit(other_name, hasty), Visit(blob, hasty)
        self.old = Visit(refusing(400, GENERATIONS), path="/socket.io/?EIO=4")

    def visits(self) -> list[Visit]:
        found = [visit for visit in vars(self).values() if isinstance(visit, Visit)]
        return found + [visit for visit, _ in self.statuses.values()]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ward(program: ClientProgram) -> Ward:
    ward = Ward()
    await asyncio.gather(*(visit.make(program) for visit in ward.visits()))
    return ward


@check("Wire contract, chapter 13")
async def test_healthy_is_found_healthy(exchange: Exchange, ward: Ward) -> None:
    """A server that is well is found well, by a guest who takes little and says goodbye.

    The last line is {"event":"verdict","verdict":"ok","cause":null}, and the exit code 0. A doctor
    who finds something everywhere is switched off after a week.

    It makes a handful of connections, sends a handful of messages, and leaves an open WebSocket
    with a close frame, code 1000: who cuts leaves a 1006 in somebody's log.
    """
    ward.well.gives("ok", None, exchange, "a server that is well")

    connections = ward.well.server.connections
    count, sent = len(connections), sum(len(c.messages) for c in connections)
    require(count <= MOST_CONNECTIONS, "a visit of so many connections is an attack", got=count)
    require(sent <= MOST_MESSAGES, "a visit of so many messages is an attack", got=sent)
    codes = [c.close_code for c in connections if c.messages or c.accepted]
    require(1000 in codes, "it did not close with 1000", expected=1000, got=codes)


@check("Wire contract, chapter 13")
async def test_nobody_there(exchange: Exchange, ward: Ward) -> None:
    """A port where nobody listens is `unreachable`, and the exit code is 2.

    2 says: I could not examine. It is not the same as a patient who is sick, and a script that asks
    a doctor every night wants to know the difference.
    """
    ward.away.sick("unreachable", exchange, "a port where nobody listens")


@check("Wire contract, chapter 13")
async def test_status_names_the_cause(exchange: Exchange, ward: Ward) -> None:
    """The status of the refusal decides: 400 and 426, 404, and 502 are three different causes.

    101 is success. 400 and 426 (and 505) in answer to a right upgrade mean that somebody between
    took `Upgrade` away: `no-upgrade-headers`. 404 is `wrong-path`. 502 (503, 504) comes from a
    proxy that found nobody behind it: `backend-down`.
    """
    for status, (visit, cause) in ward.statuses.items():
        visit.sick(cause, exchange, f"a server that answers {status}")


@check("RFC 6455 §4.2.2")
async def test_origin_is_told_from_a_shut_door(exchange: Exchange, ward: Ward) -> None:
    """A 403 for this page alone is `origin-refused`; a 403 for everybody is `forbidden`.

    The status is the same, so one question more tells them apart: ask again without the Origin. A
    server that lets you in then has something against the page.
    """
    ward.foreign.sick("origin-refused", exchange, "a server that knows other pages only")
    ward.shut.sick("forbidden", exchange, "a server that lets nobody in")


@check("Wire contract, chapter 13")
async def test_expired_is_told_from_unauthorized(exchange: Exchange, ward: Ward) -> None:
    """A 401 to a token past its `exp` is `expired-token`; any other is `unauthorized`.

    A JWT in the query can be read by whoever holds the URL: its middle part is JSON in base64url.
    Read it, do not trust it.

    Some servers judge after the 101 and close with 4401 or 1008: that is `unauthorized` as well.
    And never print the token: what a doctor prints ends up in a ticket.
    """
    ward.expired.sick("expired-token", exchange, "a 401 to a token that has expired")
    ward.unknown.sick("unauthorized", exchange, "a 401 to a token that has not expired")
    ward.judged_late.sick("unauthorized", exchange, "a close with 4401 after the 101")
    for visit in (ward.expired, ward.unknown):
        said = [str(heard) for heard in visit.client.heard] + visit.client.stderr
        if any(SECRET in line for line in said):
            exchange.events = visit.exchange.events
            fail("it prints the token")


@check("RFC 6455 §4.1")
async def test_forged_accept_is_seen(exchange: Exchange, ward: Ward) -> None:
    """A 101 with another `Sec-WebSocket-Accept` than the key's is `bad-accept`.

    base64(SHA-1(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")): who cannot compute it has not
    understood the question. A browser fails there with 1006; so do not take the 101 for success.
    """
    ward.forged.sick("bad-accept", exchange, "a 101 with the answer to another key")


@check("Wire contract, chapter 13")
async def test_silence_has_a_deadline(exchange: Exchange, ward: Ward) -> None:
    """A server that accepts TCP and says nothing is `no-answer`, after CONNECT_TIMEOUT.

    Without a deadline of its own the doctor hangs where the clients hang. Each hop needs one.
    """
    ward.mute.sick("no-answer", exchange, "a server that never answers")


@check("Wire contract, chapter 13")
async def test_open_is_not_yet_well(exchange: Exchange, ward: Ward) -> None:
    """A server that opens and ends at once is `closed-at-once`, with a close frame or without.

    The 101 proves the handshake and nothing more. Ask something that needs an answer, such as a
    ping, before you believe in it: what ends here makes the storms of chapter 4.
    """
    ward.closed.sick("closed-at-once", exchange, "a close with 1011 right after the 101")
    ward.cut.sick("closed-at-once", exchange, "an end of TCP right after the 101")


@check("Wire contract, chapter 13")
async def test_missing_heartbeat_is_a_warning(exchange: Exchange, ward: Ward) -> None:
    """No ping within 2.5 HEARTBEAT_SECONDS is the warning `no-heartbeat`; the exit code stays 0.

    It works today, so it is no problem; it will fail when a cable is pulled, so it is not ok. Only
    listening finds it, and listening takes time: say how long.
    """
    ward.no_beat.gives("warning", "no-heartbeat", exchange, "a server that never pings")


@check("RFC 6455 §7.4.1")
async def test_too_big_is_named(exchange: Exchange, ward: Ward) -> None:
    """A message of SEND_BYTES that is answered with 1009 is `oversized`.

    Nobody can know the limit from outside without reaching it. So you are told what the client will
    send, and send as much, once.
    """
    ward.small.sick("oversized", exchange, f"a server that takes less than {BIG} bytes")


@check("Wire contract, chapter 13")
async def test_what_comes_is_what_is_waited_for(exchange: Exchange, ward: Ward) -> None:
    """A message of another type than EXPECT is `wrong-type`; JSON in a binary frame is `blob-echo`.

    Both are silent in a browser: the first falls through a `switch`, the second is [object Blob].
    Wait for the type for CONNECT_TIMEOUT, and look at the opcode before the payload.
    """
    ward.other_name.sick("wrong-type", exchange, f"a server that says orderUpdate, not {TYPE}")
    ward.blob.sick("blob-echo", exchange, "a server that sends its JSON as binary")


@check("Engine.IO protocol, revision 4")
async def test_two_generations_are_told_apart(exchange: Exchange, ward: Ward) -> None:
    """400 with “Unsupported protocol version” at /socket.io/ is `version-mismatch`.

    The same status as a lost upgrade, so the status alone is not enough: ask by polling first, as
    Socket.IO's clients do, and read the body: {"code":5,"message":"Unsupported protocol version"}.
    """
    ward.old.sick("version-mismatch", exchange, "a Socket.IO server of another generation")
