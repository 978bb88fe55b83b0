"""The chapters' programs beside their servers: clients, the handshake by hand, transcripts."""

import asyncio
import json
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from course import partials, record
from course.manifest import Chapter, load
from course.tools import free_port, local_secrets
from course.wire import Wire
from tests.course.starting import WITHIN, all_it_says, does_not_start, start
from tests.harness import spawning
from tests.harness.subject import Process

CHAPTERS = load().chapters
SERVERS = tuple(chapter for chapter in CHAPTERS if chapter.role != "deployment")
SECRETS = local_secrets([name for chapter in CHAPTERS for name in chapter.secrets], {})


@asynccontextmanager
async def running(folder: Path, **settings: str) -> AsyncIterator[Process]:
    """A chapter's server, ready, on a port of its own."""
    environment = {"PORT": str(free_port()), "HEARTBEAT_SECONDS": "1", **SECRETS, **settings}
    async with Process([sys.executable, "server.py"], str(folder), environment).up() as process:
        yield process


def without_times(text: str) -> str:
    """How long something took is recorded, and may take longer on a busy machine."""
    return re.sub(r"\b\d+\.\d s\b", "… s", text)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_the_transcript_is_what_running_prints(chapter: Chapter) -> None:
    recorded = (chapter.folder / "transcript.txt").read_text(encoding="utf-8")

    assert without_times(record.transcript(chapter)) == without_times(recorded)


@pytest.mark.parametrize("chapter", SERVERS, ids=lambda chapter: chapter.slug)
async def test_a_chapter_runs_from_a_copy_elsewhere(
    chapter: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawning, "spawn", spawning.start)  # a fork would know the course's modules
    copy = tmp_path / "elsewhere"
    shutil.copytree(chapter.folder, copy, ignore=shutil.ignore_patterns("__pycache__"))

    async with running(copy) as server:
        client = await start(copy, "client.py", URL=f"ws://127.0.0.1:{server.port}/ws")
        printed, errors = await all_it_says(client, b'{"type":"ping"}\n')

    assert ("welcome" if chapter.dialect == "native" else '"open"') in printed
    assert client.returncode == 0, printed + errors


CLIENTS = [
    (chapter, name)
    for chapter in SERVERS
    for name in ("client.py", "handshake.py", "silent.py", "away.py", "raw.py")
    if (chapter.folder / name).exists()
    if name not in chapter.carries  # byte for byte the same
    if not (chapter.client and name == "client.py")  # one that comes back does not give up
]


@pytest.mark.parametrize(
    ("chapter", "name"), CLIENTS, ids=[f"{chapter.slug}/{name}" for chapter, name in CLIENTS]
)
async def test_a_client_of_nobody_says_so_in_one_line(chapter: Chapter, name: str) -> None:
    client = await start(chapter.folder, name, URL=f"ws://127.0.0.1:{free_port()}/ws")

    said = "".join(await all_it_says(client))

    assert client.returncode == 1
    assert "cannot" in said
    assert said.count("\n") == 1


async def test_the_heartbeat_client_finds_a_dead_line_and_leaves_it() -> None:
    """Behind a wire that swallows everything, 2.5 heartbeats decide."""
    folder = load().chapter(3).folder
    async with running(folder) as server, Wire("127.0.0.1", server.port) as wire:
        client = await start(folder, "client.py", URL=wire.url("/ws"))
        assert client.stdout is not None
        events = []
        async with asyncio.timeout(WITHIN):
            while line := await client.stdout.readline():
                events.append(json.loads(line))
                if events[-1]["event"] == "message":
                    wire.blackhole()
            assert await client.wait() == 1

    assert [event["event"] for event in events] == ["open", "message", "dead"]
    assert 2400 <= events[-1]["silentMs"] <= 4000


async def test_the_heartbeat_client_keeps_a_quiet_line_alive() -> None:
    folder = load().chapter(3).folder
    async with running(folder) as server:
        client = await start(folder, "client.py", URL=f"ws://127.0.0.1:{server.port}/ws")
        assert client.stdout is not None
        assert client.stdin is not None
        async with asyncio.timeout(WITHIN):
            kinds = [json.loads(await client.stdout.readline()) for _ in range(5)]
            client.stdin.close()
            assert await client.wait() == 0

    assert [kind.get("data", {}).get("type") for kind in kinds[2:]] == ["pong"] * 3


NONSENSE = [
    ("PORT", "http"),
    ("PORT", "70000"),
    ("MAX_MESSAGE_BYTES", "-1"),
    ("HEARTBEAT_SECONDS", "nan"),
    ("BACKOFF_CAP_MS", "-1"),
    ("STABLE_MS", "1e3"),
    ("CONNECT_TIMEOUT", "0"),
    ("HISTORY", "many"),
    ("ACK_SECONDS", "inf"),
    ("OUTBOX_LIMIT", "0"),
]


