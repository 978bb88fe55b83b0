"""The client: it comes back after any loss, never twice at once, and stops when it is told to.

The harness plays the server. Each scene is one client and one server that treats it badly in one
way; all scenes run side by side, and each check judges one of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from tests.harness.client import Client, ClientProgram
from tests.harness.exchange import Exchange
from tests.harness.hostile import Connection, Hostile, Script
from tests.harness.peer import BINARY, Ended
from tests.harness.verdict import CheckFailure, check, fail, require

ROLE = "client"

SLACK = 5.0  # seconds for a busy machine, where something has to happen at once
START = 20.0  # seconds for a slow language on a busy machine to begin
QUEUE = 100  # lines that are kept while there is no connection
COME_BACK = (1001, 1011, 1012, 1013, 4008, 4999)  # the last is in no table: it comes back
STAY_AWAY = (1008, 4400, 4401, 4403, 4409)
REFUSALS = (401, 403, 429, 503)
BASE, CAP = 100, 10_000  # milliseconds, where the delays are looked at
STORM_SECONDS, STORM_MOST = 3.0, 12  # the right number is 6 or 7; a reset on open makes 50
WINDOW = 60  # milliseconds: base and cap of a client that never gets through
SAMPLES = 50  # of its delays
LIVES, STABLE = 14, 30  # how often each of three clients is dropped; milliseconds it must hold
# A text, half of some JSON, no object, very deep, half a character, no number, a mad welcome.
ODD = (
    "hello",
    "[1, 2",
    "null",
    "[" * 5000,
    r'{"type":"echo","data":"\ud800"}',
    '{"type":"echo","data":NaN}',
    '{"type":"welcome","data":{"heartbeatMs":"soon"}}',
)
BEAT = 1.0  # seconds
KEPT = 2.3  # heartbeats that a quiet server is kept, before it falls silent


@dataclass
class Scene:
    """What became of one client."""

    exchange: Exchange = field(default_factory=Exchange)
    problem: BaseException | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)  # the steps of the scene that were played

    async def start(self, program: ClientProgram, script: Script, **settings: str) -> None:
        self.server = await Hostile(self.exchange, script).listen()
        self.exchange.closers.append(self.server.stop)
        client = await program.start(self.exchange, self.server.url, **settings)
        self.client = self.server.watch(client)

    def show(self, exchange: Exchange) -> "Scene":
        """Make this scene's record the check's own."""
        exchange.events = self.exchange.events
        return self

    def judge(self, exchange: Exchange, step: str = "end") -> "Scene":
        """The same, and pass on what went wrong before this step of the scene was played."""
        self.show(exchange)
        if step not in self.reached and self.problem:
            raise self.problem
        return self


class Stage:
    """The scenes, played side by side."""

    def __init__(self, program: ClientProgram) -> None:
        self.program = program
        self.losses, self.storm, self.absent = Scene(), Scene(), Scene()
        self.lives = [Scene(), Scene(), Scene()]
        self.terminal = {code: Scene() for code in (1000, *STAY_AWAY)}
        self.silent, self.refused, self.waiting = Scene(), Scene(), Scene()
        self.talk, self.setting = Scene(), Scene()

    def scenes(self) -> Iterator[tuple[Scene, Callable[[Scene], Awaitable[None]]]]:
        yield self.losses, self.lose_it_in_every_way
        yield self.storm, self.accept_and_close
        yield self.absent, self.be_absent
        for scene in self.lives:
            yield scene, self.drop_what_held
        for code, scene in self.terminal.items():
            yield scene, self.close_for_good(code)
        yield self.silent, self.fall_silent
        yield self.refused, self.refuse
        yield self.waiting, self.end_while_waiting
        yield self.talk, self.talk_and_end
        yield self.setting, self.set_nonsense

    async def play(self) -> None:
        async def one(scene: Scene, act: Callable[[Scene], Awaitable[None]]) -> None:
            try:
                await act(scene)
                scene.reached.add("end")
            except CheckFailure as failure:
                scene.problem = failure
            finally:
                if hasattr(scene, "server"):  # how many lived at one time, before all are ended
                    scene.notes["most"] = scene.server.most_at_once()
                    scene.problem = scene.problem or scene.server.problem
                await scene.exchange.close()

        await asyncio.gather(*(one(scene, act) for scene, act in self.scenes()))

    async def lose_it_in_every_way(self, scene: Scene) -> None:
        """End the connection in one way after the other; then be gone for a while."""
        await scene.start(self.program, accept)
        server, client = scene.server, scene.client
        scene.notes["closed"] = []
        number = 1

        async def next_one() -> Connection:
            nonlocal number
            connection = await server.connection(number, SLACK)
            await client.event("open", SLACK)
            number += 1
            return connection

        await server.connection(1, START)
        connection = await next_one()
        for code in COME_BACK:
            await connection.close(code, f"because of {code}")
            scene.notes["closed"].append((await client.event("close", SLACK)).fields)
            connection = await next_one()
        scene.reached.add("codes")
        connection.drop()
        scene.notes["dropped"] = (await client.event("close", SLACK)).fields
        connection = await next_one()
        scene.reached.add("dropped")
        connection.reset()
        connection = await next_one()
        scene.reached.add("reset")

        server.shut(reset=True)
        for _ in range(3):
            await client.event("retry", SLACK)
        lines = [f"line {n}" for n in range(1, QUEUE + 6)]
        await client.say(*lines)
        try:  # when it has refused the last, it has read them all
            for _ in lines[QUEUE:]:
                await client.event("refused", SLACK)
        except CheckFailure as failure:
            scene.notes["refusal"] = failure
        await server.listen()
        connection = await server.connection(number, SLACK)
        scene.reached.add("restart")
        wanted = lines[:QUEUE]
        await server.until(lambda: len(connection.messages) >= len(wanted), SLACK)
        scene.notes["sent"] = list(connection.messages)
        scene.notes["connections"] = len(server.connections)

    async def accept_and_close(self, scene: Scene) -> None:
        """Let it in and show it out at once, again and again."""
        said: list[float] = []

        async def script(connection: Connection) -> None:
            await connection.accept()
            said.append(asyncio.get_running_loop().time())
            await connection.close(1012, "restart")

        patient = {"BACKOFF_BASE_MS": f"{BASE}", "BACKOFF_CAP_MS": f"{CAP}"}
        await scene.start(self.program, script, **patient)
        await scene.server.connection(1, START)
        await asyncio.sleep(STORM_SECONDS)
        scene.notes["arrived"] = [connection.arrived for connection in scene.server.connections]
        scene.notes["said"] = said
        scene.notes["retries"] = [heard.fields for heard in scene.client.all("retry")]
        still_running(scene.client)

    async def be_absent(self, scene: Scene) -> None:
        """Nobody listens: nothing but delays."""
        window = {"BACKOFF_BASE_MS": f"{WINDOW}", "BACKOFF_CAP_MS": f"{WINDOW}"}
        scene.server = await Hostile(scene.exchange, accept).listen()
        scene.server.shut()
        scene.client = await self.program.start(scene.exchange, scene.server.url, **window)
        delays = []
        await scene.client.event("retry", START)
        for _ in range(SAMPLES):
            delays.append(milliseconds((await scene.client.event("retry", SLACK)).fields))
        scene.notes["delays"] = delays

    async def drop_what_held(self, scene: Scene) -> None:
        """Drop it when it has held long enough, so that each time it begins anew."""
        settings = {"BACKOFF_BASE_MS": f"{BASE}", "BACKOFF_CAP_MS": f"{CAP}"}
        await scene.start(self.program, accept, STABLE_MS=f"{STABLE}", **settings)
        scene.notes["retries"] = []
        await scene.server.connection(1, START)
        for number in range(1, LIVES + 1):
            connection = await scene.server.connection(number, SLACK)
            await scene.client.event("open", SLACK)
            await scene.server.holds(connection, 2 * STABLE / 1000)
            connection.reset()
            scene.notes["retries"].append((await scene.client.event("retry", SLACK)).fields)

    def close_for_good(self, code: int) -> Callable[[Scene], Awaitable[None]]:
        async def act(scene: Scene) -> None:
            async def script(connection: Connection) -> None:
                await connection.accept()
                await connection.close(code, "for good")

            await scene.start(self.program, script)
            await scene.server.connection(1, START)
            await scene.client.event("close", SLACK)
            await scene.client.event("stopped", SLACK)
            scene.notes["code"] = await scene.client.ended(SLACK)
            scene.notes["connections"] = len(scene.server.connections)

        return act

    async def fall_silent(self, scene: Scene) -> None:
        """Answer what it asks for a while, then swallow everything."""

        async def script(connection: Connection) -> None:
            await connection.accept(heartbeat_ms=round(BEAT * 1000))
            if connection.number == 1:
                await connection.answer_pings()

        await scene.start(self.program, script)
        first = await scene.server.connection(1, START)
        await scene.client.event("open", SLACK)
        scene.notes["kept"] = await scene.server.holds(first, KEPT * BEAT)
        scene.notes["asked"] = len(first.messages)
        scene.reached.add("kept")
        first.blackhole()
        since = asyncio.get_running_loop().time()
        await scene.client.event("dead", 3 * BEAT + SLACK)
        second = await scene.server.connection(2, SLACK)
        scene.notes["back after"] = (second.arrived - since) / BEAT
        await first.ended(SLACK)

    async def refuse(self, scene: Scene) -> None:
        """Refuse its handshakes, one status after the other; then do not answer; then let it in."""

        async def script(connection: Connection) -> None:
            if connection.number <= len(REFUSALS):
                await connection.refuse(REFUSALS[connection.number - 1])
            elif connection.number > len(REFUSALS) + 1:
                await connection.accept()

        await scene.start(self.program, script, CONNECT_TIMEOUT="1")
        scene.notes["told"] = {}
        await scene.server.connection(1, START)
        for number, status in enumerate(REFUSALS, 1):
            await scene.server.connection(number, SLACK)
            before = scene.client.cursor
            await scene.client.event("retry", SLACK)
            told = [heard.fields for heard in scene.client.heard[before : scene.client.cursor]]
            scene.notes["told"][status] = told
        scene.reached.add("refusals")
        mute = await scene.server.connection(len(REFUSALS) + 1, SLACK)
        await mute.ended(1 + SLACK)
        await scene.client.event("open", SLACK)

    async def end_while_waiting(self, scene: Scene) -> None:
        """Lose it, and end its input while it waits for hours."""
        hours = {"BACKOFF_BASE_MS": "20000000", "BACKOFF_CAP_MS": "20000000"}

        async def script(connection: Connection) -> None:
            await connection.accept()
            connection.reset()

        await scene.start(self.program, script, **hours)
        await scene.client.event("retry", START)
        scene.client.end_input()
        await scene.client.event("stopped", SLACK)
        scene.notes["code"] = await scene.client.ended(SLACK)
        scene.notes["connections"] = len(scene.server.connections)

    async def talk_and_end(self, scene: Scene) -> None:
        """A quiet talk, some odd messages, and the end of the input."""
        await scene.start(self.program, accept)
        connection, client = await scene.server.connection(1, START), scene.client
        await client.event("open", SLACK)
        lines = ['{"type":"echo","data":"帧"}', "  not JSON, and sent as it is", "{"]
        await client.say(*lines)
        scene.notes["typed"] = lines
        await scene.server.until(lambda: len(connection.messages) >= len(lines), SLACK)
        scene.notes["sent"] = list(connection.messages)
        told = {"type": "order:update", "ts": 1, "data": {"word": "帧", "n": [1, None, True]}}
        await connection.send_json(told)
        scene.notes["told"] = told
        scene.notes["heard"] = (await client.event("message", SLACK)).fields
        scene.reached.add("talk")
        for odd in ODD:
            await connection.send_text(odd)
        await connection.send(BINARY, b"\x00\xff")
        await connection.send_json({"type": "sane"})
        sane = {"type": "sane"}
        await client.event("message", SLACK, where=lambda fields: fields.get("data") == sane)
        scene.reached.add("odd")
        client.end_input()
        scene.notes["ended"] = await connection.ended(SLACK)
        await client.event("stopped", SLACK)
        scene.notes["code"] = await client.ended(SLACK)
        scene.notes["connections"] = len(scene.server.connections)

    async def set_nonsense(self, scene: Scene) -> None:
        await scene.start(self.program, accept, BACKOFF_BASE_MS="soon")
        server, client = scene.server, scene.client
        await server.until(lambda: client.code is not None or bool(server.connections), START)
        require(not server.connections, "it started all the same, and connected")
        scene.notes["code"] = await client.ended(SLACK)


async def accept(connection: Connection) -> None:
    await connection.accept()


def milliseconds(retry: dict[str, Any]) -> float:
    """The delay that a `retry` announces. Fails when it announces none."""
    delay, attempt = retry.get("delayMs"), retry.get("attempt")
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in (delay, attempt))
    if not numbers:
        fail("a retry does not say when", expected='"attempt":n,"delayMs":ms', got=retry)
    return float(str(delay))


def still_running(client: Client) -> None:
    require(client.code is None, "the client has ended", got=f"exit code {client.code}")


def quarters(delays: list[float], ceiling: float) -> list[int]:
    """How many delays lie in each quarter of the window from 0 to `ceiling`."""
    counts = [0, 0, 0, 0]
    for delay in delays:
        counts[min(int(4 * delay / ceiling), 3)] += 1
    return counts


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(program: ClientProgram) -> Stage:
    """All scenes, played to their ends."""
    stage = Stage(program)
    await stage.play()
    return stage


@check("Wire contract, chapter 4")
async def test_lines_are_sent_as_they_are(exchange: Exchange, stage: Stage) -> None:
    """Each line that is typed is sent as it is, and each message is printed.

    Read the standard input without making the connection wait, and print one JSON object a line:
    {"event":"message","data":…}, with the message as JSON in `data`. Write each line out at once.
    """
    notes = stage.talk.judge(exchange, "talk").notes

    require(
        notes["sent"] == notes["typed"],
        "what was typed is not what was sent",
        expected=notes["typed"],
        got=notes["sent"],
    )
    require(
        notes["heard"].get("data") == notes["told"],
        "the message is not what was printed",
        expected=notes["told"],
        got=notes["heard"],
    )


@check("Wire contract, chapter 4")
async def test_odd_messages_do_no_harm(exchange: Exchange, stage: Stage) -> None:
    """A message that is no JSON, or a welcome that makes no sense, does not end the client.

    Your server will have a bug one day. A client that dies of it turns that bug into an outage: a
    text that cannot be read is no reason to let go of the line.
    """
    stage.talk.judge(exchange, "odd")


@check("Wire contract, chapter 4")
async def test_end_of_input_closes(exchange: Exchange, stage: Stage) -> None:
    """The end of the input closes with 1000, and the client ends with exit code 0.

    It has said itself that it wants to go: it prints {"event":"stopped",…} and does not come back.
    """
    notes = stage.talk.judge(exchange).notes

    ended: Ended = notes["ended"]
    require(ended.code == 1000, "the client did not close with 1000", expected=1000, got=ended)
    require(notes["code"] == 0, "the exit code is wrong", expected=0, got=notes["code"])
    require(notes["connections"] == 1, "it came back all the same", got=notes["connections"])


@check("Wire contract, chapter 4")
async def test_comes_back_after_a_close(exchange: Exchange, stage: Stage) -> None:
    """It comes back after 1001, 1011, 1012 and every other code that does not forbid it.

    A code that you do not know is no reason to stay away: only the codes that say so are. The code
    and the reason are printed: {"event":"close","code":1012,"reason":"restart"}.
    """
    notes = stage.losses.judge(exchange, "codes").notes

    got = [(fields.get("code"), fields.get("reason")) for fields in notes["closed"]]
    expected = [(code, f"because of {code}") for code in COME_BACK]
    require(got == expected, "the closes are not told as they were", expected=expected, got=got)


@check("RFC 6455 §7.1.5")
async def test_comes_back_after_an_end_without_a_close_frame(
    exchange: Exchange, stage: Stage
) -> None:
    """It comes back when TCP ends without a close frame, and calls that 1006.

    Nobody sends 1006: your library makes it up when the connection ends without a close frame.
    """
    notes = stage.losses.judge(exchange, "dropped").notes

    got = notes["dropped"].get("code")
    require(got == 1006, "the loss is not told as 1006", expected=1006, got=notes["dropped"])


@check("Wire contract, chapter 4")
async def test_comes_back_after_a_reset(exchange: Exchange, stage: Stage) -> None:
    """It comes back after a TCP reset.

    A reset may arrive as an error from a read or a write instead of the end of the stream. Whatever
    ends a connection must lead to the one place that decides what comes next.
    """
    stage.losses.judge(exchange, "reset")


@check("Wire contract, chapter 4")
async def test_comes_back_after_a_restart(exchange: Exchange, stage: Stage) -> None:
    """It keeps trying while nobody listens, and is back when the server is.

    A connection that cannot be made is a loss like any other: wait, and try again.
    """
    stage.losses.judge(exchange, "restart")


@check("Wire contract, chapter 4")
async def test_lines_typed_while_down_are_sent(exchange: Exchange, stage: Stage) -> None:
    """What was typed while there was no connection is sent after it is back, in order.

    Keep it in a queue. Send all of it before anything newer, and take a message out only when it
    was handed to the connection.
    """
    sent = stage.losses.judge(exchange, "restart").notes["sent"]

    expected = [f"line {n}" for n in range(1, 21)]
    require(
        sent[:20] == expected,
        "the lines were not sent, or not in order",
        expected=" · ".join(expected[:4]) + " …",
        got=" · ".join(sent[:8]) or "none",
    )


@check("Wire contract, chapter 4")
async def test_queue_is_bounded(exchange: Exchange, stage: Stage) -> None:
    """Of 105 lines typed while down, 100 are kept, and 5 are refused aloud.

    A queue without a bound is a memory leak that waits for an outage. A line that finds no place is
    told with {"event":"refused",…}, so that nobody believes it was sent.
    """
    notes = stage.losses.judge(exchange, "restart").notes

    sent = [line for line in notes["sent"] if line.startswith("line")]
    got = f"{len(sent)} sent, the last of them {sent[-1] if sent else 'none'}"
    require(len(sent) == QUEUE, "another number was kept", expected=f"{QUEUE} sent", got=got)
    if "refusal" in notes:
        raise notes["refusal"]


@check("Wire contract, chapter 4")
async def test_never_two_at_once(exchange: Exchange, stage: Stage) -> None:
    """There is never more than one connection, and one loss makes one new connection.

    Give the connection one owner: one loop or one state machine, and nothing else that connects.
    Two timers, or a handler of an old socket that still fires, and the numbers grow without end.
    """
    scenes = [stage.losses, stage.silent, stage.storm, *stage.lives]
    for scene in scenes:
        most = scene.show(exchange).notes.get("most", 0)
        require(most <= 1, "several connections live at one time", expected="1", got=most)
    losses = stage.losses.judge(exchange, "restart").notes
    expected = len(COME_BACK) + 4
    got = losses["connections"]
    require(
        got == expected,
        "there are more connections than losses",
        expected=f"{expected} connections for {expected - 1} losses",
        got=got,
    )


@check("Wire contract, chapter 4")
async def test_accept_then_close_sees_few(exchange: Exchange, stage: Stage) -> None:
    """A server that lets it in and closes at once sees it seldom, and ever more seldom.

    Being let in is no success. If the delay begins anew with each `open`, a server that fails just
    after the handshake is hit by all its clients as fast as they can.
    """
    notes = stage.storm.judge(exchange).notes

    count = len(notes["arrived"])
    require(
        2 <= count <= STORM_MOST,
        f"the number of connections in {STORM_SECONDS:g} s is wrong",
        expected=f"2 to {STORM_MOST}, with BACKOFF_BASE_MS={BASE}",
        got=count,
    )


@check("Wire contract, chapter 4")
async def test_delays_double_up_to_a_ceiling(exchange: Exchange, stage: Stage) -> None:
    """The n-th delay is a part of base × 2ⁿ, and never more than the cap.

    Print {"event":"retry","attempt":n,"delayMs":…} before each wait; attempts count from 1, as long
    as no connection has held. delayMs = random() × min(cap, base × 2ⁿ).
    """
    retries = stage.storm.judge(exchange).notes["retries"]

    attempts = [retry.get("attempt") for retry in retries]
    expected = list(range(1, len(retries) + 1))
    require(attempts == expected, "attempts are counted wrongly", expected=expected, got=attempts)
    for retry in retries:
        ceiling = min(CAP, BASE * 2 ** int(retry["attempt"]))
        delay = milliseconds(retry)
        require(
            0 <= delay <= ceiling,
            f"the delay of attempt {retry['attempt']} is out of bounds",
            expected=f"0 to {ceiling} ms",
            got=f"{delay:g} ms",
        )
    for delay in stage.absent.judge(exchange).notes["delays"]:
        require(delay <= WINDOW + 1, "a delay is above the cap", expected=WINDOW, got=delay)


@check("Wire contract, chapter 4")
async def test_delays_are_kept(exchange: Exchange, stage: Stage) -> None:
    """It connects when the announced delay is over: not before, and not long after.

    The delay is announced and waited for in one place, by one timer.
    """
    notes = stage.storm.judge(exchange).notes

    for number, retry in enumerate(notes["retries"][: len(notes["arrived"]) - 1]):
        waited = 1000 * (notes["arrived"][number + 1] - notes["said"][number])
        delay = milliseconds(retry)
        require(
            delay - 2 <= waited <= delay + 1000 * SLACK,
            f"attempt {number + 1} does not come when it was announced",
            expected=f"{delay:g} ms after the loss",
            got=f"{waited:.0f} ms",
        )


@check("Wire contract, chapter 4")
async def test_delays_are_spread(exchange: Exchange, stage: Stage) -> None:
    """The delays are spread over the whole window, from nothing to the ceiling.

    Full jitter: the random part is all of the delay, not some per cent on top of it. Half a window
    of silence, and then everybody, is only half a cure.
    """
    delays = stage.absent.judge(exchange).notes["delays"]

    counts = quarters(delays, WINDOW)
    require(
        all(1 <= count <= SAMPLES * 2 // 3 for count in counts),
        f"{SAMPLES} delays are not spread over the window",
        expected=f"some in each quarter of 0 to {WINDOW} ms",
        got=f"{counts} in the four quarters",
    )


@check("Wire contract, chapter 4")
async def test_crowd_does_not_come_back_in_step(exchange: Exchange, stage: Stage) -> None:
    """Clients that lose the server at one moment do not come back at one moment.

    Three clients are dropped again and again after they had held; their first delays stand for
    those of a crowd after a restart. They have to be spread from the first attempt on, and each
    client has to throw dice of its own: the same seed everywhere is no jitter at all.
    """
    firsts = []
    for scene in stage.lives:
        firsts.append([milliseconds(retry) for retry in scene.judge(exchange).notes["retries"]])

    every = [delay for delays in firsts for delay in delays]
    ceiling = max(BASE, max(every))
    counts = quarters(every, ceiling)
    require(
        all(1 <= count <= len(every) * 2 // 3 for count in counts),
        f"the first delays of {len(every)} clients are not spread",
        expected=f"some in each quarter of 0 to {ceiling:g} ms",
        got=f"{counts} in the four quarters",
    )
    same = [n for n, delays in enumerate(zip(*firsts, strict=True), 1) if len(set(delays)) == 1]
    require(
        len(same) < LIVES // 2,
        "three clients wait for the same times",
        expected="each has its own",
        got=firsts[0],
    )


@check("Wire contract, chapter 4")
async def test_held_connection_begins_anew(exchange: Exchange, stage: Stage) -> None:
    """After a connection that held for STABLE_MS, attempts count from 1 again.

    Otherwise a client that has been losing its line once a day waits half a minute in the end.
    """
    for scene in stage.lives:
        attempts = [retry.get("attempt") for retry in scene.judge(exchange).notes["retries"]]
        expected = [1] * LIVES
        require(attempts == expected, "it does not begin anew", expected=expected, got=attempts)


@check("Wire contract, chapter 4")
async def test_terminal_codes_stop(exchange: Exchange, stage: Stage) -> None:
    """After 1008, 4400, 4401, 4403 and 4409 it stops: one connection, `stopped`, exit code 1.

    These codes say that trying again cannot help. Keep them in a table, with what each one means,
    and look the code up when a connection ends.
    """
    for code in STAY_AWAY:
        notes = stage.terminal[code].judge(exchange).notes
        connections = notes["connections"]
        require(connections == 1, f"it came back after {code}", expected=1, got=connections)
        require(
            notes["code"] == 1,
            f"the exit code after {code} is wrong",
            expected=1,
            got=notes["code"],
        )


@check("Wire contract, chapter 4")
async def test_normal_close_stops(exchange: Exchange, stage: Stage) -> None:
    """After 1000 it stops too, with exit code 0.

    1000 says that the server is done: this is the end of a talk, and not of a line.
    """
    notes = stage.terminal[1000].judge(exchange).notes

    got = notes["connections"]
    require(got == 1, "it came back after 1000", expected="1 connection", got=got)
    require(notes["code"] == 0, "the exit code is wrong", expected=0, got=notes["code"])


@check("Wire contract, chapters 3 and 4")
async def test_quiet_server_is_kept(exchange: Exchange, stage: Stage) -> None:
    """A server that says nothing but answers when it is asked is kept.

    When nothing has come for one heartbeat (the welcome names it), send {"type":"ping"}: any
    message that comes then is a sign of life.
    """
    notes = stage.silent.judge(exchange, "kept").notes

    require(notes["asked"], "it never asked whether anybody is there", expected="pings", got="none")
    require(
        notes["kept"], "it left a server that answers", expected=f"{KEPT:g} heartbeats at least"
    )


@check("Wire contract, chapters 3 and 4")
async def test_silent_server_is_left(exchange: Exchange, stage: Stage) -> None:
    """From a server that falls silent it is gone after 2.5 heartbeats, and back at once.

    No close frame comes, and no end of TCP: only a deadline on whatever arrives tells. Print
    {"event":"dead","silentMs":…}, drop the socket without asking anybody, and go on as after any
    loss. A polite close waits for an answer that never comes.
    """
    notes = stage.silent.judge(exchange).notes

    back = notes["back after"]
    require(
        1.4 <= back <= 3 + SLACK / BEAT,
        "it is back at the wrong time",
        expected="2.5 heartbeats after the last message",
        got=f"{back:.1f} heartbeats",
    )


@check("Wire contract, chapter 4")
async def test_refused_handshakes_are_told(exchange: Exchange, stage: Stage) -> None:
    """A handshake refused with 401, 403, 429 or 503 is told with its status, and tried again.

    The refusal is an HTTP answer, so there is no close code. Print its number, for example as
    {"event":"failed","status":401}, and wait as after any loss.
    """
    told = stage.refused.judge(exchange, "refusals").notes["told"]

    for status, events in told.items():
        # A delay of 401 ms is no status.
        said = [{k: v for k, v in event.items() if k != "delayMs"} for event in events]
        require(
            any(f"{status}" in str(event) for event in said),
            f"the refusal with {status} is not told",
            expected=f'an event that names it, {{"event":"failed","status":{status}}}',
            got=events,
        )


@check("Wire contract, chapter 4")
async def test_handshake_without_an_answer_is_left(exchange: Exchange, stage: Stage) -> None:
    """A handshake that is not answered within CONNECT_TIMEOUT is given up, and tried again.

    A server that accepts TCP and then hangs holds a client for ever that has no deadline here: the
    heartbeat begins only after the handshake.
    """
    stage.refused.judge(exchange)


@check("Wire contract, chapter 4")
async def test_stop_while_waiting(exchange: Exchange, stage: Stage) -> None:
    """Stopped while it waits for the next attempt, it ends at once and never connects again.

    The wait has to be one that can be cut short: a timer that you keep and cancel, not a sleep.
    """
    notes = stage.waiting.judge(exchange).notes

    require(notes["code"] == 0, "the exit code is wrong", expected=0, got=notes["code"])
    require(notes["connections"] == 1, "it connected again", expected=1, got=notes["connections"])


@check("Wire contract, everywhere", costly=True)
async def test_bad_setting(exchange: Exchange, stage: Stage) -> None:
    """A setting that makes no sense stops the start, with one line that names it.

    BACKOFF_BASE_MS=soon must not become a delay of 0, or NaN: that is a storm by typing error.
    """
    scene = stage.setting.judge(exchange)

    complaint = "\n".join(scene.client.stderr)
    require(scene.notes["code"] not in (0, None), "the exit code is 0", expected="another")
    require(
        "BACKOFF_BASE_MS" in complaint and len(scene.client.stderr) == 1,
        "the complaint is not one line that names the variable",
        expected="one line on stderr with BACKOFF_BASE_MS in it",
        got=complaint[:200] or "nothing",
    )
