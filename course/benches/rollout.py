"""Rollout: chapter 12's rolling restart, and what brings long polling back to its instance.

Two hundred clients come back from a restart of everything: at a random moment of a second, or all
after one second. And eight clients of Socket.IO use a proxy that sends them here or there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp
from websockets.asyncio.client import connect

from course import tools
from course.benches.load import LoadError
from course.labs.stage import PAGE, UPGRADE, nginx, socketio_server
from course.manifest import load

CLIENTS, CHAPTER = 200, 12
BASE = 1.0  # seconds
WAITS: dict[str, Callable[[random.Random], float]] = {
    "none": lambda dice: BASE,
    "full": lambda dice: dice.random() * BASE,
}
SEED = 12
WITHIN = 60.0
POLLERS, USES = 8, 10
# How a proxy chooses between two instances, for clients that poll, and for those that do not.
CHOICES = {
    "turns": ("", "polling"),
    "address": ("ip_hash;", "polling"),
    "cookie": ("sticky cookie instance path=/;", "polling"),
    "websocket": ("", "websocket"),
}


def measure(options: argparse.Namespace, cores: list[int]) -> dict[str, Any]:
    """Both."""
    rolls = {name: asyncio.run(roll(name)) for name in WAITS}
    chosen = {name: asyncio.run(choose(*how)) for name, how in CHOICES.items()}
    for name, found in chosen.items():
        print(f"{name:10} {found['work']} of {POLLERS} work, {found['spread']}")
    return {"clients": CLIENTS, "pollers": POLLERS, "uses": USES, "rolls": rolls, "chosen": chosen}


# The rolling restart


@asynccontextmanager
async def deployment() -> AsyncIterator[tuple[int, asyncio.subprocess.Process, asyncio.Event]]:
    """Chapter 12, listening; its port, its process, and what is set when it has rolled."""
    port = tools.free_port()
    ports = {"HTTP_PORT": str(tools.free_port()), "HTTPS_PORT": str(port)}
    wide = {"LINKS_PER_ADDRESS": "1000", "HANDSHAKE_RATE": "10000", "HANDSHAKE_BURST": "10000"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "deploy.py"),
        cwd=load().chapter(CHAPTER).folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **ports, **wide},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    listening, rolled = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.startswith(b"listening"):
                listening.set()
            if line.startswith(b"rolled"):
                rolled.set()

    reading = asyncio.create_task(read())
    try:
        async with asyncio.timeout(WITHIN):
            await listening.wait()
        yield port, process, rolled
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await reading


async def roll(name: str) -> dict[str, Any]:
    """When each client came back, in seconds since the restart was asked for."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    dice, came, here = random.Random(SEED), list[float](), set[int]()
    refused: Counter[str] = Counter()

    async def client(number: int, port: int) -> None:
        while True:
            try:
                async with connect(
                    f"wss://127.0.0.1:{port}/ws",
                    ssl=tls,
                    proxy=None,
                    compression=None,
                    open_timeout=WITHIN,
                ) as connection:
                    await connection.recv()
                    came.append(time.monotonic())
                    here.add(number)
                    async for _ in connection:
                        pass
            except Exception as error:  # noqa: BLE001 - whatever it was, it is counted and shown
                refused[str(error)] += 1
            here.discard(number)
            await asyncio.sleep(WAITS[name](dice))

    async with deployment() as (port, process, rolled):
        clients = [asyncio.create_task(client(number, port)) for number in range(CLIENTS)]
        try:
            async with asyncio.timeout(WITHIN):
                await all_are(here)
                came.clear()
                began = time.monotonic()
                process.send_signal(signal.SIGUSR1)
                await rolled.wait()
                took = time.monotonic() - began
                await all_are(here)
        except TimeoutError:
            raise LoadError(f"only {len(here)} of {CLIENTS} are there: {refused}") from None
        finally:
            for each in clients:
                each.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
    print(f"{name:10} {len(came)} came back, rolled in {took:.1f} s, refused {dict(refused)}")
    return {
        "took": round(took, 2),
        "refused": sum(refused.values()),
        "came": [round(moment - began, 3) for moment in came],
    }


async def all_are(here: set[int]) -> None:
    while len(here) < CLIENTS:  # noqa: ASYNC110 - counted by others as they go
        await asyncio.sleep(0.05)


# Long polling


async def choose(balance: str, transport: str) -> dict[str, Any]:
    """How many clients can use their session, and where they are."""
    async with AsyncExitStack() as stack:
        instances = [await stack.enter_async_context(socketio_server(PAGE)) for _ in range(2)]
        ports = [port for port, _ in instances]
        mark = f"{UPGRADE}    add_header X-Served-By $upstream_addr always;\n"
        port = await stack.enter_async_context(nginx(*ports, balance=balance, location=mark))
        use = poll if transport == "polling" else talk
        found = [await use(f"http://127.0.0.1:{port}/socket.io/?EIO=4") for _ in range(POLLERS)]
    spread = Counter(name for works, name in found if works)
    return {"work": sum(works for works, _ in found), "spread": sorted(spread.values())}


async def poll(url: str) -> tuple[bool, str]:
    """A client that polls: whether each of its requests was answered, and by whom at first."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address too
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(f"{url}&transport=polling") as answer:
            text, name = await answer.text(), answer.headers["X-Served-By"]
        asked = f"{url}&transport=polling&sid={json.loads(text[1:])['sid']}"
        for number in range(USES):
            packet = "40" if number == 0 else f'42["use",{number}]'
            async with session.post(asked, data=packet) as answer:
                if answer.status != 200:
                    return False, name
    return True, name


async def talk(url: str) -> tuple[bool, str]:
    """A client that has `transports: ["websocket"]`."""
    async with connect(f"ws{url[4:]}&transport=websocket", proxy=None) as connection:
        await connection.recv()
        for number in range(USES):
            await connection.send("40" if number == 0 else f'42["use",{number}]')
        answer = await connection.recv()
        response = connection.response
        name = response.headers["X-Served-By"] if response else ""
    return str(answer).startswith("40"), name
