"""Chapter 14's own page: one board over both dialects, and what each role may do."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.browser.browsing import NARROW
from tests.browser.chapter_page import Server, running
from tests.browser.conftest import NewPage
from tests.browser.looks import faint, overflow


async def log_in(page: Page, server: Server, language: str, login: str, dialect: str) -> None:
    await page.goto(f"{server.page}?lang={language}")
    name, _, password = login.partition(":")
    await page.locator("#user").fill(name)
    await page.locator("#password").fill(password)
    await page.locator("#dialect").select_option(dialect)
    await page.locator("#login .send").click()
    await expect(page.locator("#state")).to_have_attribute("data-state", "open")
    await expect(page.locator("#orders tr").first).to_be_visible()


async def test_one_board_over_both_dialects(new_page: NewPage) -> None:
    """Alice, native, orders; bob, over Socket.IO, sees it, moves it on, and may not cancel it."""
    async with running(14, BUSINESS_SECONDS="0") as server:
        alice, bob = await new_page(), await new_page(viewport=NARROW)
        await log_in(alice, server, "en", "alice:wonderland", "native")
        await log_in(bob, server, "zh", "bob:builder", "socketio")

        await alice.locator("#new").click()

        there, here = (page.locator("#orders tr", has_text="alice") for page in (alice, bob))
        await expect(here).to_contain_text("new")
        await expect(here.get_by_role("button", name="取消")).to_be_disabled()
        await here.get_by_role("button", name="推进").click()
        await expect(there).to_contain_text("preparing")
        await there.get_by_role("button", name="cancel").click()
        await expect(here).to_contain_text("cancelled")
        await expect(bob.locator("#sample")).to_contain_text("connections2")
        for page in (alice, bob):
            assert await overflow(page) == ""
            assert await faint(page) == []
            await page.goto("about:blank")  # before the server ends, or it tries to come back
