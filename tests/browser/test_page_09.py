"""The page of chapter 9: two instances side by side, compared, left, and come back to."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from course.manifest import load
from course.record import both_well, two_free_ports
from tests.browser.chapter_page import ChapterPage, Server
from tests.browser.conftest import NewPage
from tests.browser.watch import Watch
from tests.harness.subject import Process

BACK_MS = 15_000  # until an instance has found its way back to the bus, on a busy machine


@pytest.fixture(scope="module")
async def together() -> AsyncIterator[Server]:
    """`make chapter-9`: Valkey and both instances."""
    chapter = load().chapter(9)
    port = str(two_free_ports())
    settings = {"PORT": port, "REDIS_URL": "", "ALLOWED_ORIGINS": "", "BUS_TIMEOUT": "2"}
    command = [sys.executable, "together.py"]
    async with Process(command, str(chapter.folder), settings).up() as process:
        await process.says("listening on")  # B as well
        await asyncio.to_thread(both_well, int(port))
        yield Server(9, process)


@pytest.fixture
async def page(together: Server, new_page: NewPage) -> ChapterPage:
    """The page of instance A, connected to both, and in a channel at both."""
    opened = await new_page()
    await opened.goto(f"{together.page}?lang=en")
    page = ChapterPage(opened)
    await expect(page.button("→ Publish at ②")).to_be_enabled(timeout=BACK_MS)
    await page.press("→ Join")
    await page.logged("② text", "subscribed", kind="in")
    return page


def valkey(server: Server) -> int:
    """Its process, as the runner says."""
    said = "\n".join(server.process.output)
    found = re.search(r"is process (\d+)", said)
    assert found, said
    return int(found[1])


async def heard(page: ChapterPage, text: str) -> None:
    await expect(page.page.locator("#order-title")).to_have_text(text, timeout=BACK_MS)


async def last(page: ChapterPage, *cells: str) -> None:
    for number, text in enumerate(cells):
        await expect(page.page.locator("#order tr").last.locator("td").nth(number)).to_have_text(
            re.compile(text)
        )


async def test_both_instances_are_shown_and_tell_the_same_in_one_order(page: ChapterPage) -> None:
    rows = page.page.locator("#instances tr")
    await expect(rows).to_have_count(2)
    for number in (0, 1):
        await expect(rows.nth(number)).to_have_text(re.compile("●.*streams · well"))

    await page.press("→ 5 at each, at once")

    await heard(page, "① and ② · 10 heard · one order")
    await last(page, r"10 · |\d+ · ", "① ✓", "② ✓")


async def test_who_comes_back_to_the_other_instance_has_missed_nothing(page: ChapterPage) -> None:
    await page.press("→ Publish at ②")
    await heard(page, "① and ② · 1 heard · one order")

    await page.press("→ Miss 5 at ②, come back")

    reply = await page.logged("② text", '"recovered":true', kind="in")
    assert "missed 1" in reply.content
    await heard(page, "① and ② · 6 heard · one order")
    await last(page, "missed 5", "① ✓", "② ✓")


async def test_the_same_request_at_the_other_instance_has_no_second_effect(
    page: ChapterPage,
) -> None:
    await page.press("→ Publish")
    await heard(page, "① and ② · 1 heard · one order")

    await page.press("→ Same request again, at ②")

    await page.logged("② text", "published", kind="in")
    await heard(page, "① and ② · 1 heard · one order")
    await last(page, "Hello", "① ✓", "② ✓")


async def test_a_paused_valkey_is_said_and_asked_again_it_takes_effect_once(
    page: ChapterPage, together: Server, watch: Watch
) -> None:
    watch.expect("503")
    process = valkey(together)
    os.kill(process, signal.SIGSTOP)
    try:
        await page.press("→ Publish")
        await page.logged("text", "bus_unavailable", kind="in")
        ill = page.page.locator("#instances tr").first
        await expect(ill).to_have_text(re.compile("no answer within 2 s"), timeout=BACK_MS)
    finally:
        os.kill(process, signal.SIGCONT)
    for number in (0, 1):
        row = page.page.locator("#instances tr").nth(number)
        await expect(row).to_have_text(re.compile("streams · well"), timeout=BACK_MS)

    await page.press("→ Same request again, at ②")

    await page.logged("② text", "published", kind="in")
    await heard(page, "① and ② · 1 heard · one order")
    await last(page, "Hello", "① ✓", "② ✓")
