"""The page of chapter 6: a tab that is cut off catches up, and what it says twice counts once."""

from __future__ import annotations

import json
import signal
from typing import Any

from playwright.async_api import expect

from tests.browser.chapter_page import ChapterPage, Server, running
from tests.browser.conftest import OpenChapter

PAYLOAD = "Payload: JSON or text"
MARKUP = "<img id=evil src=x onerror='window.evil=1'><b>bold</b>"


async def join(page: ChapterPage, channel: str) -> None:
    """Follow a channel, and wait until the state has come."""
    await page.field("Channel").fill(channel)
    await page.press("→ Join")
    await page.logged("snapshot")


async def publish(page: ChapterPage, payload: str) -> None:
    await page.field(PAYLOAD).fill(payload)
    await page.press("→ Publish")


async def counted(page: ChapterPage) -> list[tuple[str, str]]:
    """What counts, in order: (seq, payload)."""
    lines = [line for line in await page.lines() if line.kind == "applied" and "seq" in line.what]
    return [(line.what, line.content.rpartition(" · ")[2]) for line in lines]


async def come_back(page: ChapterPage) -> None:
    await page.press("Come back")
    await page.shows("● open")


async def replies(page: ChapterPage, kind: str, number: int) -> list[dict[str, Any]]:
    """The first messages of this type, once there are so many."""
    await page.logged("text", f'"{kind}"', kind="in", number=number)
    heard = [line.content for line in await page.lines() if line.kind == "in"]
    found = [json.loads(text) for text in heard if text.startswith(f'{{"type":"{kind}"')]
    return found[:number]


async def test_a_tab_that_was_cut_off_catches_up(
    chapter_6: Server, open_chapter: OpenChapter
) -> None:
    alice, bob = await open_chapter(chapter_6), await open_chapter(chapter_6)
    await join(alice, "room:cut")
    await join(bob, "room:cut")
    await publish(alice, "one")
    await bob.logged("seq 1", "one")

    await bob.press("Cut it")
    await bob.shows("○ closed")
    for payload in ("two", "three", "four"):
        await publish(alice, payload)
    await alice.logged("seq 4")
    await come_back(bob)
    await bob.logged("missed", "3 missed, all here")
    await publish(alice, "five")
    await bob.logged("seq 5", "five")

    words = ("one", "two", "three", "four", "five")
    expected = [(f"seq {n}", f'"{word}"') for n, word in enumerate(words, 1)]
    assert await counted(bob) == expected
    assert await counted(alice) == expected
    await expect(bob.page.locator("#followed")).to_contain_text("5 applied")


async def test_a_request_whose_reply_was_lost_counts_once(
    chapter_6: Server, open_chapter: OpenChapter
) -> None:
    alice, bob = await open_chapter(chapter_6), await open_chapter(chapter_6)
    await join(alice, "room:reply")
    await join(bob, "room:reply")

    await alice.page.get_by_label("lose the next reply").check()
    await publish(alice, "once")
    await alice.logged("text", "lost on the way", kind="problem")
    await expect(alice.page.locator("#unanswered")).to_have_text("1 without a reply")
    await alice.press("Cut it")
    await come_back(alice)
    await expect(alice.page.locator("#unanswered")).to_have_text("0 without a reply")
    await publish(alice, "and another")
    await bob.logged("seq 2")

    assert await counted(bob) == [("seq 1", '"once"'), ("seq 2", '"and another"')]
    assert await counted(alice) == await counted(bob)


