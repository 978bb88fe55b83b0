"""The front end in a real Chromium: how many sockets the hook holds; the board as it is used."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Page, expect

from course import hooks, tools
from tests.browser.browsing import NARROW
from tests.browser.chapter_page import running
from tests.browser.conftest import NewPage
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch

pytestmark = pytest.mark.xdist_group("chapter pages")

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
    """Vite, and the server that it passes requests on to."""

    address: str
    settings: dict[str, str]
    running: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start(self) -> None:
        await self.running.enter_async_context(running(8, **self.settings))

    async def outage(self) -> None:
        """The server ends. What is next, `start`, is on the same port and knows its old tokens."""
        await self.running.aclose()


@pytest.fixture(scope="module")
async def front() -> AsyncIterator[Front]:
    port, backend = tools.free_port(), tools.free_port()
    settings = {"PORT": str(backend), "ALLOWED_ORIGINS": f"http://127.0.0.1:{port}"}
    settings |= {"JWT_SECRET": secrets.token_hex(32), "LOGIN_ATTEMPTS": "1000"}
    async with hooks.vite(f"http://127.0.0.1:{backend}", port) as address:
        front = Front(address, settings)
        async with front.running:
            await front.start()
            yield front


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


async def log_in(page: Page, front: Front, user: str, password: str, lang: str = "en") -> None:
    await page.goto(f"{front.address}?lang={lang}")
    await page.locator("input[name=user]").fill(user)
    await page.locator("input[name=password]").fill(password)
    await page.keyboard.press("Enter")


async def test_an_order_is_on_every_board_and_roles_differ(
    new_page: NewPage, front: Front, watch: Watch
) -> None:
    alice, bob = await new_page(), await new_page(viewport=NARROW, dark=True)
    await alice.goto(front.address)
    await expect(alice.get_by_role("heading", name="The board")).to_be_visible()
    assert not [it for it in watch.addresses if "/ws" in it], "a socket before the login"

    await log_in(alice, front, "alice", "wonderland")
    await log_in(bob, front, "bob", "builder", "zh")
    await expect(alice.get_by_role("status")).to_have_text(re.compile("live"))
    await expect(bob.get_by_role("status")).to_have_text(re.compile("实时"))
    await alice.keyboard.press("n")
    await bob.get_by_role("button", name="开始制作").click()
    await alice.get_by_role("button", name="Done").click()
    await expect(bob.get_by_role("button", name="上菜")).to_be_visible()

    await expect(bob.get_by_role("button", name="取消")).to_have_count(0)
    await alice.get_by_label("Notice to everybody").fill("<b>Last orders</b>")
    await alice.keyboard.press("Enter")
    await expect(bob.get_by_text("<b>Last orders</b>")).to_be_visible()
    await alice.get_by_role("button", name="Cancel").click()
    await expect(bob.get_by_role("button", name="上菜")).to_have_count(0)
    assert await overflow(bob) == ""
    assert await faint(alice) == []
    assert await faint(bob) == []


async def test_an_outage_is_shown_and_survived(
    new_page: NewPage, front: Front, watch: Watch
) -> None:
    watch.expect(r"status of 502")  # of Vite, which finds nobody
    page = await new_page()
    await log_in(page, front, "bob", "builder")
    status = page.get_by_role("status")
    await expect(status).to_have_text(re.compile("live"))

    await front.outage()
    await expect(status).to_have_text(re.compile("waiting"))
    await expect(page.get_by_text(re.compile("try [2-9]"))).to_be_visible(timeout=20_000)
    await front.start()

    await expect(status).to_have_text(re.compile("live"), timeout=30_000)
    await page.get_by_role("button", name="Understood").click()  # this server keeps no history
    await page.keyboard.press("n")
    await expect(page.get_by_role("button", name="Start cooking")).to_be_visible()


async def test_a_logout_elsewhere_ends_it_here_for_good(new_page: NewPage, front: Front) -> None:
    page = await new_page()
    await log_in(page, front, "alice", "wonderland")
    status = page.get_by_role("status")
    await expect(status).to_have_text(re.compile("live"))

    await page.evaluate(LOG_OUT_ELSEWHERE)

    await expect(status).to_have_text(re.compile("ended"))
    await page.get_by_role("button", name="Log in again").click()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()


LOG_OUT_ELSEWHERE = """async () => {
  const post = (path, body, token) => fetch(path, { method: "POST", body,
    headers: token ? { Authorization: `Bearer ${token}` } : {} }).then((answer) => answer.json());
  const said = JSON.stringify({ user: "alice", password: "wonderland" });
  const { accessToken } = await post("/api/login", said);
  await post("/api/logout", undefined, accessToken);
}"""
