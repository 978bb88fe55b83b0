"""The page of chapter 11: two namespaces with a door each, what an admin may, and two instances."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import expect

from course.manifest import load
from course.record import both_well, two_free_ports
from course.tools import local_secrets
from tests.browser.browsing import NARROW, WIDE
from tests.browser.chapter_page import TOKEN, ChapterPage, Server
from tests.browser.conftest import NewPage
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch
from tests.harness.subject import Process

BACK_MS = 15_000  # until both instances are up, on a busy machine


@pytest.fixture(scope="module")
async def together() -> AsyncIterator[Server]:
    """`make chapter-11`: Valkey and both instances."""
    chapter = load().chapter(11)
    port = two_free_ports()
    settings = {"PORT": str(port), "REDIS_URL": "", "ALLOWED_ORIGINS": "", "USERS": ""}
    settings |= {"MAX_CONNECTIONS_PER_USER": "50", "LOGIN_ATTEMPTS": "1000"}
    settings |= local_secrets(chapter.secrets, {})
    command = [sys.executable, "together.py"]
    async with Process(command, str(chapter.folder), settings).up() as process:
        await asyncio.to_thread(both_well, port)
        yield Server(11, process)


async def opened(
    new_page: NewPage, server: Server, language: str = "en", **how: Any
) -> ChapterPage:
    page = await new_page(**how)
    await page.goto(f"{server.page}?lang={language}")
    return ChapterPage(page)


async def log_in(page: ChapterPage, login: str, instance: int = 0) -> None:
    """As this user, at this instance (0 is the page's own)."""
    name, password = login.split(":")
    await page.field("User").fill(name)
    await page.page.locator("#password").fill(password)
    await page.page.get_by_label("Instance").select_option(index=instance)
    await page.press("⇄ Log in and connect")
    await page.shows("● connected")


async def namespace(page: ChapterPage, name: str, state: str) -> None:
    row = page.page.locator("#namespaces tr").filter(has=page.page.get_by_text(name, exact=True))
    await expect(row.locator("td").nth(1)).to_have_text(state)


async def test_each_namespace_has_a_door_of_its_own(
    together: Server, new_page: NewPage, watch: Watch
) -> None:
    bob, alice = await opened(new_page, together), await opened(new_page, together)
    await log_in(bob, "bob:builder")
    await namespace(bob, "/admin", "✕ refused")
    assert '"forbidden"' in (await bob.logged("refused", "/admin", kind="problem")).content
    await expect(bob.button("→ Kick")).to_be_disabled()

    await log_in(alice, "alice:wonderland")
    for name in ("/", "/admin", "/monitor"):
        await namespace(alice, name, "● connected")
    await expect(alice.page.locator("#monitor")).to_have_text(re.compile(r"engines \d+"))
    await alice.press("Knock at /admin with a bad token")

    await namespace(alice, "/admin", "✕ refused")
    assert '"unauthorized"' in (await alice.logged("refused", "/admin", kind="problem")).content
    await namespace(alice, "/", "● connected")
    assert [line for line in await alice.lines() if TOKEN in line.content] == []


async def test_an_admin_notifies_asks_and_kicks_at_the_other_instance(
    together: Server, new_page: NewPage, watch: Watch
) -> None:
    bob, alice = await opened(new_page, together), await opened(new_page, together)
    await log_in(bob, "bob:builder", instance=1)
    await log_in(alice, "alice:wonderland")
    await namespace(alice, "/admin", "● connected")

    await alice.press("→ Notify")
    await bob.logged("event", "order:notice", kind="in")
    await alice.press("⇄ Ask, and wait for the ack")
    answer = await alice.logged("POST", '{"answer":"ok"}')
    await alice.press("→ Kick")

    await bob.shows("✕ sent away")
    assert answer.kind == "http"
    notices = [line for line in await bob.lines() if "order:notice" in line.content]
    assert len(notices) == 1  # for three rooms, of which he is in two
    assert "a lesson" in (await bob.logged("event", "session:ended", kind="in")).content
    assert "not come back" in (await bob.logged("close")).content
    await alice.logged("event", '"change":"left"', kind="in")


async def test_after_a_lost_line_what_was_missed_comes_by_itself(
    together: Server, new_page: NewPage, watch: Watch
) -> None:
    bob, alice = await opened(new_page, together), await opened(new_page, together)
    await log_in(bob, "bob:builder", instance=1)
    await log_in(alice, "alice:wonderland")
    for page in (bob, alice):
        await page.page.locator("#channel").fill("room:missed")
        await page.press("→ Join")
        await page.logged("ack", "room:missed", kind="in")
    await bob.page.evaluate("manager.reconnectionDelay(1500); manager.reconnectionDelayMax(3000)")

    await bob.press("Lose the line")
    await bob.logged("retry")
    for _ in range(2):
        await alice.press("→ Publish")
    await alice.logged("ack", "receivers", kind="in", number=2)

    await bob.shows("● connected")
    line = await bob.logged("recovered", "room:missed")
    row = bob.page.locator("#rooms tr").filter(has_text="room:missed")
    await expect(row).to_contain_text("number 2", timeout=BACK_MS)
    assert "missed, caught up" in line.content


async def test_what_is_too_much_or_not_theirs_gets_an_error(
    together: Server, new_page: NewPage, watch: Watch
) -> None:
    page = await opened(new_page, together)
    await log_in(page, "bob:builder")
    for number, code in enumerate(("forbidden", "forbidden", "unauthorized", "unknown_type")):
        await page.page.locator("#bad").select_option(index=number)
        await page.page.locator("#send-bad").click()
        await page.logged("ack", f'"code":"{code}"', kind="in", number=1 + (number == 1))

    await page.press("→ Send 50")

    said = page.page.locator("#burst-said")
    await expect(said).to_have_text(re.compile(r"^\d+ granted, [1-9]\d* rate_limited$"))
    await page.press("⇄ Log out")
    await page.shows("○ logged out")
    await page.logged("close", "io server disconnect")


@pytest.mark.parametrize(
    ("viewport", "language", "dark"),
    [(WIDE, "en", False), (NARROW, "zh", True)],
    ids=["wide-en-light", "narrow-zh-dark"],
)
async def test_the_page_can_be_read(
    together: Server, new_page: NewPage, viewport: Any, language: str, dark: bool
) -> None:
    page = await opened(new_page, together, language, viewport=viewport, dark=dark)
    await page.page.locator("#log-in").click()
    await page.logged("open", "/monitor")
    await page.page.mouse.move(0, 0)  # a button under the pointer has another ground

    assert await overflow(page.page) == ""
    assert await faint(page.page) == []
    title = {"en": "Namespaces and middleware", "zh": "命名空间与中间件"}[language]
    await expect(page.page.get_by_role("heading", level=1)).to_have_text(title)
