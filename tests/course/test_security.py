"""Chapter 8 beyond the wire contract: bounds, settings, its client, the last second of a token."""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from course.manifest import load
from tests.course.starting import WITHIN, does_not_start, start
from tests.course.test_chapters import SECRETS, running
from tests.harness import tokens
from tests.harness.door import User, post
from tests.harness.exchange import Exchange
from tests.harness.peer import Peer

FOLDER = load().chapter(8).folder
ALICE, BOB = User("alice", "wonderland", "admin"), User("bob", "builder", "user")
FLOOD, LARGE = 400, 60_000  # messages and bytes: more than the buffers between hold
SECRET = SECRETS["JWT_SECRET"]


async def log_in(port: int, user: User = BOB) -> str:
    login = {"user": user.name, "password": user.password}
    status, said = await post("127.0.0.1", port, "/api/login", login)
    assert status == 200, said
    return str(said["accessToken"])


async def ticket(port: int, token: str) -> str:
    bearer = {"Authorization": f"Bearer {token}"}
    status, said = await post("127.0.0.1", port, "/api/ticket", headers=bearer)
    assert status == 200, said
    return str(said["ticket"])


async def dial(port: int) -> Peer:
    peer = Peer(Exchange())
    peer.door = None
    await peer.dial("127.0.0.1", port)
    return peer


async def enter(port: int, token: str) -> Peer:
    peer = await dial(port)
    response = await peer.request(f"/ws?ticket={await ticket(port, token)}")
    assert response.status == 101
    await peer.welcome()
    return peer


async def ask(peer: Peer, kind: str, data: object) -> dict[str, Any]:
    await peer.send_json({"type": kind, "data": data, "requestId": "q"})
    while (reply := await peer.json(kind)).get("requestId") != "q":
        pass
    return reply


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_SECRET", "x" * 31),
        ("USERS", "alice"),
        ("USERS", "alice:very-secret-word:"),
        ("USERS", "alice:very-secret-word:admin,"),
        ("USERS", "Alice Smith:very-secret-word:admin"),
        ("AUDIT_LOG", "/nowhere/audit.log"),
        ("TOKEN_SECONDS", "-1"),
        ("MAX_STRIKES", "0"),
        ("MESSAGE_RATE", "fast"),
    ],
)
async def test_a_setting_that_cannot_be_stops_the_start_and_tells_no_secret(
    name: str, value: str
) -> None:
    said = await does_not_start(FOLDER, name, value, **SECRETS)

    assert "very-secret-word" not in said


async def test_a_client_that_reads_nothing_is_cut_off_when_its_token_ends() -> None:
    async with running(
        FOLDER, TOKEN_SECONDS="2", MESSAGE_BURST="100000", HEARTBEAT_SECONDS="20"
    ) as s:
        deaf = await enter(s.port, await log_in(s.port))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                for _ in range(FLOOD):
                    await deaf.send_json({"type": "echo", "data": "x" * LARGE})
        admin = await log_in(s.port, ALICE)
        until = time.monotonic() + WITHIN
        while await connections(s.port, admin):
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
            if tokens.read(admin)["exp"] - time.time() < 0.5:
                admin = await log_in(s.port, ALICE)
        await deaf.close()


async def connections(port: int, token: str) -> int:
    peer = await dial(port)
    bearer = {"Authorization": f"Bearer {token}"}
    response = await peer.request("/api/stats", upgrade=False, headers=bearer)
    await peer.close()
    return int(json.loads(response.body)["connections"])


