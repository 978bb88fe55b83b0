"""The page of chapter 4: a connection that comes back, and a hostile server that counts it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import pytest
from playwright.async_api import expect

from tests.browser.browsing import NARROW
from tests.browser.chapter_page import ChapterPage, Server, running
from tests.browser.conftest import OpenChapter
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch
from tests.harness.exchange import Exchange
from tests.harness.hostile import Connection, Hostile, Script

WITHIN = 15.0  # seconds for what has to happen soon
QUIET = 0.5  # seconds in which nothing may come
FAILED = "WebSocket connection to .* failed"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NO_CHINESE = {"→ Echo", "1000", "1001", "1011", "1012", "4401", "4403", "4409", "⇄ HTTP"}


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Servers that outlive the page: one that loses its server complains, and rightly."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def open_chapter(stack: AsyncExitStack, open_chapter: OpenChapter) -> OpenChapter:
    """The usual one, closed before the servers are."""
    return open_chapter


@pytest.fixture
async def chapter_4(servers: Callable[[int], Awaitable[Server]]) -> Server:
    return await servers(4)


@asynccontextmanager
async def hostile(script: Script) -> AsyncIterator[Hostile]:
    server = await Hostile(Exchange(), script).listen()
    try:
        yield server
        server.raise_problem()
    finally:
        await server.stop()


async def accept(connection: Connection) -> None:
    await connection.accept(heartbeat_ms=20_000)


async def hurry(page: ChapterPage, address: str, base: int = 30, cap: int = 60) -> None:
    """Connect to `address` with short delays."""
    await page.field("Base ms").fill(str(base))
    await page.field("Cap ms").fill(str(cap))
    await page.connect(address)


async def cut(page: ChapterPage, how: str) -> None:
    """Let the server of the page cut: `how` is a code, or nothing for a reset."""
    await page.page.get_by_role("combobox", name="Let the server cut").select_option(how)
    await page.press("✂ Cut")


# By the page's own server


async def test_after_a_reset_it_says_when_and_comes_back(
    stack: AsyncExitStack, open_chapter: OpenChapter
) -> None:
    server = await stack.enter_async_context(running(4))
    page = await open_chapter(server)
    await hurry(page, server.websocket)
    await page.logged("open", number=2)

    await cut(page, "")

    await page.logged("close", "1006 lost, no close frame", kind="problem")
    await page.logged("retry", "attempt 1 in")
    await page.logged("open", number=3)
    await page.shows("● open")
    row = page.page.locator("#history li")
    await expect(row).to_have_count(1)
    await expect(row.locator(".number")).to_have_text("#1")
    await expect(row.locator(".outcome")).to_have_text("open")
    assert json.loads((await page.logged("POST")).content.rpartition(" · ")[2]) == {"cut": 1}


async def test_a_terminal_code_stops_it_until_you_press_connect(
    stack: AsyncExitStack, open_chapter: OpenChapter
) -> None:
    server = await stack.enter_async_context(running(4))
    page = await open_chapter(server)

    await cut(page, "4401")

    await page.logged("stopped", "4401 unauthorized", kind="problem")
    await page.shows("✕ stopped")
    assert await page.button("Disconnect").is_disabled()
    assert not [line for line in await page.lines() if line.what == "retry"]
    await page.press("→ Echo")
    await page.logged("refused")
    await page.press("Connect")
    await page.logged("open", number=2)


async def test_what_is_sent_while_the_server_is_away_arrives_later(
    stack: AsyncExitStack, open_chapter: OpenChapter, watch: Watch
) -> None:
    watch.expect(FAILED)
    server = await stack.enter_async_context(running(4))
    page = await open_chapter(server)
    await hurry(page, server.websocket)
    await page.logged("open", number=2)
    await page.field("Away s").fill("3")

    await cut(page, "1012")
    await page.logged("close", "1012 service restart", kind="control")
    await page.press("→ Echo")
    await page.logged("queued")

    await page.logged("failed", "1006", kind="problem")
    await page.logged("open", number=3)
    await page.logged("text", '"type":"echo"', kind="in")
    outcomes = await page.page.locator("#history .outcome").all_text_contents()
    assert outcomes[0] == "not reached" and outcomes[-1].startswith("open")


async def test_the_countdown_runs_while_it_waits(
    stack: AsyncExitStack, open_chapter: OpenChapter
) -> None:
    server = await stack.enter_async_context(running(4))
    page = await open_chapter(server)
    await hurry(page, server.websocket, base=9_000_000, cap=9_000_000)
    await page.logged("open", number=2)

    await cut(page, "1011")

    await page.shows("◌ waiting")
    countdown = page.page.locator("#next")
    await expect(countdown).to_have_text(re.compile(r"^next try in [\d.]+ s \(attempt 1\)$"))
    before = await countdown.text_content()
    await expect(countdown).not_to_have_text(str(before))
    await page.press("Disconnect")
    await page.shows("✕ stopped")


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"code": 999}, 400),
        ({"awaySeconds": 1e9}, 400),
        ({"awaySeconds": "soon"}, 400),
        ([], 400),
        ({}, 200),
    ],
)
async def test_only_a_sensible_wish_is_granted(
    wish: object, status: int, chapter_4: Server, open_chapter: OpenChapter, watch: Watch
) -> None:
    if status != 200:
        watch.expect("status of 400")
    page = await open_chapter(chapter_4)

    answered = await page.page.evaluate(
        """async (wish) => {
          const body = JSON.stringify(wish);
          return (await fetch("/api/cut", { method: "POST", body })).status;
        }""",
        wish,
    )

    assert answered == status


# By a hostile server


async def test_whatever_ends_it_one_connection_follows(
    stack: AsyncExitStack, chapter_4: Server, open_chapter: OpenChapter
) -> None:
    server = await stack.enter_async_context(hostile(accept))
    page = await open_chapter(chapter_4)
    await hurry(page, server.url)
    ends: list[Callable[[Connection], object]] = [
        lambda c: c.reset(),
        lambda c: c.close(1012, "<b>restart</b>"),
        lambda c: c.drop(),
        lambda c: c.close(4999),
    ]
    for number, end in enumerate(ends, 1):
        connection = await server.connection(number, WITHIN)
        await page.logged("open", number=number + 1)
        done = end(connection)
        if asyncio.iscoroutine(done):
            await done

    await server.connection(len(ends) + 1, WITHIN)
    await page.logged("open", number=len(ends) + 2)
    assert await server.stays_at(len(ends) + 1, QUIET)
    assert server.most_at_once() == 1
    said = await page.logged("close", "1012")
    assert '"<b>restart</b>"' in said.content


@pytest.mark.parametrize("code", [1000, 1008, 4403])
async def test_a_terminal_code_is_one_connection(
    stack: AsyncExitStack, code: int, chapter_4: Server, open_chapter: OpenChapter
) -> None:
    async def script(connection: Connection) -> None:
        await connection.accept()
        await connection.close(code)

    server = await stack.enter_async_context(hostile(script))
    page = await open_chapter(chapter_4)
    await hurry(page, server.url)

    await page.logged("stopped", str(code))
    assert await server.stays_at(1, QUIET)
    assert len(server.connections) == 1


async def test_a_server_that_accepts_and_closes_sees_it_ever_more_seldom(
    stack: AsyncExitStack, chapter_4: Server, open_chapter: OpenChapter
) -> None:
    async def script(connection: Connection) -> None:
        await connection.accept()
        await connection.close(1011)

    server = await stack.enter_async_context(hostile(script))
    page = await open_chapter(chapter_4)
    await hurry(page, server.url, base=100, cap=10_000)

    # Were the count begun anew by each open, attempt 1 would follow attempt 1 for ever.
    await page.logged("retry", "attempt 6 in")
    assert len(server.connections) <= 7  # one for each attempt, and perhaps the next


async def test_a_silent_server_is_abandoned_and_the_next_connection_lives(
    stack: AsyncExitStack, chapter_4: Server, open_chapter: OpenChapter
) -> None:
    async def script(connection: Connection) -> None:
        await connection.accept(heartbeat_ms=400)
        if connection.number == 1:
            connection.blackhole()
        else:
            await connection.answer_pings()

    server = await stack.enter_async_context(hostile(script))
    page = await open_chapter(chapter_4)
    await hurry(page, server.url)
    first = await server.connection(1, WITHIN)

    await page.logged("dead", kind="problem")
    second = await server.connection(2, WITHIN)
    await page.logged("open", number=3)

    assert 0.9 <= second.arrived - first.arrived <= WITHIN
    assert len(first.messages) == 2  # it asked twice
    assert await server.until(lambda: len(second.messages) >= 3, WITHIN)  # three heartbeats later
    assert second.left is None and len(server.connections) == 2


async def test_going_silent_ends_in_a_new_connection(
    stack: AsyncExitStack, open_chapter: OpenChapter
) -> None:
    server = await stack.enter_async_context(running(4, HEARTBEAT_SECONDS="0.4"))
    page = await open_chapter(server)
    await page.logged("text", "welcome")

    await page.press("Go silent")

    await page.logged("dead", "nothing heard for")
    await page.logged("open", number=2)
    await page.shows("● open")


async def test_stopped_while_it_waits_it_never_connects_again(
    stack: AsyncExitStack, chapter_4: Server, open_chapter: OpenChapter
) -> None:
    server = await stack.enter_async_context(hostile(accept))
    page = await open_chapter(chapter_4)
    await hurry(page, server.url, base=800, cap=800)
    (await server.connection(1, WITHIN)).reset()
    await page.logged("retry")

    await page.press("Disconnect")

    await page.logged("stopped", number=2)  # the first was of the connection before
    assert await server.stays_at(2, 0.8 + QUIET)  # it may have been back before the press
    assert server.live == []


async def test_without_a_network_it_waits_for_one(
    stack: AsyncExitStack, chapter_4: Server, open_chapter: OpenChapter
) -> None:
    server = await stack.enter_async_context(hostile(accept))
    page = await open_chapter(chapter_4)
    await hurry(page, server.url)
    first = await server.connection(1, WITHIN)
    await page.logged("open", number=2)
    await page.page.context.set_offline(True)

    first.reset()

    await page.logged("offline", "no network")
    await page.shows("◌ waiting")
    assert await server.stays_at(1, QUIET)
    assert len(server.connections) == 1
    await page.page.context.set_offline(False)
    await page.logged("online", "the network is back")
    await server.connection(2, WITHIN)
    await page.shows("● open")
    assert len(server.connections) == 2


async def test_no_answer_to_the_handshake_is_no_reason_to_wait_for_ever(
    stack: AsyncExitStack, chapter_4: Server, open_chapter: OpenChapter, watch: Watch
) -> None:
    watch.expect("WebSocket is closed before the connection is established")

    async def script(connection: Connection) -> None:
        if connection.number > 1:
            await connection.accept()

    server = await stack.enter_async_context(hostile(script))
    page = await open_chapter(chapter_4)
    opened = await page.page.evaluate(
        """async (url) => {
          const { ReconnectingSocket } = await import("./reconnecting-socket.js");
          const heard = [];
          await new Promise((done) => {
            const socket = new ReconnectingSocket(url, (event) => {
              heard.push(event);
              if (event === "open") { socket.stop(); done(); }
            }, { base: 20, cap: 20, connectTimeout: 2000 });
            socket.start();
          });
          return heard;
        }""",
        server.url,
    )

    assert (opened[:2], opened[-2:]) == (["failed", "retry"], ["open", "stopped"])


async def test_a_hundred_messages_wait_and_the_next_is_refused(
    stack: AsyncExitStack, chapter_4: Server, open_chapter: OpenChapter
) -> None:
    server = await stack.enter_async_context(hostile(accept))
    page = await open_chapter(chapter_4)
    taken = await page.page.evaluate(
        """async (url) => {
          const { ReconnectingSocket } = await import("./reconnecting-socket.js");
          const socket = new ReconnectingSocket(url, () => {});
          socket.start();
          const taken = [];
          for (let i = 1; i <= 102; i += 1) taken.push(socket.send(`message ${i}`));
          return taken;
        }""",
        server.url,
    )

    assert taken == [True] * 100 + [False] * 2
    first = await server.connection(1, WITHIN)
    assert await server.until(lambda: len(first.messages) == 100, WITHIN)
    assert first.messages == [f"message {n}" for n in range(1, 101)]


# The look


async def test_it_speaks_chinese_throughout(chapter_4: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_4, "zh")
    await page.shows("● 已打开")

    texts = await page.page.locator(
        "h1, h2, label, button, option, .hint, .signs li"
    ).all_text_contents()

    left = {text.strip() for text in texts if text.strip() and not re.search(r"[一-鿿]", text)}
    assert left <= NO_CHINESE
    await expect(page.page.locator("#tally")).to_have_text("共打开 1 条连接，此刻 1 条")


async def test_it_fits_and_can_be_read(
    stack: AsyncExitStack, chapter_4: Server, open_chapter: OpenChapter
) -> None:
    server = await stack.enter_async_context(hostile(accept))
    for language in ("en", "zh"):
        page = await open_chapter(chapter_4, language, viewport=NARROW)
        number = len(server.connections) + 1
        await page.page.locator("#base").fill("30")
        await page.page.locator("#address").fill(server.url)
        await page.page.locator("#connect").click()
        (await server.connection(number, WITHIN)).reset()
        await page.logged("retry")
        assert await overflow(page.page) == "", language
        for scheme in SCHEMES:
            await page.page.emulate_media(color_scheme=scheme)
            for state in ("open", "connecting", "waiting", "stopped"):
                await page.page.evaluate(
                    "(state) => { document.getElementById('state').dataset.state = state; }",
                    state,
                )
                assert await faint(page.page) == [], (scheme, state)


async def test_every_control_has_a_name(chapter_4: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_4)

    tree = await page.page.locator("body").aria_snapshot()

    controls = re.findall(r"^ *- '?(?:button|textbox|combobox|meter|log)\b.*$", tree, re.MULTILINE)
    assert len(controls) >= 13
    assert [control for control in controls if not re.search(r'"[^"]+"', control)] == []
