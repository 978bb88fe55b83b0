"""The page of chapter 5: tabs that meet in a channel, talk, leave, and are missed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from playwright.async_api import Error, expect

from course.wire import Wire
from tests.browser.chapter_page import ChapterPage, Server, running
from tests.browser.conftest import NewPage, OpenChapter

PAYLOAD = "Payload: JSON or text"
LIMIT = 100  # channels of one connection
SHOWN = 12  # channels in the table


async def join(page: ChapterPage, channel: str) -> None:
    await page.field("Channel").fill(channel)
    await page.press("→ Join")
    await in_table(page, f"✓ {channel}")


async def publish(page: ChapterPage, payload: str) -> None:
    await page.field(PAYLOAD).fill(payload)
    await page.press("→ Publish")


async def heard(page: ChapterPage, text: str, number: int = 1) -> dict[str, Any]:
    """The message from the server with this text in it."""
    line = await page.logged("text", text, kind="in", number=number)
    return dict(json.loads(line.content))


async def in_table(page: ChapterPage, *cells: str) -> None:
    """Wait for a row of the table that begins with these cells."""
    row = page.page.locator("#rooms tr").filter(has=page.page.get_by_text(cells[0], exact=True))
    await expect(row).to_have_count(1)
    for text in cells[1:]:
        await expect(row).to_contain_text(text)


async def not_in_table(page: ChapterPage, channel: str) -> None:
    await expect(page.page.locator("#rooms").get_by_text(channel)).to_have_count(0)


async def test_two_tabs_talk_to_each_other(chapter_5: Server, open_chapter: OpenChapter) -> None:
    alice, bob = await open_chapter(chapter_5), await open_chapter(chapter_5)
    await join(alice, "room:talk")
    await join(bob, "room:talk")
    await in_table(alice, "✓ room:talk", "2 in it")

    await publish(alice, "How are you, 鲍勃?")
    event = await heard(bob, "How are you")
    await publish(bob, '{"mood": ["fine", 7]}')
    answer = await heard(alice, "mood")

    assert (event["type"], event["channel"]) == ("chat:said", "room:talk")
    assert event["data"] == "How are you, 鲍勃?"
    assert answer["data"] == {"mood": ["fine", 7]}
    published = await heard(alice, '"published"')
    assert published["data"] == {"channel": "room:talk", "receivers": 2}
    assert (await heard(alice, "How are you"))["data"] == event["data"]  # it hears itself as well


async def test_without_a_copy_to_me_only_the_others_hear(
    chapter_5: Server, open_chapter: OpenChapter
) -> None:
    alice, bob = await open_chapter(chapter_5), await open_chapter(chapter_5)
    await join(alice, "room:copy")
    await join(bob, "room:copy")

    await alice.page.get_by_label("a copy to me").uncheck()
    await publish(alice, "for the others")

    await heard(bob, "for the others")
    assert (await heard(alice, '"published"'))["data"]["receivers"] == 1
    assert [line for line in await alice.lines() if line.kind == "in"][-1].content.count(
        "others"
    ) == 0


async def test_who_leaves_hears_no_more(chapter_5: Server, open_chapter: OpenChapter) -> None:
    alice, bob = await open_chapter(chapter_5), await open_chapter(chapter_5)
    await join(alice, "room:left")
    await join(bob, "room:left")

    await bob.press("→ Leave")
    await heard(bob, '"unsubscribed"')
    await publish(alice, "are you gone?")
    await heard(alice, "are you gone?")
    await bob.press("→ Ping")
    await heard(bob, '"pong"')

    assert not [line for line in await bob.lines() if "are you gone?" in line.content]
    await in_table(alice, "✓ room:left", "1 in it")
    await in_table(bob, "room:left", "1 in it")
    await bob.press("→ Publish")
    assert (await heard(bob, '"error"'))["data"]["code"] == "not_subscribed"


async def test_the_table_joins_and_leaves_too(chapter_5: Server, open_chapter: OpenChapter) -> None:
    alice, bob = await open_chapter(chapter_5), await open_chapter(chapter_5)
    await join(alice, "room:table")

    await bob.button("Join room:table").click()
    await in_table(alice, "✓ room:table", "2 in it")
    await bob.button("Leave room:table").click()
    await in_table(alice, "✓ room:table", "1 in it")
    await alice.button("Leave room:table").click()

    await not_in_table(alice, "room:table")
    await not_in_table(bob, "room:table")


async def test_business_code_publishes_over_http(
    chapter_5: Server, open_chapter: OpenChapter
) -> None:
    alice, outside = await open_chapter(chapter_5), await open_chapter(chapter_5)
    await join(alice, "order:42")

    await outside.field("Channel").fill("order:42")
    await outside.field("Event").fill("order:update")
    await outside.field(PAYLOAD).fill('{"state": "paid"}')
    await outside.press("⇄ POST /api/publish")
    posted = await outside.logged("POST")

    event = await heard(alice, "order:update")
    assert (event["channel"], event["data"]) == ("order:42", {"state": "paid"})
    assert posted.content == '/api/publish · 202 Accepted · {"receivers": 1}'
    await outside.press("⇄ GET /api/stats")
    assert '"order:42": 1' in (await outside.logged("GET")).content


async def test_a_bad_post_is_400_and_says_why(
    chapter_5: Server, open_chapter: OpenChapter, watch: Any
) -> None:
    watch.expect("status of 400")
    page = await open_chapter(chapter_5)

    await page.field("Event").fill("said")
    await page.press("⇄ POST /api/publish")

    assert "400 Bad Request" in (await page.logged("POST")).content
    await page.shows("● open")


async def test_a_hundred_channels_are_granted(chapter_5: Server, open_chapter: OpenChapter) -> None:
    other, page = await open_chapter(chapter_5), await open_chapter(chapter_5)

    await page.press("→ Join 200 channels")

    await page.logged("text", '"error"', kind="in", number=LIMIT)
    answers = [line.content for line in await page.lines() if line.kind == "in"]
    assert sum('"subscribed"' in answer for answer in answers) == LIMIT
    title = other.page.locator("#rooms-title")
    await expect(title).to_have_text(f"channels {LIMIT} · connections 2")
    rows = other.page.locator("#rooms tr")
    await expect(rows).to_have_count(SHOWN + 1)
    await expect(rows.last).to_have_text(f"and {LIMIT - SHOWN} more")
    await page.press("Disconnect")
    await expect(title).to_have_text("channels 0 · connections 1")
    await expect(rows).to_have_text(["no channel has a member"])


async def test_each_bad_request_gets_its_error(
    chapter_5: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(chapter_5)
    await join(page, "room:lobby")
    codes = ("bad_request", "forbidden", "bad_request", "not_subscribed", "bad_request")
    options = page.page.get_by_label("A bad request gets one error")
    assert await options.locator("option").count() == len(codes)

    for number, code in enumerate(codes, 1):
        await options.select_option(index=number - 1)
        await page.page.locator("#send-bad").click()
        reply = await heard(page, '"error"', number)
        assert reply["data"]["code"] == code

    await page.shows("● open")


async def test_memberships_end_with_the_connection(
    chapter_5: Server, open_chapter: OpenChapter
) -> None:
    alice, bob = await open_chapter(chapter_5), await open_chapter(chapter_5)
    await join(alice, "room:again")
    await join(bob, "room:again")

    await alice.press("Disconnect")
    await alice.shows("○ closed")
    await in_table(bob, "✓ room:again", "1 in it")
    await alice.press("Connect")
    await alice.shows("● open")

    await in_table(alice, "room:again", "1 in it")  # without the mark: it is not in there
    await publish(bob, "nobody else")
    assert (await heard(bob, '"published"'))["data"]["receivers"] == 1


async def test_a_tab_that_crashes_leaves_its_channels(
    chapter_5: Server, open_chapter: OpenChapter, new_page: NewPage
) -> None:
    alice, doomed = await open_chapter(chapter_5), await open_chapter(chapter_5)
    await join(alice, "room:crash")
    await join(doomed, "room:crash")
    await in_table(alice, "✓ room:crash", "2 in it")

    session = await doomed.page.context.new_cdp_session(doomed.page)
    killing = asyncio.ensure_future(session.send("Page.crash"))  # it never answers

    await in_table(alice, "✓ room:crash", "1 in it")
    await publish(alice, "alone")
    assert (await heard(alice, '"published"'))["data"]["receivers"] == 1
    await doomed.page.context.close()
    try:
        await killing
    except Error:
        pass  # the page is gone


async def test_a_tab_behind_a_cut_cable_leaves_its_channels(open_chapter: OpenChapter) -> None:
    async with (
        running(5, HEARTBEAT_SECONDS="1") as server,
        Wire("127.0.0.1", server.port) as wire,
    ):
        alice, bob = await open_chapter(server), await open_chapter(server)
        await join(alice, "room:cable")
        await bob.press("Disconnect")
        await bob.shows("○ closed")
        await bob.connect(wire.url("/ws"))
        await bob.logged("text", "welcome", number=2)
        await join(bob, "room:cable")
        await in_table(alice, "✓ room:cable", "2 in it")

        wire.blackhole()

        await in_table(alice, "✓ room:cable", "1 in it")
        await bob.logged("dead")
        await bob.shows("✕ dead")
        await expect(bob.page.locator("#rooms")).not_to_contain_text("✓")
        await alice.shows("● open")


async def test_the_table_speaks_chinese(chapter_5: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_5, "zh")
    await expect(page.page.locator("#rooms tr")).to_have_text(["还没有任何频道"])

    await page.press("→ 加入")

    await in_table(page, "✓ room:lobby", "1 个成员", "离开")
    await expect(page.page.locator("#rooms-title")).to_have_text("频道 1 · 连接 1")
