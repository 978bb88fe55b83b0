"""`make hooks`: what the source's React hook and ours do in a browser, counted.

Both are mounted in the same page, in Chromium, against a server that counts its connections and
plays the scenes: a drop, four drops, StrictMode, a terminal code, an unmount, a silence, a burst.
The counts of a storm differ by a factor of three between runs; that they are not 1 does not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import websockets
from playwright.async_api import Error, Page
from websockets.asyncio.server import Server, ServerConnection

from course import front, tools
from course.browser import chromium
from course.manifest import ROOT

RESULTS = ROOT / "site" / "data" / "hooks.json"
HOOKS = ("source", "ours")
HOST = "127.0.0.1"
PATIENCE = 20.0  # seconds, for what has to happen
SETTLE = 1.0
BURST = 1_000
CALM_MS = 60_000  # a heartbeat that does not beat during a scene
BEAT_MS = 1_000


class Counting:
    """A server that welcomes, answers pings, and counts."""

    def __init__(self) -> None:
        self.live: set[ServerConnection] = set()
        self.opened = self.most = self.pings = 0
        self.mute = False  # answers nothing any more, and stays
        self.refusal: int | None = None  # a code with which everybody is sent away
        self.heartbeat_ms = CALM_MS
        self.server: Server | None = None

    async def __aenter__(self) -> Counting:
        # No pings of the library: a browser answers them, and says nothing of it to the page.
        self.server = await websockets.serve(self.handle, HOST, 0, ping_interval=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.server
        self.drop()
        self.server.close()
        await self.server.wait_closed()

    @property
    def url(self) -> str:
        assert self.server
        return f"ws://{HOST}:{next(iter(self.server.sockets)).getsockname()[1]}/ws"

    async def handle(self, connection: ServerConnection) -> None:
        self.opened += 1
        self.live.add(connection)
        self.most = max(self.most, len(self.live))
        try:
            if self.refusal is not None:
                return await connection.close(self.refusal)
            await connection.send(say("welcome", {"heartbeatMs": self.heartbeat_ms}))
            async for message in connection:
                if json.loads(message).get("type") == "ping":
                    self.pings += 1
                    if not self.mute:
                        await connection.send(say("pong"))
        except websockets.ConnectionClosed:
            pass  # which is what it is for
        finally:
            self.live.discard(connection)

    def drop(self) -> None:
        """Cut every connection: no close frame."""
        for connection in list(self.live):
            connection.transport.abort()

    async def burst(self, count: int) -> None:
        for connection in list(self.live):
            for number in range(count):
                await connection.send(say("burst", number))


def say(kind: str, data: object = None) -> str:
    return json.dumps({"type": kind, "data": data})


@dataclass(frozen=True)
class Count:
    """What one scene came to."""

    opened: int  # connections, after what the scene did
    live: int  # of them, at the end
    most: int  # at one instant
    seconds: float  # that were watched
    seen: int = 0  # messages of a burst
    pings: int = 0  # that nobody answered
    shown: str = ""  # what the page says at the end


@dataclass
class Stage:
    """A page with one hook on it, and the server it talks to."""

    page: Page
    server: Counting
    address: str  # of Vite
    hook: str
    base_ms: int

    async def mount(self, **query: str) -> None:
        asked = {"hook": self.hook, "url": self.server.url, "base": str(self.base_ms), **query}
        await self.page.goto(f"{self.address}measure/?{urlencode(asked)}")

    async def connected(self, opened: int = 1) -> None:
        await until(lambda: self.server.opened >= opened and bool(self.server.live))

    async def count(self, since: int, seconds: float, **more: Any) -> Count:
        server = self.server
        if not self.page.is_closed() and "shown" not in more:
            status = self.page.get_by_role("status")
            more["shown"] = await status.inner_text() if await status.count() else ""
        opened = server.opened - since
        return Count(opened, len(server.live), server.most, seconds, **more)


async def until(is_so: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until `is_so()`: what it looks at changes in several places. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.02)


async def drop(stage: Stage, seconds: float) -> Count:
    """One drop, and a healthy server."""
    return await drops(stage, seconds, 1)


async def four_drops(stage: Stage, seconds: float) -> Count:
    """Four drops, each after as long."""
    return await drops(stage, seconds, 4)


async def drops(stage: Stage, seconds: float, times: int) -> Count:
    await stage.mount()
    await stage.connected()
    await asyncio.sleep(min(SETTLE, seconds))
    before = stage.server.opened
    for _ in range(times):
        opened = stage.server.opened
        stage.server.drop()
        with contextlib.suppress(TimeoutError):  # a storm may have no room for another one
            await stage.connected(opened + 1)
        await asyncio.sleep(seconds / times)
    return await stage.count(before, seconds)


async def strict(stage: Stage, seconds: float) -> Count:
    """StrictMode, and no drop at all."""
    await stage.mount(strict="")
    await stage.connected()
    await asyncio.sleep(seconds)
    return await stage.count(0, seconds)


async def terminal(stage: Stage, seconds: float) -> Count:
    """The server sends everybody away with 4401."""
    stage.server.refusal = 4401
    await stage.mount()
    await until(lambda: stage.server.opened > 0)
    await asyncio.sleep(seconds)
    return await stage.count(0, seconds)


async def unmount(stage: Stage, seconds: float) -> Count:
    """The component is gone."""
    await stage.mount()
    await stage.connected()
    await asyncio.sleep(min(SETTLE, seconds))
    before = stage.server.opened
    await stage.page.evaluate("unmount()")
    await asyncio.sleep(seconds)
    return await stage.count(before, seconds)


async def silence(stage: Stage, seconds: float) -> Count:
    """The link falls silent: nothing is answered, nothing ends. Later connections are healthy."""
    stage.server.heartbeat_ms = BEAT_MS
    await stage.mount(heartbeat=str(BEAT_MS))
    await stage.connected()
    stage.server.mute = True
    asked = stage.server.pings
    with contextlib.suppress(TimeoutError):
        await until(lambda: stage.server.opened > 1, seconds)
    pings = stage.server.pings - asked
    stage.server.mute = False
    await asyncio.sleep(min(SETTLE, seconds))
    return await stage.count(1, seconds, pings=pings)


async def burst(stage: Stage, seconds: float) -> Count:
    """1,000 messages at once."""
    await stage.mount()
    await stage.connected()
    await stage.server.burst(BURST)
    with contextlib.suppress(Error):  # the time is over
        await stage.page.wait_for_function(f"seen() >= {BURST}", timeout=seconds * 1000)
    return await stage.count(0, seconds, seen=await stage.page.evaluate("seen()"))


Scene = Callable[[Stage, float], Awaitable[Count]]
# Each with the seconds that `make hooks` watches it for.
SCENES: dict[str, tuple[Scene, float]] = {
    "drop": (drop, 10.0),
    "four_drops": (four_drops, 20.0),
    "strict": (strict, 8.0),
    "terminal": (terminal, 5.0),
    "unmount": (unmount, 5.0),
    "silence": (silence, 10.0),
    "burst": (burst, 3.0),
}


async def play(
    name: str,
    hook: str,
    page: Page,
    address: str,
    seconds: float | None = None,
    base_ms: int = 1000,
) -> Count:
    """One scene with one hook, on a page and a server of its own."""
    scene, usual = SCENES[name]
    async with Counting() as server:
        try:
            return await scene(Stage(page, server, address, hook, base_ms), seconds or usual)
        finally:
            await page.goto("about:blank")


@contextlib.asynccontextmanager
async def vite(backend: str = "http://127.0.0.1:9", port: int = 0) -> AsyncIterator[str]:
    """Vite's development server, on a free port if none is named; its address."""
    port = port or tools.free_port()
    process = start_vite(port, backend)
    try:
        async with asyncio.timeout(PATIENCE):
            while not await answers(port):
                if process.poll() is not None:
                    raise RuntimeError("Vite did not start: see build/vite.log")
                await asyncio.sleep(0.05)
        yield f"http://{HOST}:{port}/"
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, PATIENCE)


