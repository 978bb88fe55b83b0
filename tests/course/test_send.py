"""`course send`: exact bytes out, everything that comes back explained."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from course import send
from course.frames import TEXT, accept_for, build

DEADLINE = 20.0  # seconds that only a failure reaches
QUIET = "0.1"  # seconds after which to hang up where nothing more is expected
HELLO = "81 85 37 fa 21 3d 7f 9f 4d 51 58"  # RFC 6455 §5.7: a masked "Hello"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    send.add_parser(parser.add_subparsers())
    return parser.parse_args(["send", *arguments])


class Run:
    """One run of the command: its exit code and its lines, without the time."""

    def __init__(self, code: int, printed: str) -> None:
        self.code = code
        self.lines = [line[13:] for line in printed.splitlines()]

    def after_handshake(self) -> list[str]:
        """The lines behind the server's headers."""
        begin = next(i for i, line in enumerate(self.lines) if line.startswith("← HTTP")) + 1
        is_header = re.compile(r"←   [\w-]+: ").match
        return list(itertools.dropwhile(is_header, self.lines[begin:]))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("NO_COLOR", "1")

    async def run(*arguments: str) -> Run:
        async with asyncio.timeout(DEADLINE):
            code = await asyncio.to_thread(send.main, options(*arguments))
        return Run(code, capsys.readouterr().out)

    return run


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[str]:
    """The URL of a websockets server that echoes."""

    async def handler(websocket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in websocket:
                await websocket.send(message)

    async with serve(handler, "127.0.0.1", 0, close_timeout=1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ws"


@contextlib.asynccontextmanager
async def answering(
    answer: bytes, *, crash: bool = False
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A raw server that answers the first request so and then reads; its URL, and what it read."""
    read: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            read.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            if crash:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                writer.transport.abort()
            while data := await reader.read(65_536):
                read.append(data)
        writer.transport.abort()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", read


def switching(key: str = KEY) -> bytes:
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_for(key)}\r\n\r\n"
    ).encode()


async def test_the_bytes_and_the_answer_are_printed_with_their_meaning(
    run: Callable[..., Any], echo: str
) -> None:
    result = await run(echo, HELLO, "--wait", QUIET)

    assert result.code == 0
    assert result.lines[0] == "→ GET /ws HTTP/1.1"
    assert "← HTTP/1.1 101 Switching Protocols" in result.lines
    assert result.after_handshake() == [
        f"→ {HELLO} (11 bytes)",
        "→   text 5 bytes FIN masked Hello",
        "← #1 text 5 bytes FIN Hello",
        "←   81 05 48 65 6c 6c 6f",
        "○ quiet for 0.1 s: hanging up",
    ]


async def test_a_frame_may_be_spread_over_several_writes(
    run: Callable[..., Any], echo: str
) -> None:
    result = await run(echo, HELLO[:8], HELLO[8:], "--wait", QUIET)

    assert result.after_handshake()[:4] == [
        "→ 81 85 37 (3 bytes)",
        "→ fa 21 3d 7f 9f 4d 51 58 (8 bytes)",
        "→   text 5 bytes FIN masked Hello",
        "← #1 text 5 bytes FIN Hello",
    ]


async def test_a_violation_is_sent_as_it_is_and_the_close_explained(
    run: Callable[..., Any], echo: str
) -> None:
    result = await run(echo, "810548656c6c6f")

    assert result.code == 0
    sent, meaning, close, _, end = result.after_handshake()
    assert sent == "→ 81 05 48 65 6c 6c 6f (7 bytes)"
    assert meaning == "→   text 5 bytes FIN (a client must mask) Hello"
    assert close.startswith("← #1 close 1002 (protocol error)")
    assert end == "○ the server ended the connection (FIN)"


async def test_exactly_these_bytes_arrive(run: Callable[..., Any]) -> None:
    async with answering(switching()) as (url, read):
        header = f"Sec-WebSocket-Key: {KEY}"
        result = await run(url, "81", "05 01", "--wait", QUIET, "--header", header)

    assert result.code == 0
    assert b"".join(read[1:]) == b"\x81\x05\x01"
    assert result.after_handshake()[-2:] == [
        "→ bad frame, 3 bytes (the stream ends inside it) 81 05 01",
        "○ quiet for 0.1 s: hanging up",
    ]


async def test_headers_can_be_added_and_left_out(run: Callable[..., Any]) -> None:
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (url, read):
        add, leave_out = ("--header", "Origin: http://a"), ("--header", "Upgrade:")
        await run(url, *add, *leave_out)

    assert b"\r\nOrigin: http://a\r\n" in read[0]
    assert b"Upgrade: websocket" not in read[0]


async def test_without_bytes_it_shakes_hands_and_listens(run: Callable[..., Any]) -> None:
    greeting = build(TEXT, b"welcome \x1b[2J")
    async with answering(switching() + greeting) as (url, _):
        result = await run(url, "--wait", QUIET, "--header", f"Sec-WebSocket-Key: {KEY}")

    assert result.code == 0
    assert result.after_handshake()[0] == r"← #1 text 12 bytes FIN welcome \x1b[2J"


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
    ],
)
async def test_another_answer_than_101_is_shown_and_fails(
    run: Callable[..., Any], answer: str
) -> None:
    async with answering(answer.encode()) as (url, read):
        result = await run(url, HELLO)

    status, header, *_ = answer.split("\r\n")
    assert result.code == 1
    assert result.lines[-3:] == [
        f"← {status}",
        f"←   {header}",
        f"✗ no WebSocket here: {status.split()[1]}, not 101",
    ]
    assert len(read) == 1, "bytes were sent without a WebSocket"


async def test_a_wrong_accept_is_no_websocket(run: Callable[..., Any]) -> None:
    async with answering(switching("another key")) as (url, _):
        result = await run(url, HELLO, "--header", f"Sec-WebSocket-Key: {KEY}")

    assert result.code == 1
    assert f"should be {accept_for(KEY)}" in result.lines[-1]


async def test_a_server_that_speaks_something_else_is_shown(run: Callable[..., Any]) -> None:
    async with answering(b"SSH-2.0-OpenSSH\r\n") as (url, _):
        result = await run(url)

    assert result.code == 1
    assert result.lines[-1].startswith("← 17 bytes not HTTP/1.1 53 53 48")


async def test_a_reset_is_told_apart_from_an_end(run: Callable[..., Any]) -> None:
    async with answering(switching(), crash=True) as (url, _):
        result = await run(url, "--header", f"Sec-WebSocket-Key: {KEY}")

    assert result.lines[-1] == "○ the server reset the connection (RST)"


async def test_the_token_of_the_address_is_not_shown(run: Callable[..., Any], echo: str) -> None:
    result = await run(f"{echo}?token=hush", "--wait", QUIET)

    assert result.lines[0] == "→ GET /ws?token=… HTTP/1.1"
    assert not any("hush" in line for line in result.lines)


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ftp://a/"], "'ftp://a/' is not a WebSocket URL"),
        (["ws://127.0.0.1:1/", "8z"], "'8z' is not hex"),
        (["ws://127.0.0.1:1/", "810"], "'810' is not hex"),
        (["ws://127.0.0.1:1/", "--wait", "soon"], "--wait soon: give seconds"),
        (["ws://127.0.0.1:1/", "--header", "Origin"], "'Origin' is not a header"),
    ],
)
def test_it_says_in_one_line_what_it_cannot_use(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        send.main(options(*arguments))

    assert end.value.code == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


async def test_it_runs_from_the_command_line_and_says_where_nobody_listens(
    closed_port: int,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "course", "send", f"ws://127.0.0.1:{closed_port}/ws"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    async with asyncio.timeout(60):
        out, error = await process.communicate()

    where = f"127.0.0.1:{closed_port}"
    assert process.returncode == 2
    assert out == b""
    assert error.decode() == f"course: cannot reach {where} (connection refused): is it running?\n"
