"""The doctor: silent about the healthy, right about the sick, and unharmed by the hostile."""

import argparse
import asyncio
import base64
import contextlib
import io
import json
import re
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from course import tools
from course.doctor import command
from course.doctor.report import PROBES, Finding, Report, show, summary, vocabulary
from course.doctor.upgrade import FOREIGN
from course.doctor.visit import Options, examine
from course.frames import BINARY, CLOSE, PING, PONG, TEXT, Frame, FrameReader, accept_for, build
from course.labs.stage import PAGE, certificate, nginx, server
from course.manifest import LANGUAGES, ROOT, load
from course.tools import free_port, local_secrets
from tests.harness.broken import BASES
from tests.harness.subject import Process

WITHIN = 30.0  # seconds that only a failure reaches
QUICK = Options(heartbeat=0, patience=5)
HASTY = Options(heartbeat=0, patience=0.5, say="")  # for servers that never answer

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def visit(url: str, options: Options = QUICK) -> Report:
    async with asyncio.timeout(WITHIN):
        return await examine(url, options)


def sick(report: Report) -> list[str]:
    """The codes of all that is not ok; each is told in both languages on the way."""
    for finding in report.findings:
        for language in LANGUAGES:
            assert show(finding, language)
    return report.having("problem") + report.having("warning")


@asynccontextmanager
async def chapter(number: int, **settings: str) -> AsyncIterator[str]:
    """A chapter's server; its host and port."""
    found = load().chapter(number)
    environment = {"PORT": str(free_port()), "HEARTBEAT_SECONDS": "1", **settings}
    environment |= local_secrets(found.secrets, {})
    process = Process([sys.executable, "server.py"], str(found.folder), environment)
    await process.start()
    try:
        await process.ready()
        yield f"127.0.0.1:{process.port}"
    finally:
        await process.stop()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server by hand, in this process."""

    async def safely(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(safely, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
    finally:
        server.close()


def answer_with(status: str, *headers: str, body: str = "") -> Handler:
    """Answers the first request so."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        await reader.read()

    return handler


async def shaken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *more: str) -> None:
    """The server's side of a good handshake."""
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = re.search(r"Sec-WebSocket-Key: (\S+)", request)
    assert key
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept_for(key[1])}", *more, "", ""]
    writer.write("\r\n".join(lines).encode())


