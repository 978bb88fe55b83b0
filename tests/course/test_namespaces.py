"""Chapter 11 beside its server: what it took from chapter 8, its client, the outside emitter."""

import asyncio
import json
import os
import re
import sys
import urllib.request
from typing import Any

import pytest
import socketio  # it ships no types

from course.manifest import load
from course.record import two_free_ports
from course.tools import local_secrets
from tests.course.starting import start
from tests.course.test_chapters import running
from tests.harness.subject import Process

FOLDER = load().chapter(11).folder
WITHIN = 20.0  # seconds for a program to do its part on a busy machine


def post(base: str, path: str, said: object, token: str = "") -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(base + path, json.dumps(said).encode(), headers)
    with urllib.request.urlopen(request, timeout=WITHIN) as answer:
        return dict(json.load(answer))


def log_in(base: str, login: str) -> str:
    name, password = login.split(":")
    return str(post(base, "/api/login", {"user": name, "password": password})["accessToken"])


async def accepting(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


@pytest.mark.parametrize("name", ["audit.py", "limits.py", "tokens.py", "users.py"])
def test_what_chapter_8_taught_is_taken_as_it_is(name: str) -> None:
    assert (FOLDER / name).read_bytes() == (load().chapter(8).folder / name).read_bytes()


async def test_another_process_emits_to_both_instances() -> None:
    """And each client of the rooms gets one copy, whatever instance it is at."""
    port = two_free_ports()
    settings = {"PORT": str(port), "REDIS_URL": "", **local_secrets(["JWT_SECRET"], {})}
    process = Process([sys.executable, "together.py"], str(FOLDER), settings)
    await process.start()
    clients: list[Any] = []
    heard: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
    try:
        await process.ready()
        async with asyncio.timeout(WITHIN):
            for number, login in ((port, "bob:builder"), (port + 1, "bob:builder")):
                await accepting(number)
                base = f"http://127.0.0.1:{number}"
                client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
                client.on("*", lambda event, data, at=number: heard.put_nowait((at, event)))
                auth = {"token": await asyncio.to_thread(log_in, base, login)}
                await client.connect(base, auth=auth, transports=["websocket"])
                clients.append(client)
        found = re.search(r"(redis://\S+) is process", "\n".join(process.output))
        assert found, process.output
        emitter = await asyncio.create_subprocess_exec(
            *(sys.executable, "emit.py", "role:user", "user:bob"),
            cwd=FOLDER,
            env={**os.environ, "REDIS_URL": found[1]},
        )

        assert await asyncio.wait_for(emitter.wait(), WITHIN) == 0
        async with asyncio.timeout(WITHIN):
            got = [await heard.get() for _ in clients]
        for client in clients:  # an ack of each: what was emitted before it has come
            await client.call("app:ping", timeout=5)

        assert sorted(got) == [(port, "order:update"), (port + 1, "order:update")]
        assert heard.empty()
    finally:
        for client in clients:
            await client.shutdown()
        await process.stop()


async def test_the_client_comes_back_with_a_new_token_and_catches_up_until_it_is_logged_out() -> (
    None
):
    async with running(FOLDER, TOKEN_SECONDS="2", AUDIT_LOG=os.devnull) as server:
        base = f"http://127.0.0.1:{server.port}"
        client = await start(FOLDER, "client.py", URL=base, LOGIN="bob:builder")
        assert client.stdin and client.stdout
        events: list[Any] = []

        async def until(*kinds: str) -> dict[str, Any]:
            assert client.stdout
            while True:
                events.append(json.loads(await client.stdout.readline()))
                if events[-1]["event"] in kinds:
                    return dict(events[-1])

        def publish(payload: int) -> None:
            said = {"channel": "room:a", "event": "check:said", "payload": payload}
            post(base, "/api/publish", said, log_in(base, "alice:wonderland"))

        async with asyncio.timeout(WITHIN):
            await until("open")
            client.stdin.write(b'["subscribe",{"channel":"room:a","since":null}]\n')
            await until("message")
            await until("close")  # its token is over
            for payload in (1, 2):
                await asyncio.to_thread(publish, payload)
            await until("open")
            shown = [(await until("message"))["data"][1]["data"] for _ in range(2)]
            token = await asyncio.to_thread(log_in, base, "bob:builder")
            await asyncio.to_thread(post, base, "/api/logout", {}, token)
            stopped = await until("stopped")
            assert await client.wait() == 1

    assert shown == [1, 2]
    assert stopped["why"] == "server disconnect"