async def test_what_comes_after_the_end_of_the_token_has_no_effect() -> None:
    """The client does not answer the close frame, and goes on publishing."""
    async with running(FOLDER, TOKEN_SECONDS="1") as server:
        late = await enter(server.port, await log_in(server.port))
        late.answers = False
        await ask(late, "subscribe", {"channel": "room:late"})
        listener_token = tokens.sign(tokens.claims("alice", "admin"), SECRET)
        listener = await enter(server.port, listener_token)
        await ask(listener, "subscribe", {"channel": "room:late"})
        while (frame := await late.next_frame()) is not None and frame.opcode != 8:
            pass

        for number in range(10):
            event = {"channel": "room:late", "event": "too:late", "payload": number}
            await late.send_json({"type": "publish", "data": event})
        reply = await ask(listener, "ping", None)

        assert frame is not None
        assert int.from_bytes(frame.payload[:2]) == 4410
        assert reply["type"] == "pong"
        assert all("too:late" not in event.text for event in listener.exchange.events)
        await late.close()
        await listener.close()


async def test_a_new_role_comes_with_its_rooms() -> None:
    async with running(FOLDER) as server:
        bob = await enter(server.port, await log_in(server.port))
        assert (await ask(bob, "subscribe", {"channel": "role:admin"}))["type"] == "error"

        promoted = tokens.sign(tokens.claims("bob", "admin"), SECRET)
        assert (await ask(bob, "auth:refresh", {"token": promoted}))["type"] == "auth:refreshed"

        event = {"channel": "role:admin", "event": "note:came", "payload": 1}
        assert (await ask(bob, "publish", event))["data"]["receivers"] == 1
        event["channel"] = "role:user"
        assert (await ask(bob, "publish", event))["data"]["code"] == "not_subscribed"
        await bob.close()


async def test_a_hundred_and_first_ticket_makes_the_first_one_void() -> None:
    async with running(FOLDER) as server:
        token = await log_in(server.port)
        first = await ticket(server.port, token)
        for _ in range(100):
            last = await ticket(server.port, token)

        statuses = []
        for one in (first, last):
            peer = await dial(server.port)
            statuses.append((await peer.request(f"/ws?ticket={one}")).status)
            await peer.close()

        assert statuses == [401, 101]


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with running(FOLDER, HANDSHAKE_SECONDS="0.5") as server:
        peer = await dial(server.port)
        headers = {"Content-Type": "application/json", "Content-Length": "100"}
        response = await peer.request(
            "/api/login", method="POST", upgrade=False, headers=headers, body=b'{"user":'
        )
        assert response.status == 408
        await peer.close()

        assert await log_in(server.port)


async def test_a_body_that_is_too_long_is_refused() -> None:
    async with running(FOLDER) as server:
        status, _ = await post("127.0.0.1", server.port, "/api/login", {"user": "x" * 2_000_000})
        assert status == 413

        assert await log_in(server.port)


async def test_a_plain_request_costs_no_ticket() -> None:
    async with running(FOLDER) as server:
        one = await ticket(server.port, await log_in(server.port))
        plain, upgrade = await dial(server.port), await dial(server.port)

        assert (await plain.request(f"/ws?ticket={one}", upgrade=False)).status == 400
        assert (await upgrade.request(f"/ws?ticket={one}")).status == 101
        await plain.close()
        await upgrade.close()


async def test_the_audit_log_is_appended_to_and_made_private(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"event":"from yesterday"}\n')
    log.chmod(0o644)

    async with running(FOLDER, AUDIT_LOG=str(log)) as server:
        bob = await enter(server.port, await log_in(server.port))
        await bob.close()

    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events == ["from yesterday", "connect", "disconnect"]  # the last one is written too
    assert log.stat().st_mode & 0o777 == 0o600


async def test_the_client_renews_its_token_and_stays() -> None:
    async with running(FOLDER, TOKEN_SECONDS="2") as server:
        client = await start(FOLDER, "client.py", URL=f"ws://127.0.0.1:{server.port}/ws")
        assert client.stdin is not None
        assert client.stdout is not None
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(WITHIN):
            while sum(said(event) == "auth:refreshed" for event in found) < 4:
                found.append(json.loads(await client.stdout.readline()))
            client.stdin.close()
            assert await client.wait() == 0

    assert [event["event"] for event in found].count("open") == 1


def said(event: dict[str, Any]) -> str:
    return str((event.get("data") or {}).get("type"))
