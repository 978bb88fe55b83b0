"""The front end in a real Chromium: how many sockets the hook holds; the board as it is used."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self

import pytest
from playwright.async_api import Error, Locator, Page, expect
from websockets.asyncio.client import ClientConnection, connect

from course import front as build
from course import hooks, tools
from course.wire import Wire
from tests.browser.browsing import NARROW, PATIENCE_MS
from tests.browser.chapter_page import Server, running
from tests.browser.conftest import NewPage
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch
from tests.harness.again import ask_again

QUICK_MS = 100  # the ceiling of the hook's first wait
SECONDS = 2.0  # in which nothing more may happen
# Our hook in each scene: connections opened by it, and live in the end.
RIGHT = {
    "drop": (1, 1),
    "four_drops": (4, 1),
    "strict": (1, 1),
    "terminal": (1, 0),
    "unmount": (0, 0),
    "silence": (1, 1),
    "burst": (1, 1),
}


@dataclass
class Front:
    """Vite, chapter 14's server that it passes requests on to, and the wire between the two."""

    address: str
    server: Server
    wire: Wire


@pytest.fixture(scope="module")
async def front() -> AsyncIterator[Front]:
    port = tools.free_port()
    # Nothing moves but what the tests move.
    settings = {"BUSINESS_SECONDS": "0", "LOGIN_ATTEMPTS": "1000", "AUDIT_LOG": os.devnull}
    origins = f"http://127.0.0.1:{port}"
    async with (
        running(14, ALLOWED_ORIGINS=origins, **settings) as server,
        Wire("127.0.0.1", server.port) as wire,
        hooks.vite(wire.http(""), port) as address,
    ):
        yield Front(address, server, wire)


@pytest.mark.parametrize("scene", hooks.SCENES)
async def test_the_hook_holds_one_connection_whatever_happens(
    scene: str, new_page: NewPage, front: Front
) -> None:
    # A silent link is given up after 2.5 s; what comes next is waited for, not timed.
    seconds = 15.0 if scene in ("silence", "burst") else SECONDS
    page = await new_page()

    count = await hooks.play(scene, "ours", page, front.address, seconds, QUICK_MS)

    assert (count.opened, count.live) == RIGHT[scene]
    assert count.most == 1
    assert count.shown == {"terminal": "stopped", "unmount": ""}.get(scene, "connected")
    assert count.seen == (hooks.BURST if scene == "burst" else 0)


async def log_in(page: Page, address: str, user: str, password: str, lang: str = "en") -> None:
    await page.goto(f"{address}?lang={lang}")
    await page.locator("input[name=user]").fill(user)
    await page.locator("input[name=password]").fill(password)
    await page.keyboard.press("Enter")


def badge(page: Page, name: str = "Connection") -> Locator:
    return page.get_by_role("status", name=name)


async def until_connected(front: Front, **wanted: int) -> None:
    """Wait until the server has so many connections of each kind, no more and no fewer."""

    async def connected() -> dict[str, int]:
        said = (await fetch(f"{front.server.page}metrics", None, "")).decode()
        found = re.findall(r'^ws_connections\{dialect="(\w+)"\} (\d+)$', said, re.MULTILINE)
        return {kind: int(number) for kind, number in found}

    assert await ask_again(connected, lambda said: said == wanted, PATIENCE_MS / 1000) == wanted