def first_with(name: str) -> Chapter:
    """The chapter in which a setting comes up: those that follow read it by the same code."""
    return next(it for it in CHAPTERS if f'"{name}"' in (it.folder / "settings.py").read_text())


@pytest.mark.parametrize(("name", "value"), NONSENSE)
async def test_a_setting_that_makes_no_sense_stops_the_start(name: str, value: str) -> None:
    await does_not_start(first_with(name).folder, name, value)


@pytest.mark.parametrize(
    "chapter",
    [chapter for chapter in SERVERS if "settings.py" not in chapter.carries],
    ids=lambda chapter: chapter.slug,
)
async def test_no_chapter_starts_with_nonsense(chapter: Chapter) -> None:
    name, value = NONSENSE[chapter.number % 3]
    await does_not_start(chapter.folder, name, value)


# Chapter 4: what its checks do not ask, since it is no part of the contract


def test_every_close_code_of_the_course_is_in_the_clients_table() -> None:
    """It says the same as the reference page, and stops at the codes of the contract."""
    folder = load().chapter(4).folder
    table = json.loads((folder / "close-codes.json").read_text(encoding="utf-8"))
    named = partials.close_code_table()

    assert {int(code) for code in table} == set(named)
    for code, entry in table.items():
        assert entry["meaning"] == named[int(code)]["name"]["en"]
        assert entry["zh"] == named[int(code)]["name"]["zh"]
    terminal = {int(code) for code, entry in table.items() if not entry["again"]}
    assert terminal == {1000, 1008, 4400, 4401, 4403, 4409}


def test_both_clients_have_the_same_table_of_states() -> None:
    folder = load().chapter(4).folder
    script = (folder / "reconnecting-socket.js").read_text(encoding="utf-8")
    python = (folder / "reconnecting.py").read_text(encoding="utf-8")

    def table(text: str, opening: str) -> dict[str, dict[str, str]]:
        body = text.partition(opening)[2].partition("\n}")[0]
        rows = re.findall(r'^ +"?(\w+)"?: \{(.*?)\},?$', body, re.MULTILINE)
        return {name: dict(re.findall(r'"?(\w+)"?: "(\w+)"', row)) for name, row in rows}

    theirs, ours = table(script, "STATES = {"), table(python, "STATES = {")
    assert len(ours) == 5
    # A page can be started again by a person; a program that has stopped has ended.
    assert theirs == {**ours, "stopped": {"try": "connecting"}}


@pytest.mark.parametrize("url", ["http://127.0.0.1/ws", "127.0.0.1:8080", "ws://"])
async def test_a_client_that_cannot_connect_anywhere_says_so_in_one_line(url: str) -> None:
    client = await start(load().chapter(4).folder, "client.py", URL=url)

    printed, errors = await all_it_says(client)

    assert client.returncode == 1
    assert printed == ""
    assert errors.count("\n") == 1 and "URL" in errors


async def test_what_cannot_be_sent_any_more_is_told_line_by_line() -> None:
    """Nobody is there, three lines are typed, the input ends: each line is refused."""
    folder = load().chapter(4).folder
    url = f"ws://127.0.0.1:{free_port()}/ws"
    client = await start(folder, "client.py", URL=url, BACKOFF_BASE_MS="600000")
    assert client.stdout is not None
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(WITHIN):
        while not events or events[-1]["event"] != "retry":
            events.append(json.loads(await client.stdout.readline()))
    printed, errors = await all_it_says(client, b"one\ntwo\nthree\n")
    events += [json.loads(line) for line in (printed + errors).splitlines()]

    assert [event["line"] for event in events if event["event"] == "refused"] == [
        "one",
        "two",
        "three",
    ]
    assert events[-1]["event"] == "stopped"
    assert client.returncode == 0


async def test_the_server_cuts_to_order_and_lives() -> None:
    """A reset, a code, and a while of 503; nobody but its own page may ask for it."""
    async with running(load().chapter(4).folder) as server:
        base = f"http://127.0.0.1:{server.port}"

        def post(body: bytes, **headers: str) -> int:
            request = urllib.request.Request(f"{base}/api/cut", body, headers, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=WITHIN) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code

        async with connect(f"ws://127.0.0.1:{server.port}/ws", proxy=None) as client:
            assert await asyncio.to_thread(post, b"{}", Origin="http://evil.example") == 403
            assert await asyncio.to_thread(post, b'{"code": 4403}', Origin=base) == 200
            await client.wait_closed()
            assert client.close_code == 4403
        async with connect(f"ws://127.0.0.1:{server.port}/ws", proxy=None) as client:
            assert await asyncio.to_thread(post, b'{"awaySeconds": 60}') == 200
            await client.wait_closed()
            assert client.close_code == 1006
        with pytest.raises(InvalidStatus, match="503"):
            await connect(f"ws://127.0.0.1:{server.port}/ws", proxy=None)
        assert await asyncio.to_thread(post, b"{}") == 200
        async with connect(f"ws://127.0.0.1:{server.port}/ws", proxy=None):
            pass
        assert server.alive
