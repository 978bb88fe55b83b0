"""The page of chapter 10: Socket.IO's own client in a browser, and what it does and does not do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.browsing import NARROW, WIDE
from tests.browser.chapter_page import ChapterPage, Server, running
from tests.browser.conftest import NewPage, OpenChapter
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch

BURST = 200


async def upgraded(page: ChapterPage) -> None:
    """Wait for its WebSocket: the browser complains of who leaves in the middle of the upgrade."""
    await transport(page, "websocket")


async def over(page: ChapterPage, transport: str) -> None:
    """Connect anew, over this transport."""
    await upgraded(page)
    await page.press("Disconnect")
    await page.clear()
    await page.page.get_by_label("Transport").select_option(transport)
    await page.press("Connect")
    await page.logged("open")


async def join(page: ChapterPage, channel: str) -> None:
    await page.field("Channel").fill(channel)
    await page.press("→ Join")
    await in_table(page, f"✓ {channel}")


async def publish(page: ChapterPage, payload: str) -> None:
    await page.field("Payload: JSON or text").fill(payload)
    await page.press("→ Publish")


async def in_table(page: ChapterPage, *cells: str) -> None:
    row = page.page.locator("#rooms tr").filter(has=page.page.get_by_text(cells[0], exact=True))
    await expect(row).to_have_count(1)
    for text in cells[1:]:
        await expect(row).to_contain_text(text)


async def heard(page: ChapterPage, what: str, text: str, number: int = 1) -> list[Any]:
    """The event or ack with this text in it: the JSON behind its digits."""
    line = await page.logged(what, text, kind="in", number=number)
    return list(json.loads(line.content.lstrip("0123456789")))


async def transport(page: ChapterPage, name: str) -> None:
    await expect(page.page.locator("#transport")).to_have_text(name)


async def test_it_begins_with_polling_and_upgrades(
    chapter_10: Server, open_chapter: OpenChapter, watch: Watch
) -> None:
    page = await open_chapter(chapter_10)

    await page.shows("● connected")
    await transport(page, "websocket")

    assert "websocket" in (await page.logged("upgrade")).content
    engine = [address for address in watch.addresses if "/socket.io/" in address]
    assert "transport=polling" in engine[0] and "sid=" not in engine[0]
    assert any(address.startswith("ws://") and "sid=" in address for address in engine)


async def test_tabs_on_different_transports_talk(
    chapter_10: Server, open_chapter: OpenChapter
) -> None:
    alice, bob = await open_chapter(chapter_10), await open_chapter(chapter_10)
    await over(alice, "websocket")
    await over(bob, "polling")
    await join(alice, "room:talk")
    await join(bob, "room:talk")

    await publish(alice, "How are you, 鲍勃?")
    event = await heard(bob, "event", "How are you")
    await publish(bob, '{"mood": ["fine", 7]}')
    answer = await heard(alice, "event", "mood")

    assert event[0] == "chat:said"
    assert (event[1]["channel"], event[1]["data"]) == ("room:talk", "How are you, 鲍勃?")
    assert answer[1]["data"] == {"mood": ["fine", 7]}
    ack = await heard(alice, "ack", "receivers")
    assert ack == [{"ok": True, "data": {"channel": "room:talk", "receivers": 2}}]
    await transport(bob, "polling")


@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_two_hundred_events_get_two_hundred_acks(
    chapter_10: Server, open_chapter: OpenChapter, way: str
) -> None:
    page = await open_chapter(chapter_10)
    await over(page, way)

    await page.press("→ Send 200")

    await expect(page.page.locator("#round-trip")).to_contain_text(f"{BURST} acks in")
    await page.shows("● connected")


@pytest.mark.parametrize("again", [False, True])
async def test_after_a_lost_line_the_rooms_are_gone_unless_the_page_asks(
    chapter_10: Server, open_chapter: OpenChapter, again: bool
) -> None:
    page, other = await open_chapter(chapter_10), await open_chapter(chapter_10)
    channel = f"room:lost-{again}".lower()
    await join(page, channel)
    await join(other, channel)
    await page.page.get_by_label("join again afterwards").set_checked(again)
    sid = await page.page.locator("#sid").text_content()
    await upgraded(page)

    await page.press("Lose the line")

    await page.logged("open", number=2)
    assert channel in (await page.logged("rooms")).content
    await page.shows("● connected")
    assert await page.page.locator("#sid").text_content() != sid
    await in_table(other, f"✓ {channel}", f"{1 + again} in it")
    await in_table(page, f"✓ {channel}" if again else channel)


async def test_each_bad_request_gets_an_ack_with_its_error(
    chapter_10: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(chapter_10)
    options = page.page.get_by_label("A bad request gets an ack with an error")
    codes = ("unknown_type", "bad_request", "forbidden", "not_subscribed")
    assert await options.locator("option").count() == len(codes)

    for number, code in enumerate(codes, 1):
        await options.select_option(index=number - 1)
        await page.page.locator("#send-bad").click()
        ack = await heard(page, "ack", '"ok":false', number)
        assert ack[0]["error"]["code"] == code

    await page.shows("● connected")


async def test_a_refused_client_hears_why_and_stays_away(
    chapter_10: Server, open_chapter: OpenChapter, watch: Watch
) -> None:
    watch.bear("closed before the connection is established|400")  # refused while it upgrades
    page = await open_chapter(chapter_10)
    await upgraded(page)

    await page.press("Connect with a bad auth")

    await page.shows("✕ refused")
    problem = await page.logged("error")
    assert "bad_request" in problem.content and "not come back" in problem.content
    await page.press("Connect")
    await page.shows("● connected")


async def test_business_code_publishes_over_http(
    chapter_10: Server, open_chapter: OpenChapter
) -> None:
    alice, outside = await open_chapter(chapter_10), await open_chapter(chapter_10)
    await join(alice, "order:42")

    await outside.field("Channel").fill("order:42")
    await outside.field("Event").fill("order:update")
    await outside.press("⇄ POST /api/publish")

    event = await heard(alice, "event", "order:update")
    assert event[1]["channel"] == "order:42"
    assert (await outside.logged("POST")).content.endswith('202 Accepted · {"receivers": 1}')


async def test_the_page_comes_back_after_a_restart(open_chapter: OpenChapter, watch: Watch) -> None:
    watch.expect("ERR_CONNECTION_REFUSED")
    async with running(10) as server:
        page = await open_chapter(server)
        await transport(page, "websocket")
        await server.process.stop()
        closed = await page.logged("close")
        await page.logged("retry", number=2)
        async with running(10, PORT=str(server.port)):
            await page.logged("open", number=2)
            await page.shows("● connected")

    assert closed.content == "transport close"  # and not `io server disconnect`, which is final


async def test_without_the_client_the_page_says_what_to_install(
    new_page: NewPage, watch: Watch
) -> None:
    watch.expect("404")
    async with running(10, SOCKETIO_CLIENT="/nowhere.js") as server:
        page = ChapterPage(await new_page())
        await page.page.goto(f"{server.page}?lang=en")

        await page.shows("✕ no client")
        assert "make setup" in (await page.logged("missing")).content


@pytest.mark.parametrize(
    ("viewport", "language", "dark"),
    [(WIDE, "en", True), (NARROW, "en", False), (NARROW, "zh", True)],
    ids=["wide-en-dark", "narrow-en-light", "narrow-zh-dark"],
)
async def test_the_page_can_be_read(
    chapter_10: Server, open_chapter: OpenChapter, viewport: Any, language: str, dark: bool
) -> None:
    page = await open_chapter(chapter_10, language, viewport=viewport, dark=dark)
    await page.page.locator("#join").click()
    await page.logged("ack")
    await page.page.mouse.move(0, 0)  # a button under the pointer has another ground

    assert await overflow(page.page) == ""
    assert await faint(page.page) == []
    title = {"en": "The same rooms on Socket.IO", "zh": "同样的房间，换成 Socket.IO"}[language]
    await expect(page.page.get_by_role("heading", level=1)).to_have_text(title)