def start_vite(port: int, backend: str) -> subprocess.Popen[bytes]:
    tools.BUILD.mkdir(exist_ok=True)
    with (tools.BUILD / "vite.log").open("w") as log:
        return subprocess.Popen(
            front.vite("--logLevel", "warn"),
            cwd=front.FRONT,
            env=front.environment(str(port), backend) | {"VITE_CACHE": str(tools.BUILD / "vite")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


async def answers(port: int) -> bool:
    """Whether it speaks HTTP. To accept is not enough: Vite tries a port before it serves."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            return await reader.read(5) == b"HTTP/"
        finally:
            writer.close()
    except OSError:
        return False


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("hooks", help="count what two React hooks do", description=__doc__)


def main(options: argparse.Namespace) -> int:
    """Play all scenes with both hooks, and write what they came to."""
    return asyncio.run(measure())


async def measure() -> int:
    counts: dict[str, dict[str, dict[str, Any]]] = {}
    async with vite() as address, chromium() as browser:
        for name, (scene, _) in SCENES.items():
            counts[name] = {}
            for hook in HOOKS:
                page = await browser.new_page()
                count = await play(name, hook, page, address)
                await page.close()
                counts[name][hook] = asdict(count)
                print(f"{(scene.__doc__ or '').strip():<80.80} {hook:<7} {count}", flush=True)
        version = browser.version
    machine = {"system": platform.system(), "cores": os.cpu_count(), "chromium": version}
    when = datetime.now(UTC).date().isoformat()
    result = {"measured": when, "machine": machine, "scenes": counts}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0
