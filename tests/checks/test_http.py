"""HTTP beside the WebSocket: one port, REST, and a start and an end that are decent."""

import asyncio
import json

from tests.harness.peer import BINARY, Peer
from tests.harness.subject import Process, Subject
from tests.harness.verdict import LAST, check, fail, require

MANY = 200  # sockets that are open while REST is asked
GOODBYE_SECONDS = 2.0  # from SIGTERM to the end of the process
SLACK = 1.0  # for a busy machine
FLOOD, FLOOD_SECONDS = 400, 1.0  # messages of 60 KB, more than the kernel's buffers take


async def get(subject: Subject, path: str, status: int) -> object:
    """GET the path; `fail()` unless it answers with this status and with JSON. Returns the JSON."""
    peer = await subject.dial()
    response = await peer.request(path, upgrade=False)
    require(response.status == status, f"GET {path} answers wrongly", expected=status, got=response)
    kind = response.headers.get("content-type", "no such header")
    require(
        kind.lower().startswith("application/") and "json" in kind.lower(),
        f"the answer to GET {path} is no JSON",
        expected="Content-Type application/json",
        got=kind,
    )
    try:
        return json.loads(response.body)
    except ValueError as error:
        fail(f"the answer to GET {path} is no JSON ({error})", got=response.body[:80])


async def api_ping(subject: Subject) -> None:
    answer = await get(subject, "/api/ping", 200)
    require(answer == {"ok": True}, "/api/ping answers wrongly", expected='{"ok":true}', got=answer)


async def on_its_own(subject: Subject) -> tuple[Process, Peer]:
    """One more run of the program, which this check may end, and a client of it."""
    subject.need_process()
    process = subject.new_process()
    await process.start()
    subject.exchange.closers.append(process.stop)
    await process.ready()
    return process, await another(subject, process)


async def another(subject: Subject, process: Process) -> Peer:
    """One more client of that run."""
    peer = Peer(subject.exchange)
    await peer.dial("127.0.0.1", process.port)
    await subject.greeted(peer)
    return peer


async def ends_with_zero(process: Process, after: str) -> None:
    code = await process.wait(GOODBYE_SECONDS + SLACK)
    expected = f"its end within {GOODBYE_SECONDS:g} s"
    require(code is not None, f"the program still runs after {after}", expected=expected)
    require(code == 0, f"the program does not end with 0 after {after}", expected=0, got=code)


@check("Wire contract, chapter 2")
async def test_api_ping(subject: Subject) -> None:
    """GET /api/ping answers {"ok":true}.

    Status 200, Content-Type application/json. It is the smallest REST route there is, and a probe
    for whoever wants to know whether the server lives.
    """
    await api_ping(subject)


@check("Wire contract, chapter 2")
async def test_unknown_path(subject: Subject) -> None:
    """An unknown path answers 404, in JSON.

    The one who asks is a program. Frameworks answer with a page of text until you tell them
    otherwise: catch their error in one place (a middleware) and write it as JSON.
    """
    await get(subject, "/api/nowhere", 404)


@check("Wire contract, chapter 2", costly=True)
async def test_rest_while_many_sockets_are_open(subject: Subject) -> None:
    """REST answers while 200 WebSockets are open.

    An open WebSocket must not keep a worker busy. A server with a thread for each connection and
    twenty threads serves twenty clients, and nobody else.
    """
    peers = [await subject.dial() for _ in range(MANY)]
    await asyncio.gather(*(subject.greeted(peer) for peer in peers))

    await api_ping(subject)


@check("RFC 6455 §7.4.1 · wire contract, chapter 2")
async def test_goodbye(subject: Subject) -> None:
    """On SIGTERM every client gets 1001 and the program ends with 0 within 2 s.

    SIGTERM is how a deployment stops a program. Handle it: close every WebSocket with 1001, going
    away, so that clients know they may come back; then exit with code 0.

    Without a handler the process is simply gone. Its clients see 1006, which looks like a crash. If
    your command is a script that starts the server (npm, sh), let it pass SIGTERM on, or use
    `exec`.
    """
    process, first = await on_its_own(subject)
    peers = [first, await another(subject, process), await another(subject, process)]
    left = await another(subject, process)
    left.reset()

    process.terminate()

    for ended in await asyncio.gather(*(peer.ended("close 1001") for peer in peers)):
        require(
            ended.code == 1001, "SIGTERM does not close all with 1001", expected=1001, got=ended
        )
    await ends_with_zero(process, "SIGTERM")


@check("Wire contract, chapter 2", order=LAST)
async def test_goodbye_to_a_mute_client(subject: Subject) -> None:
    """A client that does not answer the close frame does not hold up the end.

    Wait for the other side's close frame, but not for long: one second is plenty. Libraries wait
    for ten or thirty, and a deployment kills the program before.
    """
    process, peer = await on_its_own(subject)
    mute = Peer(subject.exchange)
    await mute.dial("127.0.0.1", process.port)
    await mute.request(subject.path)
    mute.answers = False

    process.terminate()

    await peer.ended("close 1001 (going away)")
    await ends_with_zero(process, "SIGTERM, though a client says nothing")


@check("Wire contract, chapter 2", order=LAST, costly=True)
async def test_goodbye_to_a_client_that_does_not_read(subject: Subject) -> None:
    """A client that has stopped reading does not hold up the end either.

    Its buffers are full, so your close frame cannot leave. When the second is over, do not close
    such a connection, which would wait for the buffer to empty: abort it.
    """
    process, deaf = await on_its_own(subject)
    try:
        async with asyncio.timeout(FLOOD_SECONDS):
            for _ in range(FLOOD):
                await deaf.send(BINARY, b"x" * 60_000)
    except TimeoutError:
        pass  # the pipes are full both ways

    process.terminate()

    await ends_with_zero(process, "SIGTERM, though a client does not read")


@check("Wire contract, chapter 2")
async def test_port_taken(subject: Subject) -> None:
    """When its port is taken, the program says so in one line and exits with 1.

    Catch the error of listening and write one line to stderr that names the address. A traceback of
    thirty lines hides the one that matters.
    """
    subject.need_process()
    second = subject.new_process(PORT=str(subject.port))

    await one_line_and_exit(subject, second, "the port is taken")


@check("Wire contract: settings", costly=True)
async def test_bad_setting(subject: Subject) -> None:
    """A setting that makes no sense stops the start, with one line that names it.

    MAX_MESSAGE_BYTES=lots cannot be meant. Do not start with a default in its place: whoever set it
    believes that it holds.
    """
    subject.need_process()
    for name, value in (("MAX_MESSAGE_BYTES", "lots"), ("PORT", "http")):
        process = subject.new_process(**{"MAX_MESSAGE_BYTES": "65536"})
        process.environment[name] = value
        await one_line_and_exit(subject, process, f"{name}={value}", names=name)


async def one_line_and_exit(subject: Subject, process: Process, when: str, names: str = "") -> None:
    """The program must end by itself with an error code and one line on stderr."""
    await process.start()
    subject.exchange.closers.append(process.stop)
    code = await process.wait(within=10)
    lines = [line for line in process.stderr if line.strip()]
    for line in lines[-5:]:
        subject.exchange.add("stderr", "·", line)
    require(code is not None, f"the program runs on although {when}", expected="its end")
    require(code == 1, f"the exit code is wrong when {when}", expected="exit code 1", got=code)
    require(
        len(lines) == 1,
        f"stderr should hold one line when {when}",
        expected="1 line",
        got=f"{len(lines)} lines",
    )
    require(
        names in lines[0],
        "the line does not name the setting",
        expected=f"a line with {names}",
        got=lines[0],
    )
