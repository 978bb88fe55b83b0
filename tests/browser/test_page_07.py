"""The page of chapter 7: a burst counted and seldom painted, policies, and a slow reader."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.browser.chapter_page import ChapterPage, Server
from tests.browser.conftest import OpenChapter


async def join(page: ChapterPage, channel: str) -> None:
    await page.field("Channel").fill(channel)
    await page.press("→ Join")
    await page.logged("text", '"subscribed"', kind="in")


async def figure(page: ChapterPage, name: str) -> int:
    """What the page shows of /api/stats."""
    shown = page.page.locator("#figures dt", has_text=name).locator(
        "xpath=following-sibling::dd[1]"
    )
    return int(await shown.inner_text())


async def test_of_a_burst_of_a_thousand_each_is_counted(
    chapter_7: Server, open_chapter: OpenChapter
) -> None:
    """Messages are counted when they come, and painted together now and then."""
    page = await open_chapter(chapter_7)
    await join(page, "room:burst")

    await page.press("→ Burst of 1,000")

    result = page.page.locator("#burst-result")
    await expect(result).to_contain_text("sent 1000 · heard 1000")
    painted = re.search(r"painted (\d+) times", await result.inner_text())
    assert painted is not None
    assert 1 <= int(painted[1]) <= 200
    assert await page.page.locator("#log li").count() <= 500
    assert re.search(r"up to \d+ bytes", await result.inner_text())


async def test_another_tab_hears_all_of_the_burst(
    chapter_7: Server, open_chapter: OpenChapter
) -> None:
    page, other = await open_chapter(chapter_7), await open_chapter(chapter_7)
    for one in (page, other):
        await join(one, "room:both")

    await page.press("→ Burst of 1,000")

    await expect(page.page.locator("#burst-result")).to_contain_text("heard 1000")
    heard = "() => burst.heard.size === 1000"
    await other.page.wait_for_function(heard)


async def test_a_slow_reader_is_given_up_and_told(
    chapter_7: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(chapter_7)
    await page.field("Channel").fill("room:slow")

    await page.press("→ Let one in")

    result = page.page.locator("#slow-result")
    await expect(result).to_contain_text("then close 4008")
    await expect(result).to_have_text(
        re.compile(r"given up after \d+ messages; it read \d+, then close 4008 reading too slowly")
    )
    await page.shows("● open")
    await expect(page.button("→ Let one in")).to_be_enabled()
    await page.press("⇄ GET /api/stats")
    await page.logged("GET", '"slowClosed"')
    assert await figure(page, "slowClosed") >= 1


async def test_only_the_newest_value_comes(chapter_7: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_7)
    await join(page, "room:gold")
    await page.page.get_by_label("For who is busy").select_option("latest")

    for price in ("41", "42", "43"):
        await page.field("Payload: JSON or text").fill(price)
        await page.press("→ Publish")

    event = await page.logged("text", '"data":43', kind="in")
    assert '"type":"chat:said"' in event.content
    await page.press("⇄ GET /api/stats")
    await page.logged("GET", '"coalesced"')


async def test_a_policy_without_its_key_is_an_error(
    chapter_7: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(chapter_7)
    await join(page, "room:key")
    await page.page.get_by_label("For who is busy").select_option("latest")
    await page.field("Key, for latest").fill("")

    await page.press("→ Publish")

    await page.logged("text", "bad_request", kind="in")
    await page.shows("● open")
