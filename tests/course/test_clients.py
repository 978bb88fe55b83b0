"""The two halves of grading a client: the program that is watched, and the hostile server."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.harness.again import ask_again
from tests.harness.client import Client, ClientProgram
from tests.harness.exchange import Exchange
from tests.harness.hostile import BLINK, Connection, Hostile, Script
from tests.harness.subject import CannotRun
from tests.harness.verdict import CheckFailure

WITHIN = 20.0  # seconds for a program to do its part on a busy machine


@asynccontextmanager
async def started(code: str) -> AsyncIterator[Client]:
    """A client that is a few lines of Python."""
    exchange = Exchange()
    program = ClientProgram([sys.executable, "-c", code], None)
    try:
        yield await program.start(exchange, "ws://127.0.0.1:1/ws")
    finally:
        await exchange.close()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Hostile]:
    exchange = Exchange()
    server = await Hostile(exchange, script).listen()
    try:
        yield server
    finally:
        await server.stop()


def dial(server: Hostile) -> connect:
    return connect(server.url, proxy=None, compression=None, ping_interval=None, close_timeout=1)


# The program


async def test_what_it_prints_is_heard_in_order_and_on_record() -> None:
    code = 'print(\'{"event":"open"}\\n{"event":"retry","attempt":1,"delayMs":7}\')'
    async with started(code) as client:
        retry = await client.event("retry", WITHIN)

        assert retry.fields["delayMs"] == 7
        assert [heard.kind for heard in client.heard] == ["open", "retry"]
        assert await client.ended(WITHIN) == 0
        texts = [event.text for event in client.exchange.events if event.peer == "stdout"]
        assert texts[0] == '{"event":"open"}'
        assert client.exchange.events[-1].text == "the client ended with exit code 0"


async def test_it_is_told_its_url_and_its_settings_and_nothing_of_the_graders() -> None:
    code = (
        "import json, os; print(json.dumps({'event': 'env', **{k: os.environ.get(k) for k in"
        " ('URL', 'BACKOFF_BASE_MS', 'CMD', 'PYTEST_VERSION')}}))"
    )
    async with started(code) as client:
        fields = (await client.event("env", WITHIN)).fields

    assert fields["URL"] == "ws://127.0.0.1:1/ws"
    assert fields["BACKOFF_BASE_MS"] == "50"
    assert fields["CMD"] is None and fields["PYTEST_VERSION"] is None


async def test_lines_are_typed_and_the_end_of_the_input_is_told() -> None:
    said = """print('{"event":"said","text":%s}' % line.strip())"""
    code = f"import sys\nfor line in sys.stdin: {said}"
    async with started(code) as client:
        await client.say('"hello"', '"帧"')
        client.end_input()

        assert (await client.event("said", WITHIN)).fields["text"] == "hello"
        assert (await client.event("said", WITHIN)).fields["text"] == "帧"
        assert await client.ended(WITHIN) == 0


@pytest.mark.parametrize(
    "line", ["connected!", "[1]", '{"type":"open"}', '{"event":7}', "[" * 9999]
)
async def test_output_that_is_no_event_is_a_clear_failure(line: str) -> None:
    async with started(f"print({line!r}); input()") as client:  # it waits for its end
        with pytest.raises(CheckFailure, match="prints something that is no event") as failure:
            await client.event("open", WITHIN)

    assert failure.value.got == line[:200]


async def test_a_line_without_end_is_a_failure_and_not_a_memory() -> None:
    code = "import sys; sys.stdout.write('x' * 3_000_000); sys.stdout.flush(); input()"
    async with started(code) as client:
        with pytest.raises(CheckFailure, match="no event"):
            await client.event("open", WITHIN)


async def test_waiting_for_what_cannot_come_any_more_ends_at_once() -> None:
    async with started("import sys; print('oh no', file=sys.stderr); sys.exit(3)") as client:
        with pytest.raises(CheckFailure, match="the client has ended") as failure:
            await client.event("open", WITHIN)

        assert failure.value.got == "exit code 3"
        assert "oh no" in [event.text for event in client.exchange.events]


async def test_waiting_has_a_deadline() -> None:
    code = 'import sys; print(\'{"event":"open"}\', flush=True); sys.stdin.read()'
    async with started(code) as client:
        with pytest.raises(CheckFailure, match=r"within 0.3 s") as failure:
            await client.event("close", 0.3)
        with pytest.raises(CheckFailure, match="still runs"):
            await client.ended(0.1)

    assert 'event "close"' in failure.value.expected


async def test_nothing_it_has_started_is_left_behind() -> None:
    code = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '600']);"
        'print(\'{"event":"open","pid":%d}\' % child.pid, flush=True); sys.stdin.read()'
    )
    async with started(code) as client:
        pid = (await client.event("open", WITHIN)).fields["pid"]

    assert not await ask_again(
        partial(asyncio.to_thread, _runs, pid), lambda runs: not runs, WITHIN
    )


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie, which nobody may ever collect in a container."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no /proc here, or gone just now
        return not Path("/proc").exists()
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_a_program_that_is_not_there_cannot_run() -> None:
    with pytest.raises(CannotRun, match="cannot start 'no-such-program'"):
        await ClientProgram(["no-such-program"], None).start(Exchange(), "ws://127.0.0.1:1/ws")


# The hostile server


async def test_a_script_talks_to_each_connection() -> None:
    async def script(connection: Connection) -> None:
        await connection.accept(heartbeat_ms=400)
        await connection.send_json({"heard": await connection.json("a request")})

    async with serving(script) as server, dial(server) as client:
        assert '"heartbeatMs": 400' in str(await client.recv())
        await client.send('{"type":"ping"}')
        assert await client.recv() == '{"heard": {"type": "ping"}}'

        first = await server.connection(1)
        assert first.messages == ['{"type":"ping"}']
        assert first.headers["sec-websocket-version"] == "13"
        await client.close()
        assert (await first.ended()).code == 1000
        assert server.live == []


async def test_accept_then_close_gives_the_code() -> None:
    async def script(connection: Connection) -> None:
        await connection.accept()
        await connection.close(4401, "who are you")

    async with serving(script) as server, dial(server) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()

        assert (client.close_code, client.close_reason) == (4401, "who are you")
        assert (await (await server.connection(1)).ended()).code == 4401


@pytest.mark.parametrize("how", ["reset", "drop"])
async def test_an_end_without_a_close_frame_is_1006(how: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.accept()
        getattr(connection, how)()

    async with serving(script) as server, dial(server) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()

        assert client.close_code == 1006


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_a_handshake_is_refused(status: int) -> None:
    async with serving(lambda connection: connection.refuse(status, Retry_After="1")) as server:
        with pytest.raises(InvalidStatus) as refusal:
            await dial(server).__aenter__()

    assert refusal.value.response.status_code == status
    assert refusal.value.response.headers["Retry-After"] == "1"


async def test_a_restart_closes_the_port_and_opens_it_again() -> None:
    async with serving(lambda connection: connection.accept()) as server:
        first = await dial(server).__aenter__()
        server.shut(reset=True)
        with pytest.raises(ConnectionClosed):
            await first.recv()
        with pytest.raises(OSError, match=r"refused|failed"):
            await dial(server).__aenter__()

        await server.listen()

        async with dial(server):
            assert len(server.connections) == 2
        assert server.most_at_once() == 1


async def test_a_black_hole_hears_everything_and_answers_nothing() -> None:
    async def script(connection: Connection) -> None:
        connection.blackhole(after=2)
        await connection.accept()

    async with serving(script) as server:
        client = await dial(server).__aenter__()
        await client.send("one")
        await client.send("two")
        pong = await client.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pong, 0.3)

        first = await server.connection(1)
        assert first.messages == ["one", "two"]
        assert first.left is None
        await client.close()
        await first.ended()


async def counts(server: Hostile, number: int) -> None:
    """Wait until this connection has lived for longer than a blink."""
    connection = await server.connection(number)

    async def age() -> float:
        return asyncio.get_running_loop().time() - connection.arrived

    assert await ask_again(age, lambda lived: lived > BLINK, WITHIN) > BLINK


async def test_connections_that_live_at_one_time_are_counted() -> None:
    async with serving(lambda connection: connection.accept()) as server:
        async with dial(server), dial(server):
            await counts(server, 2)
        async with dial(server):
            await counts(server, 3)

        assert server.most_at_once() == 2
        assert len(server.accepted) == 3


async def test_what_fails_in_a_script_fails_the_check() -> None:
    async def script(connection: Connection) -> None:
        await connection.accept()
        await connection.json("an object")

    async with serving(script) as server, dial(server) as client:
        await client.send("[]")
        with pytest.raises(CheckFailure, match="no JSON object"):
            await server.until(lambda: False, WITHIN)


async def test_a_frame_without_a_mask_is_told() -> None:
    async with serving(lambda connection: connection.accept()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /ws HTTP/1.1\r\nSec-WebSocket-Key: eA==\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x81\x02hi")
        with pytest.raises(CheckFailure, match="broken frame"):
            await server.until(lambda: False, WITHIN)
        writer.close()
