"""The chapters' programs beside their servers: clients, the handshake by hand, transcripts."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from course import record
from course.manifest import Chapter, load
from course.tools import free_port
from course.wire import Wire
from tests.harness.subject import Process

CHAPTERS = load().chapters
WITHIN = 20.0  # seconds for a program to do its part on a busy machine


@asynccontextmanager
async def running(folder: Path, **settings: str) -> AsyncIterator[Process]:
    """A chapter's server, ready, on a port of its own."""
    environment = {"PORT": str(free_port()), "HEARTBEAT_SECONDS": "1", **settings}
    process = Process([sys.executable, "server.py"], str(folder), environment)
    await process.start()
    try:
        await process.ready()
        yield process
    finally:
        await process.stop()


async def start(folder: Path, name: str, url: str, **settings: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", name),
        cwd=folder,
        env={**os.environ, "URL": url, **settings},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_the_transcript_is_what_running_prints(chapter: Chapter) -> None:
    recorded = (chapter.folder / "transcript.txt").read_text(encoding="utf-8")

    assert record.transcript(chapter) == recorded


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
async def test_a_chapter_runs_from_a_copy_elsewhere(chapter: Chapter, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(chapter.folder, copy, ignore=shutil.ignore_patterns("__pycache__"))

    async with running(copy) as server:
        client = await start(copy, "client.py", f"ws://127.0.0.1:{server.port}/ws")
        output, _ = await asyncio.wait_for(client.communicate(b'{"type":"ping"}\n'), WITHIN)

    assert (b"welcome" if chapter.dialect == "native" else b'"open"') in output
    assert client.returncode == 0, output


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
@pytest.mark.parametrize("name", ["client.py", "handshake.py", "silent.py", "raw.py"])
async def test_a_client_of_nobody_says_so_in_one_line(chapter: Chapter, name: str) -> None:
    if not (chapter.folder / name).exists():
        assert name != "client.py"
        return
    client = await start(chapter.folder, name, f"ws://127.0.0.1:{free_port()}/ws")

    output, _ = await asyncio.wait_for(client.communicate(), WITHIN)

    assert client.returncode == 1
    assert b"cannot" in output
    assert output.count(b"\n") == 1


async def test_the_heartbeat_client_finds_a_dead_line_and_leaves_it() -> None:
    """Behind a wire that swallows everything, 2.5 heartbeats decide."""
    folder = load().chapter(3).folder
    async with running(folder) as server, Wire("127.0.0.1", server.port) as wire:
        client = await start(folder, "client.py", wire.url("/ws"))
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
        client = await start(folder, "client.py", f"ws://127.0.0.1:{server.port}/ws")
        assert client.stdout is not None
        assert client.stdin is not None
        async with asyncio.timeout(WITHIN):
            kinds = [json.loads(await client.stdout.readline()) for _ in range(5)]
            client.stdin.close()
            assert await client.wait() == 0

    assert [kind.get("data", {}).get("type") for kind in kinds[2:]] == ["pong"] * 3


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("MAX_MESSAGE_BYTES", "-1"),
        ("HEARTBEAT_SECONDS", "nan"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_the_start(
    chapter: Chapter, name: str, value: str
) -> None:
    if name == "HEARTBEAT_SECONDS" and chapter.number < 3:
        return
    done = subprocess.run(
        [sys.executable, "server.py"],
        cwd=chapter.folder,
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