def talking(answer: Callable[[Frame], bytes], first: bytes = b"", *more: str) -> Handler:
    """Opens a WebSocket, sends `first`, then answers each frame with some bytes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shaken(reader, writer, *more)
        writer.write(first)
        frames = FrameReader(masked=True)
        while data := await reader.read(65536):
            for item in frames.feed(data):
                assert isinstance(item, Frame)
                writer.write(answer(item))
                if item.opcode == CLOSE:
                    return

    return handler


def polite(frame: Frame) -> bytes:
    """Pongs, and a close for a close; nothing else."""
    if frame.opcode == PING:
        return build(PONG, frame.payload)
    return build(CLOSE, frame.payload) if frame.opcode == CLOSE else b""


# The healthy


async def test_chapter_3_is_healthy_and_each_probe_says_so() -> None:
    async with chapter(3) as place:
        report = await visit(f"ws://{place}/ws", Options(heartbeat=10))

    assert sick(report) == []
    assert report.exit_code(strict=True) == 0
    probes = [finding.probe for finding in report.findings]
    assert probes == [
        *("dns", "tcp", "tls", "upgrade", "accept", "origin", "subprotocol"),
        *("answer", "heartbeat", "idle", "close"),
    ]
    assert report.skipped == []


async def test_one_ticket_is_enough_for_the_whole_visit() -> None:
    """A ticket is good for one handshake: the doctor may not waste it on a probe."""
    async with chapter(8) as place:

        def ask(path: str, body: bytes, **headers: str) -> Any:
            request = urllib.request.Request(f"http://{place}{path}", body, headers)
            with urllib.request.urlopen(request, timeout=WITHIN) as answer:
                return json.load(answer)

        login = {"user": "alice", "password": "wonderland"}
        token = await asyncio.to_thread(ask, "/api/login", json.dumps(login).encode())
        bearer = f"Bearer {token['accessToken']}"
        ticket = await asyncio.to_thread(ask, "/api/ticket", b"", Authorization=bearer)
        url = f"ws://{place}/ws?ticket={ticket['ticket']}"

        first = await visit(url)
        again = await visit(url)

    assert sick(first) == []
    assert sick(again) == ["upgrade.unauthorized"]
    assert ticket["ticket"] not in first.as_json("en") + again.as_json("zh")


async def test_chapter_10_is_healthy_by_polling_and_by_websocket() -> None:
    async with chapter(10) as place:
        report = await visit(f"http://{place}/socket.io/", Options(heartbeat=10))
        old = await visit(f"http://{place}/socket.io/?EIO=3")
        page = await visit(f"ws://{place}/socket.io/", Options(heartbeat=0, origin="http://a.test"))

    assert sick(report) == []
    assert {"engine", "stickiness", "cors", "heartbeat"} <= {one.probe for one in report.findings}
    assert sick(old) == ["engine.version"]
    assert sick(page) == ["cors.missing", "origin.refused"]


@pytest.mark.parametrize("name", ["by_hand", "node", "node_socketio"])
async def test_a_right_server_of_another_make_is_healthy(name: str) -> None:
    """Written by other hands, with other libraries: nothing is found, not even a warning."""
    folder, main_file, command = BASES[name]
    interpreter = tools.find("node") if command.startswith("node") else sys.executable
    environment = {"PORT": str(free_port()), "HEARTBEAT_SECONDS": "1"}
    async with Process([interpreter, main_file], str(folder), environment).up() as process:
        path, wait = ("/socket.io/", 10.0) if name == "node_socketio" else ("/ws", 0.0)
        report = await visit(f"ws://127.0.0.1:{process.port}{path}", Options(heartbeat=wait))

    assert sick(report) == []
    assert report.exit_code(strict=True) == 0


async def test_a_healthy_server_behind_nginx_and_tls_is_healthy() -> None:
    with certificate("DNS:localhost") as (_, ca):
        async with server(heartbeat=1) as backend, nginx(backend.port, certificate=ca) as port:
            options = Options(heartbeat=10, ca=ca, origin=PAGE)
            report = await visit(f"wss://localhost:{port}/ws", options)

    assert sick(report) == []
    assert {"tls.ok", "upgrade.ok", "heartbeat.ok", "close.ok"} <= {
        finding.code for finding in report.findings
    }


# The sick


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("200 OK", "upgrade.page"),
        ("301 Moved", "upgrade.redirect"),
        ("400 Bad Request", "upgrade.no_headers"),
        ("401 Unauthorized", "upgrade.unauthorized"),
        ("403 Forbidden", "upgrade.forbidden"),
        ("404 Not Found", "upgrade.not_found"),
        ("426 Upgrade Required", "upgrade.no_headers"),
        ("429 Too Many Requests", "upgrade.too_many"),
        ("502 Bad Gateway", "upgrade.backend"),
        ("505 HTTP Version Not Supported", "upgrade.no_headers"),
        ("418 I am a teapot", "upgrade.other"),
    ],
)
async def test_every_refusal_has_a_name(status: str, code: str) -> None:
    async with serving(answer_with(status, "Location: https://elsewhere.example/")) as url:
        report = await visit(url)

    assert sick(report) == [code]
    assert report.exit_code() == 1
    assert status.encode()[:3].decode() in report.findings[-1].evidence("en")


async def test_a_redirect_is_not_followed() -> None:
    asked = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1))

    async with (
        serving(elsewhere) as other,
        serving(answer_with("302 Found", f"Location: {other}")) as url,
    ):
        report = await visit(url)

    assert sick(report) == ["upgrade.redirect"]
    assert asked == []


async def test_an_expired_token_is_told_from_a_wrong_one() -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() - 90}).encode()).decode()
    async with serving(answer_with("401 Unauthorized")) as url:
        expired = await visit(f"{url}?token=e30.{claims.rstrip('=')}.c2ln")
        wrong = await visit(f"{url}?token=e30.e30.c2ln")

    assert sick(expired) == ["upgrade.expired"]
    assert "90." in expired.findings[-1].evidence("en")
    assert sick(wrong) == ["upgrade.unauthorized"]


async def test_any_origin_is_a_warning_and_with_a_cookie_a_problem() -> None:
    async with serving(talking(polite)) as url:
        bare = await visit(url)
        sent = await visit(url, Options(heartbeat=0, headers={"Cookie": "session=1"}))
    async with serving(talking(polite, b"", "Set-Cookie: route=a")) as url:
        sticky = await visit(url)
    async with serving(talking(polite, b"", "Set-Cookie: session=a; HttpOnly")) as url:
        given = await visit(url)

    assert sick(bare) == sick(sticky) == ["origin.any"]
    assert (bare.exit_code(), bare.exit_code(strict=True)) == (0, 1)
    assert sick(sent) == sick(given) == ["origin.any_cookie"]


async def test_a_page_that_is_not_on_the_list_is_told_from_a_closed_door() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if b"Origin" in request and b"Origin: https://mine.example\r\n" not in request:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        again = asyncio.StreamReader()
        again.feed_data(request)
        await shaken(again, writer)
        await reader.read()

    options = {"heartbeat": 0.0, "patience": 0.5, "say": ""}
    async with serving(handler) as url:
        mine = await visit(url, Options(origin="https://mine.example", **options))  # type: ignore[arg-type]
        other = await visit(url, Options(origin="http://mine.example", **options))  # type: ignore[arg-type]

    assert "origin.ok" in mine.having("ok")
    assert "mixed.blocked" in mine.having("problem")
    assert "origin.refused" in other.having("problem")


async def test_a_wrong_accept_and_unasked_promises_are_problems() -> None:
    def wrong(*headers: str) -> Handler:
        return answer_with("101 Switching Protocols", *headers)

    good = ("Upgrade: websocket", "Connection: Upgrade")
    async with serving(wrong(*good, "Sec-WebSocket-Accept: x")) as url:
        assert "accept.wrong" in sick(await visit(url))
    async with serving(talking(polite, b"", "Sec-WebSocket-Protocol: surprise")) as url:
        assert "subprotocol.other" in sick(await visit(url))
        asked = await visit(url, Options(heartbeat=0, subprotocols=("surprise",)))
        assert "subprotocol.ok" in asked.having("ok")
    async with serving(talking(polite, b"", "Sec-WebSocket-Extensions: permessage-deflate")) as url:
        assert "accept.extension" in sick(await visit(url))
    async with serving(talking(polite)) as url:
        refused = await visit(url, Options(heartbeat=0, subprotocols=("chat",)))
        assert "subprotocol.none" in sick(refused)


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (build(CLOSE, b"\x03\xf3broken"), "open.closed"),
        (build(CLOSE, b"\x11\x31no"), "open.unauthorized"),
        (build(TEXT, b"hi", mask=b"1234"), "open.bad_frame"),
        (b"\xf3\x00", "open.bad_frame"),
        (b"\x80\x02hi", "open.bad_frame"),
    ],
    ids=["closed", "unauthorized", "masked", "reserved", "continuation"],
)
async def test_a_conversation_that_ends_at_once_says_why(first: bytes, code: str) -> None:
    async with serving(talking(lambda frame: b"", first)) as url:
        report = await visit(url)

    assert code in report.having("problem")


async def test_silence_is_a_warning_and_a_cut_is_a_problem() -> None:
    async with serving(talking(polite)) as url:
        quiet = await visit(url, Options(heartbeat=0.3, say=""))

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shaken(reader, writer)
        data = await reader.read(100)
        frames = [item for item in FrameReader(masked=True).feed(data) if isinstance(item, Frame)]
        writer.write(b"".join(polite(frame) for frame in frames))
        await asyncio.sleep(0.2)

    async with serving(cut) as url:
        ended = await visit(url, Options(heartbeat=WITHIN, say=""))

    assert sick(quiet) == ["origin.any", "heartbeat.none"]
    assert sick(ended) == ["idle.cut", "origin.any", "heartbeat.none"]


async def test_text_in_binary_frames_and_the_wrong_type_are_seen() -> None:
    def echo(frame: Frame) -> bytes:
        return build(BINARY, frame.payload) if frame.opcode == TEXT else polite(frame)

    event = build(TEXT, b'{"type":"order.update"}')
    async with serving(talking(echo, event)) as url:
        report = await visit(url, Options(heartbeat=0, patience=0.3, expect="order:update"))

    assert {"messages.binary", "messages.type"} <= set(sick(report))
    said = next(one for one in report.findings if one.code == "messages.type").evidence("en")
    assert "order.update, ping" in said


async def test_a_close_that_nobody_answers() -> None:
    def deaf(frame: Frame) -> bytes:
        return b"" if frame.opcode == CLOSE else polite(frame)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await talking(deaf)(reader, writer)
        await reader.read()
        await asyncio.sleep(WITHIN)

    async with serving(handler) as url:
        report = await visit(url, Options(heartbeat=0, patience=0.5, say=""))

    assert "close.none" in sick(report)


# The hostile


async def test_a_server_that_never_answers_costs_one_patience() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(mute) as url:
        report = await visit(url, HASTY)
        engine = await visit(url.replace("/ws", "/socket.io/"), HASTY)

    assert sick(report) == sick(engine) == ["upgrade.silent"]


async def test_a_head_that_drips_or_never_ends_is_bounded() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n" * 1000)
            await writer.drain()

    async with serving(drip) as slow, serving(pour) as endless:
        assert sick(await visit(slow, HASTY)) == ["upgrade.silent"]
        assert sick(await visit(endless, HASTY)) == ["upgrade.not_http"]


async def test_a_body_without_an_end_is_bounded() -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 99999999999999\r\n\r\n")
        while True:
            writer.write(b"y" * 65536)
            await writer.drain()

    async with serving(pour) as url:
        assert sick(await visit(url)) == ["upgrade.not_found"]
        assert sick(await visit(url.replace("/ws", "/socket.io/"))) == ["upgrade.not_found"]


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x15\x03\x01\x00\x02", b""])
async def test_what_is_no_http_is_said_to_be_none(greeting: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(greeting)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with serving(handler) as url:
        report = await visit(url)

    assert sick(report) == ["upgrade.not_http" if greeting else "upgrade.ended"]


@pytest.mark.parametrize(
    "piece",
    [
        build(TEXT, b"x" * 60_000),
        build(PING, b"p") * 3000,
        b"\x01\x7f" + b"\x00\x7f\xff\xff" * 2 + b"z" * 999,
    ],
    ids=["messages", "pings", "one message"],
)
async def test_a_flood_ends_the_conversation_and_not_the_doctor(piece: bytes) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shaken(reader, writer)
        writer.write(piece)
        while True:
            writer.write(piece[4:] if piece[0] == 1 else piece)
            await writer.drain()

    async with serving(flood) as url:
        report = await visit(url)

    assert "messages.flood" in sick(report)


async def test_a_servers_words_cannot_steer_the_terminal_nor_tell_secrets() -> None:
    reason = b"\x10\x00\x1b[2J see ?token=hush \xe2\x80\xae"
    async with serving(talking(polite, build(CLOSE, reason))) as url:
        report = await visit(f"{url}?ticket=hush")

    told = report.as_json("en") + "".join(show(one, "en") for one in report.findings)
    assert "open.closed" in sick(report)
    assert "\x1b" not in told
    assert "hush" not in told


async def test_json_of_any_shape_from_an_engine_is_survived() -> None:
    for body in ('0{"sid":[],"pingInterval":"x"}', "0{" + "[" * 50_000, "0[]", "\x00", "0{}"):
        async with serving(answer_with("200 OK", body=body)) as url:
            report = await visit(url.replace("/ws", "/socket.io/"))
        assert report.exit_code() == 1


async def test_an_old_engine_is_told_by_the_version_that_it_speaks() -> None:
    """Engine.IO 3, as Socket.IO 2 has it: another answer for each version asked."""

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        status, body = "400 Bad Request", '{"code":5,"message":"Unsupported protocol version"}'
        if b"EIO=3" in request:
            status, body = "200 OK", '45:0{"sid":"a","upgrades":[],"pingInterval":25000}2:40'
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(f"{head}{body}".encode())
        await writer.drain()

    async with serving(old) as url:
        report = await visit(url.replace("/ws", "/socket.io/"))

    assert sick(report) == ["engine.version"]
    assert "the server 3 (Socket.IO 2)" in report.findings[-1].evidence("en")


async def test_plain_http_behind_a_tls_url_is_a_problem() -> None:
    async with serving(answer_with("200 OK")) as url:
        report = await visit(url.replace("ws://", "wss://"), HASTY)

    assert sick(report) == ["tls.failed"]


async def test_a_certificate_is_judged_by_its_name_and_its_days() -> None:
    for days, code in ((5, "tls.soon"), (30, "tls.ok")):
        with certificate("DNS:localhost", days=days) as (tls, ca):
            async with server(tls=tls) as secure:
                url = secure.url(scheme="wss", host="localhost")
                trusted = await visit(url, Options(heartbeat=0, ca=ca))
                unknown = await visit(url)
                other = await visit(secure.url(scheme="wss"), Options(heartbeat=0, ca=ca))

        assert trusted.findings[2].code == code
        assert trusted.exit_code() == 0
        assert sick(unknown) == sick(other) == ["tls.certificate"]
        assert "upgrade" in other.skipped  # what is in a URL is for nobody but its server


async def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        released.wait(WITHIN)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    report = await visit("ws://slow.invalid/ws", HASTY)
    released.set()

    assert report.unreachable
    assert "time ran out" in report.findings[-1].evidence("en")


async def test_it_sends_no_more_than_a_handful_of_requests() -> None:
    requests = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    async with serving(handler) as url:
        await visit(url)

    assert 1 <= len(requests) <= 3
    assert f"Origin: {FOREIGN}".encode() in requests[0]


# The command


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return command.main(parser.parse_args(["doctor", *words]))


def test_unreachable_is_exit_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for url in (f"ws://127.0.0.1:{free_port()}/ws", "ws://no.such.invalid/ws"):
        with pytest.raises(SystemExit) as stopped:
            run(url, "--json", "--quick")
        told = capsys.readouterr()
        assert stopped.value.code == 2
        assert told.err.count("\n") == 1
        assert json.loads(told.out)["exit"] == 2


@pytest.mark.parametrize(
    "words", [["ftp://x/"], ["ws://[::1/ws"], ["wss://x.test/", "--ca", "/no"]]
)
def test_a_wrong_command_line_is_exit_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(*words, "--quick")

    told = capsys.readouterr()
    assert stopped.value.code == 2
    assert told.err.count("\n") == 1
    assert "Traceback" not in told.err


async def test_text_and_json_tell_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(talking(polite)) as url:
        plain = await asyncio.to_thread(run, url, "--quick", "--lang", "zh")
        text = capsys.readouterr().out
        strict = await asyncio.to_thread(run, url, "--quick", "--json", "--strict")
        told = json.loads(capsys.readouterr().out)

    assert (plain, strict) == (0, 1)
    assert "没有人检查 Origin 头" in text
    assert "0 个问题，1 个警告" in text
    assert (told["problems"], told["warnings"], told["exit"]) == (0, 1, 1)
    assert {one["verdict"] for one in told["findings"]} == {"ok", "warning"}
    warning = next(one for one in told["findings"] if one["verdict"] == "warning")
    assert {"evidence", "cause", "cure", "lesson"} <= set(warning)


def test_a_terminal_is_shown_how_long_the_listening_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", terminal)

    draw = command.progress_bar("en")
    draw(7, 35)
    shown = terminal.getvalue()
    draw(35, 35)

    assert shown.endswith("listening for a heartbeat 7/35 s")
    assert shown.count("█") * 4 == shown.count("░") + 1  # a fifth of 24, rounded
    assert terminal.getvalue().endswith("\r\x1b[K")


# The vocabulary


def test_every_finding_is_whole_in_both_languages_and_in_use() -> None:
    code = "".join(path.read_text() for path in (ROOT / "course" / "doctor").glob("*.py"))
    kinds = {"silent", "ended", "not_http"}
    for name, entry in vocabulary().items():
        assert name.partition(".")[0] in PROBES
        used = f'"{name}"' in code or (name[:8] == "upgrade." and name[8:] in kinds)
        assert used, f"nobody finds {name}"
        parts = ["said"] + ([] if entry["verdict"] == "ok" else ["cause", "cure"])
        assert all(set(entry[part]) == set(LANGUAGES) for part in parts)
        fields = [set(re.findall(r"\{(\w+)\}", entry["said"][speak])) for speak in LANGUAGES]
        assert fields[0] == fields[1], name
        if entry["verdict"] != "ok":
            assert all((ROOT / Finding(name).lesson(speak)).exists() for speak in LANGUAGES)


def test_the_summary_counts() -> None:
    report = Report("ws://x/")
    report.add("heartbeat.none", seconds=1.0)

    assert "0 problems, 1 warning" in summary(report, "en")
    assert Path(report.findings[0].lesson("en")).stem == "03-heartbeat"