async def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until it has the focus."""
    for _ in range(60):
        if await target.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to {target}")


async def test_what_one_does_the_other_sees_and_roles_differ(
    new_page: NewPage, front: Front, watch: Watch
) -> None:
    """Alice has a keyboard alone and a WebSocket; bob a telephone, Chinese, and Socket.IO."""
    alice, bob = await new_page(), await new_page(viewport=NARROW, dark=True)
    await alice.goto(front.address)
    await expect(alice.get_by_role("heading", name="The board")).to_be_visible()
    assert not [it for it in watch.addresses if "/ws" in it], "a socket before the login"

    await log_in(alice, front.address, "alice", "wonderland")
    await expect(badge(alice)).to_have_text(re.compile("live"))
    await log_in(bob, front.address, "bob", "builder", "zh")
    await expect(badge(bob, "连接")).to_have_text(re.compile("实时"))
    await bob.get_by_role("radio", name="Socket.IO").check()
    await until_connected(front, native=1, socketio=1)
    await expect(badge(bob, "连接")).to_have_text(re.compile("实时"))
    await expect(bob.locator("[data-key]").first).to_be_visible()
    socket_io = f"{front.address}socket.io/".replace("http", "ws")
    assert [it for it in watch.addresses if it.startswith(socket_io)], "not by way of Vite"
    await until_connected(front, native=1, socketio=1)

    # A name is text, whatever it looks like.
    await tab_to(alice, alice.get_by_role("button", name="New order"))
    await alice.keyboard.press("Enter")
    await expect(alice.get_by_label("Customer")).to_be_focused()
    await alice.keyboard.type("<b>Ann</b>")
    await tab_to(alice, alice.get_by_role("button", name="One more: ramen"))
    await alice.keyboard.press("Space")
    await alice.keyboard.press("Space")
    await tab_to(alice, alice.get_by_role("button", name="Place the order"))
    await alice.keyboard.press("Enter")
    await expect(alice.get_by_role("button", name="New order")).to_be_focused()
    await expect(bob.locator(".card", has_text="<b>Ann</b>")).to_contain_text("2 × 拉面")
    await expect(bob).to_have_title("(7) 看板 · 逐帧")

    # Where the card goes, the focus goes: moved by her, and by him.
    await tab_to(alice, alice.get_by_role("button", name="Start: <b>Ann</b>"))
    await alice.keyboard.press("Enter")
    await expect(alice.get_by_role("button", name="Mark ready: <b>Ann</b>")).to_be_focused()
    await bob.get_by_role("radio", name=re.compile("制作中")).check()
    await bob.get_by_role("button", name="做好了：<b>Ann</b>").click()
    await expect(alice.get_by_role("button", name="Serve: <b>Ann</b>")).to_be_focused()

    # Only an admin may cancel.
    await expect(bob.get_by_role("button", name=re.compile("取消"))).to_have_count(0)
    await bob.get_by_role("radio", name=re.compile("待上菜")).check()
    await expect(bob.get_by_role("button", name="上菜：<b>Ann</b>")).to_be_visible()
    await tab_to(alice, alice.get_by_role("button", name="Cancel: <b>Ann</b>"))
    await alice.keyboard.press("Enter")
    await expect(bob.get_by_role("button", name="上菜：<b>Ann</b>")).to_have_count(0)
    await expect(alice.locator(".over", has_text="<b>Ann</b> cancelled")).to_be_visible()

    # What the pictures show is said in words; nothing is faint or too wide.
    await expect(alice.get_by_role("img", name=re.compile("Connections, the last"))).to_be_visible()
    for page in (alice, bob):
        await page.get_by_text(re.compile("What passes|线上消息")).click()
        assert await overflow(page) == ""
        assert await faint(page) == []
    await bob.get_by_role("radio", name="WebSocket").check()
    await until_connected(front, native=2, socketio=0)


async def test_a_wire_that_is_cut_loses_nothing(
    new_page: NewPage, front: Front, watch: Watch
) -> None:
    watch.expect(r"status of 50\d|WebSocket connection to")  # of Vite, which reaches nobody
    page = await new_page(viewport=NARROW)
    await log_in(page, front.address, "bob", "builder")
    await expect(badge(page)).to_have_text(re.compile("live"))
    cards = page.locator("[data-column=new] [data-key]")
    mine, others = (
        await cards.nth(0).get_attribute("data-key"),
        await cards.nth(1).get_attribute("data-key"),
    )
    assert mine and others

    front.wire.refuse()
    front.wire.cut()
    await expect(badge(page)).to_have_text(re.compile("waiting|connecting"))
    await expect(page.get_by_text("No connection since")).to_be_visible()
    for number in range(2):
        await cards.nth(number).get_by_role("button").click()
    await expect(page.get_by_text("2 to be sent")).to_be_visible()
    assert await overflow(page) == ""
    assert await faint(page) == []
    async with Person.at(front.server, "alice", "wonderland") as alice:  # by another way
        await alice.ask("order:cancel", id=others)
        for _ in range(3):
            await alice.ask("order:create", customer="Late", items=["tea"], total=350)
        front.wire.heal()
        with contextlib.suppress(Error):  # it may be back by itself
            await page.get_by_role("button", name="Retry now").click(timeout=1_000)

        await expect(badge(page)).to_have_text(re.compile("live"), timeout=30_000)
        await expect(cards.filter(has_text="Late")).to_have_count(3)
        await expect(page.get_by_text("to be sent")).to_have_count(0)
        await expect(page.get_by_role("alert")).to_contain_text("the board has changed meanwhile")
        await page.get_by_role("button", name="Understood").click()
        await expect(page.get_by_role("alert")).to_have_text("")
        state = await alice.state("board:orders")
    assert state[mine]["status"] == "preparing"  # once: twice would be "ready"
    for step, column in {"new": "new", "preparing": "preparing", "ready": "ready"}.items():
        found = page.locator(f"[data-column={column}] [data-key]")
        keys = await found.evaluate_all("cards => cards.map((card) => card.dataset.key)")
        assert set(keys) == {key for key, order in state.items() if order["status"] == step}


async def test_the_built_board_is_served_by_the_chapter_and_a_logout_elsewhere_ends_it(
    new_page: NewPage,
) -> None:
    """No Vite: the built pages, of the server that they talk to, at whatever port that is."""
    settings = {"BUSINESS_SECONDS": "0", "AUDIT_LOG": os.devnull}
    dist = await asyncio.to_thread(build.build)
    async with running(14, STATIC=str(dist), **settings) as server:
        page = await new_page(dark=True)
        await log_in(page, server.page, "alice", "wonderland")
        await expect(badge(page)).to_have_text(re.compile("live"))
        await expect(page.locator("[data-key]").first).to_be_visible()

        async with Person.at(server, "alice", "wonderland") as alice:
            await alice.post("/api/logout")

        await expect(badge(page)).to_have_text(re.compile("ended"))
        await expect(page.get_by_text("4401")).to_be_visible()
        await page.get_by_role("button", name="Log in again").click()
        await expect(page.get_by_role("button", name="Log in")).to_be_visible()


class Person:
    """Somebody at a server without a browser."""

    def __init__(self, server: Server, token: str, connection: ClientConnection) -> None:
        self.server = server
        self.token = token
        self.connection = connection

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, server: Server, user: str, password: str) -> AsyncIterator[Self]:
        said = {"user": user, "password": password}
        token = json.loads(await fetch(f"{server.page}api/login", said, ""))["accessToken"]
        ticket = json.loads(await fetch(f"{server.page}api/ticket", {}, token))["ticket"]
        async with connect(f"{server.websocket}?ticket={ticket}", proxy=None) as connection:
            yield cls(server, token, connection)

    async def ask(self, kind: str, **data: Any) -> None:
        """Ask, and wait until it is done."""
        request_id = secrets.token_hex(8)
        await self.connection.send(
            json.dumps({"type": kind, "requestId": request_id, "data": data})
        )
        async for message in self.connection:
            reply = json.loads(message)
            if reply.get("requestId") == request_id:
                assert reply["type"] != "error", reply
                return

    async def post(self, path: str) -> None:
        await fetch(f"{self.server.page}{path[1:]}", {}, self.token)

    async def state(self, channel: str) -> dict[str, Any]:
        url = f"{self.server.page}api/channels/{channel}/snapshot"
        found: dict[str, Any] = json.loads(await fetch(url, None, self.token))["state"]
        return found


async def fetch(url: str, said: Any, token: str) -> bytes:
    """What is answered; a POST if something is said."""
    body = None if said is None else json.dumps(said).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with await asyncio.to_thread(opener.open, request, timeout=10) as answer:
        return bytes(answer.read())
