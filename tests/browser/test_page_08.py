"""The page of chapter 8: log in, be let in by a ticket, try to break in, be shown the door."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.browsing import NARROW, WIDE
from tests.browser.chapter_page import TOKEN, ChapterPage, Line, Server, running
from tests.browser.conftest import NewPage
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch

UNAUTHORIZED = r"status of 401"
REFUSED = r"WebSocket connection to .* failed"
MARKUP = "<img id=evil src=x onerror='window.evil=1'>"


@pytest.fixture(scope="module")
async def chapter_8() -> AsyncIterator[Server]:
    """One server for the tests that ask for no limit of their own: so many logins are no attack."""
    roomy = {"LOGIN_ATTEMPTS": "1000", "MAX_CONNECTIONS_PER_USER": "1000"}
    async with running(8, **roomy, MAX_CONNECTIONS_PER_IP="1000") as server:
        yield server


async def opened(
    new_page: NewPage, server: Server, language: str = "en", **how: Any
) -> ChapterPage:
    page = await new_page(**how)
    await page.goto(f"{server.page}?lang={language}")
    return ChapterPage(page)


async def log_in(page: ChapterPage, user: str = "alice", password: str = "wonderland") -> None:
    await page.page.get_by_label("User").fill(user)
    await page.page.get_by_label("Password").fill(password)
    await page.press("⇄ Log in")


async def inside(new_page: NewPage, server: Server, user: str, password: str) -> ChapterPage:
    """A page whose user has logged in and is connected."""
    page = await opened(new_page, server)
    await log_in(page, user, password)
    await page.logged("text", "welcome", kind="in")
    return page


async def attack(page: ChapterPage, name: str) -> None:
    await page.page.get_by_label("Attacks, all of which should fail").select_option(label=name)
    await page.press("→ Try")


async def reply(page: ChapterPage, request_id: str) -> dict[str, Any]:
    line = await page.logged("text", f'"requestId":"{request_id}"', kind="in")
    return dict(json.loads(line.content))


def said(lines: list[Line], what: str) -> list[str]:
    return [line.content for line in lines if line.what == what]


async def test_nobody_connects_before_the_login(new_page: NewPage, chapter_8: Server) -> None:
    page = await opened(new_page, chapter_8)

    await expect(page.page.locator("#word")).to_have_text("closed")
    await expect(page.button("Connect")).to_be_disabled()
    await expect(page.page.locator("#who")).to_have_text("not logged in")
    assert await page.lines() == []


async def test_a_login_leads_to_a_ticket_and_a_ticket_to_a_connection(
    new_page: NewPage, chapter_8: Server
) -> None:
    page = await inside(new_page, chapter_8, "alice", "wonderland")

    await expect(page.page.locator("#word")).to_have_text("open")
    await expect(page.page.locator("#who")).to_have_text("alice · admin")
    await expect(page.page.locator("#life")).to_have_text(
        re.compile("the token ends in .* of 300 s")
    )
    lines = await page.lines()
    assert [line.what for line in lines[:4]] == ["POST", "POST", "connect", "open"]
    assert "/api/login · 200 OK · a token for 300 s" in lines[0].content
    assert "/api/ticket · 200 OK · a ticket for 30 s" in lines[1].content
    assert lines[2].content.endswith("/ws?ticket=…")  # what is logged is kept


async def test_a_wrong_password_says_so_and_opens_nothing(
    new_page: NewPage, chapter_8: Server, watch: Watch
) -> None:
    watch.expect(UNAUTHORIZED)
    page = await opened(new_page, chapter_8)

    await log_in(page, "alice", "guess")

    line = await page.logged("POST", "/api/login", kind="problem")
    assert "401" in line.content
    assert "wrong name or password" in line.content
    await expect(page.button("Connect")).to_be_disabled()


@pytest.mark.parametrize("name", ["a forged token: alg none", "a changed token: make me an admin"])
async def test_a_made_up_token_gets_no_ticket(
    name: str, new_page: NewPage, chapter_8: Server, watch: Watch
) -> None:
    watch.expect(UNAUTHORIZED)
    page = await inside(new_page, chapter_8, "bob", "builder")

    await attack(page, name)

    line = await page.logged("POST", "the token is not valid", kind="problem")
    assert "401" in line.content


async def test_a_ticket_opens_once(new_page: NewPage, chapter_8: Server, watch: Watch) -> None:
    watch.expect(REFUSED)
    page = await inside(new_page, chapter_8, "bob", "builder")

    await attack(page, "one ticket, twice")

    await page.logged("knock", "refused")
    assert said(await page.lines(), "knock") == ["opened", "refused (the page sees only 1006)"]


async def test_a_token_is_no_ticket(new_page: NewPage, chapter_8: Server, watch: Watch) -> None:
    watch.expect(REFUSED)
    page = await inside(new_page, chapter_8, "bob", "builder")

    await attack(page, "the token in place of a ticket")

    await page.logged("knock", "refused")


async def test_rooms_and_events_are_for_roles(new_page: NewPage, chapter_8: Server) -> None:
    bob = await inside(new_page, chapter_8, "bob", "builder")
    alice = await inside(new_page, chapter_8, "alice", "wonderland")

    for page, expected in ((bob, "error"), (alice, "subscribed")):
        await attack(page, "subscribe to role:admin")
        assert (await reply(page, "subscribe-1"))["type"] == expected
    for page, expected in ((bob, "error"), (alice, "published")):
        await attack(page, "publish an admin: event")
        assert (await reply(page, "publish-3"))["type"] == expected
    await bob.logged("text", '"type":"admin:notice"', kind="in")  # alice's
    await attack(bob, "subscribe to somebody's user: channel")
    assert (await reply(bob, "subscribe-4"))["data"]["code"] == "forbidden"


async def test_a_flood_is_refused_and_then_ended(new_page: NewPage) -> None:
    async with running(8) as server:
        page = await inside(new_page, server, "bob", "builder")

        await attack(page, "three hundred messages at once")

        await page.logged("text", "rate_limited", kind="in")
        line = await page.logged("close")
        assert line.content.startswith("4429 too fast")


async def test_a_refresh_reaches_the_open_connection(new_page: NewPage, chapter_8: Server) -> None:
    page = await inside(new_page, chapter_8, "bob", "builder")

    await page.press("⇄ Refresh")

    await page.logged("POST", "/api/refresh · 200 OK")
    assert (await reply(page, "renewal"))["type"] == "auth:refreshed"
    assert [line for line in await page.lines() if TOKEN in line.content] == []


async def test_a_connection_ends_with_its_token_unless_it_is_refreshed(new_page: NewPage) -> None:
    async with running(8, TOKEN_SECONDS="3") as server:
        careless = await inside(new_page, server, "bob", "builder")
        await careless.page.get_by_label("refresh by itself at half-time").uncheck()
        careful = await inside(new_page, server, "alice", "wonderland")

        line = await careless.logged("close")
        await careful.logged("text", "auth:refreshed", kind="in", number=2)

        assert line.content.startswith("4410 token expired")
        await expect(careful.page.locator("#word")).to_have_text("open")
        await expect(careless.page.locator("#life")).to_have_text(
            "the token has ended: log in again"
        )


async def test_a_logout_ends_all_tabs_of_the_user(new_page: NewPage) -> None:
    async with running(8) as server:
        first = await inside(new_page, server, "bob", "builder")
        second = await inside(new_page, server, "bob", "builder")
        other = await inside(new_page, server, "alice", "wonderland")

        await first.press("⇄ Log out")

        for page in (first, second):
            assert (await page.logged("close")).content.startswith("4401 logged out")
        await expect(first.page.locator("#who")).to_have_text("not logged in")
        await other.press("→ Ping")
        await other.logged("text", "pong", kind="in")


async def test_the_audit_log_is_for_admins_and_shows_what_was_tried(
    new_page: NewPage, watch: Watch
) -> None:
    watch.expect(r"status of 40[13]")
    async with running(8) as server:
        bob = await inside(new_page, server, "bob", "builder")
        await attack(bob, "a forged token: alg none")
        await bob.logged("POST", "the token is not valid")
        await bob.press("⇄ GET /api/audit")
        await bob.logged("GET", "403", kind="problem")
        alice = await inside(new_page, server, "alice", "wonderland")

        await alice.press("⇄ GET /api/audit")

        await alice.logged("GET", "/api/audit · 200 OK")
        table = alice.page.locator("#audit")
        for event in ("connect", "auth_failed", "denied"):
            await expect(table.get_by_text(event, exact=True).first).to_be_visible()


async def test_guessing_is_stopped(new_page: NewPage, watch: Watch) -> None:
    watch.expect(r"status of 4(01|29)")
    async with running(8, LOGIN_ATTEMPTS="4") as server:
        page = await inside(new_page, server, "bob", "builder")

        await attack(page, "guess passwords")

        await page.logged("POST", "429", number=8)
        answers = [line.content for line in await page.lines() if "/api/login" in line.content]
        assert sum("401" in answer for answer in answers) == 3
        assert sum("429" in answer for answer in answers) == 9


async def test_what_others_say_is_text(new_page: NewPage, chapter_8: Server) -> None:
    page = await inside(new_page, chapter_8, "alice", "wonderland")
    await page.press("→ Join")
    await page.field("Payload: JSON or text").fill(MARKUP)

    await page.press("→ Publish")

    await page.logged("text", "chat:said", kind="in")
    assert await page.page.locator("#evil").count() == 0


async def test_the_words_are_chinese_where_that_is_asked(
    new_page: NewPage, chapter_8: Server
) -> None:
    page = await opened(new_page, chapter_8, "zh")

    await page.press("⇄ 登录")

    await expect(page.page.locator("#word")).to_have_text("已打开")
    await expect(page.page.locator("h1")).to_have_text("安全")
    buttons = await page.page.locator("button, label, h2, option").all_text_contents()
    latin = {text.strip() for text in buttons if not re.search("[\u4e00-\u9fff]", text)}
    assert latin <= {"→ Ping", "⇄ GET /api/audit"}


@pytest.mark.parametrize(
    ("language", "size", "dark"),
    [("en", WIDE, False), ("en", NARROW, True), ("zh", NARROW, False)],
    ids=["en-wide-light", "en-narrow-dark", "zh-narrow-light"],
)
async def test_it_can_be_read(
    language: str, size: Any, dark: bool, new_page: NewPage, chapter_8: Server
) -> None:
    page = await opened(new_page, chapter_8, language, viewport=size, dark=dark)
    await page.page.locator("#login").click()
    await page.logged("open")
    await page.page.locator("#read-audit").click()
    await expect(page.page.locator("#audit tr").first).to_be_visible()

    await no_problem(page.page)


async def no_problem(page: Page) -> None:
    assert await overflow(page) == ""
    assert await faint(page) == []