async def test_the_same_request_again_gets_the_same_reply(
    chapter_6: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(chapter_6)
    await join(page, "room:again")
    await publish(page, "said")
    await replies(page, "published", 1)

    await page.press("→ The same request again")

    first, second = await replies(page, "published", 2)
    assert first == second
    assert len(await counted(page)) == 1


async def test_a_gap_is_asked_for(chapter_6: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_6)
    await join(page, "room:gap")

    await page.page.get_by_label("lose the next event").check()
    await publish(page, "one")
    await page.logged("text", "lost on the way", kind="problem")
    await publish(page, "two")
    await page.logged("gap", "asked from seq 1")
    await page.logged("missed", "2 missed, all here")

    assert await counted(page) == [("seq 1", '"one"'), ("seq 2", '"two"')]


async def test_a_history_that_is_too_short_is_replaced_by_the_state(
    open_chapter: OpenChapter,
) -> None:
    async with running(6, HISTORY="2") as server:
        page = await open_chapter(server)
        await join(page, "orders:short")
        await page.press("Cut it")
        for number in range(1, 4):
            await page.field(PAYLOAD).fill(f'{{"id": "a", "n": {number}}}')
            await page.press("⇄ POST")
            await page.logged("POST", number=number)
        await come_back(page)

        await page.logged("recovered", "first the state")
        state = await page.logged("snapshot", "after seq 3")
        await publish(page, '{"id": "a", "n": 4}')
        await page.logged("seq 4")

    assert '{"a":{"id":"a","n":3}}' in state.content
    assert await counted(page) == [("seq 4", '{"id":"a","n":4}')]


async def test_a_restart_begins_with_the_state(open_chapter: OpenChapter) -> None:
    async with running(6) as server:
        page = await open_chapter(server)
        await join(page, "room:restart")
        await publish(page, "before")
        await page.logged("seq 1")
        server.signal(signal.SIGTERM)
        await page.logged("close", "1001 going away")

    async with running(6, PORT=str(server.port)):
        await publish(page, "while away")
        await page.logged("send", "kept until there is a connection")
        await come_back(page)
        await page.logged("recovered", "first the state")
        await expect(page.page.locator("#unanswered")).to_have_text("0 without a reply")


async def test_a_direct_message_comes_until_it_is_acknowledged(
    open_chapter: OpenChapter,
) -> None:
    async with running(6, ACK_SECONDS="0.5") as server:
        alice, bob = await open_chapter(server), await open_chapter(server)
        await bob.page.get_by_label("acknowledge what comes").uncheck()
        await alice.field("To the client").fill(await bob.field("To the client").input_value())

        await alice.press("→ Notify")
        await bob.logged("direct", "Your table is ready", kind="applied")
        await bob.logged("direct", "it came before", kind="control", number=2)
        await bob.page.get_by_label("acknowledge what comes").check()
        await bob.logged("text", '"acked"', kind="in")

    assert len([line for line in await bob.lines() if line.kind == "applied"]) == 1
    assert not [line for line in await alice.lines() if line.what == "direct"]


async def test_what_is_too_big_is_given_up(chapter_6: Server, open_chapter: OpenChapter) -> None:
    """Sent again, it would close every connection to come."""
    page = await open_chapter(chapter_6)
    await join(page, "room:big")

    await publish(page, "x" * 70_000)
    close = await page.logged("close")
    await page.logged("send", "too big", kind="problem")
    await page.press("Come back")
    await publish(page, "small")
    await page.logged("seq 1", "small")

    assert close.content.startswith("1009 too big")
    await expect(page.page.locator("#unanswered")).to_have_text("0 without a reply")


async def test_messages_are_text_and_never_markup(
    chapter_6: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(chapter_6)
    await join(page, "room:markup")

    await publish(page, MARKUP)
    await page.logged("seq 1", "onerror")

    assert await page.page.locator("#log, #followed").locator("img, b, #evil").count() == 0
    assert await page.page.evaluate("window.evil") is None


async def test_a_reload_keeps_the_name(chapter_6: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_6)
    name = await page.field("To the client").input_value()

    await page.page.reload()
    await page.logged("open")

    assert await page.field("To the client").input_value() == name
    await expect(page.address).to_have_value(f"{chapter_6.websocket}?client={name}")


async def test_it_speaks_chinese(chapter_6: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_6, "zh")

    await page.press("→ 加入")
    await page.logged("snapshot", "之后的状态")
    await page.press("切断")
    await page.shows("○ 已关闭")
    await page.press("→ 发布")
    await expect(page.page.locator("#unanswered")).to_have_text("1 个没有应答")
    await page.press("回来")
    await expect(page.page.locator("#unanswered")).to_have_text("0 个没有应答")
