"""The page of each chapter, used as its learner would: press, type, read the log."""

from __future__ import annotations

import json
import re
import signal
from typing import Any, Literal

import pytest
from playwright.async_api import expect

from course.manifest import load
from course.tools import free_port
from course.wire import Wire
from tests.browser.browsing import NARROW, WIDE
from tests.browser.chapter_page import ChapterPage, Server, running
from tests.browser.conftest import NewPage, OpenChapter
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch

TITLES = {
    1: ("The browser's WebSocket, and its bytes", "浏览器的 WebSocket，以及它的字节"),
    2: ("HTTP and WebSocket on one port", "一个端口，HTTP 与 WebSocket 并存"),
    3: ("One envelope, and a heartbeat", "统一信封与心跳"),
    5: ("Rooms", "房间"),
    7: ("Backpressure", "背压"),
    9: ("Several instances", "多实例"),
}
ECHO_FIELD = "Data to echo: JSON if it parses, else text"
PAYLOAD_FIELD = "Payload: JSON or text"
NO_CHINESE = {"→ Ping", "→ Echo", "NaN", "⇄ HTTP", "⇄ GET /api/ping", "⇄ GET /nowhere"}
NO_CHINESE |= {"⇄ POST /api/publish", "⇄ GET /api/stats", "⇄ GET /api/health"}
MARKUP = "<img id=evil src=x onerror='window.evil=1'><b>bold</b>"
TOO_MUCH_TIMES = 3


def at(wire: Wire) -> str:
    """What a learner types as the address to go through the wire."""
    return wire.url("/ws")


async def say(page: ChapterPage, number: int, text: str) -> None:
    """Send `text` in the way that chapter `number` offers."""
    if number >= 5:
        await page.field(PAYLOAD_FIELD).fill(text)
        await page.press("→ Join")
        await page.press("→ Publish")
        return
    field, button = (ECHO_FIELD, "→ Echo") if number >= 3 else ("A text message", "→ Send")
    await page.field(field).fill(text)
    await page.press(button) if number >= 3 else await page.field(field).press("Enter")


# The code


CHANGED: dict[int, set[str]] = {
    2: set(),
    3: {"connect", "send", "showState"},
    5: {"connect", "receive", "abandon", "ask"},
    6: {"connect", "receive", "abandon", "ask", "request", "resetHeartbeat", "showState"},
    7: {"log", "receive", "showRooms", "what"},
    8: {"connect", "showState", "receive", "abandon"},
    9: {"connect", "receive", "request", "refresh", "showState"},
}


def functions(number: int) -> dict[str, str]:
    """The functions of a page's script that have a name: name → text."""
    text = (load().chapter(number).folder / "index.html").read_text(encoding="utf-8")
    found = re.findall(r"^((?:async )?function (\w+)\(.*?^\})$", text, re.DOTALL | re.MULTILINE)
    return {name: body for body, name in found}


@pytest.mark.parametrize("number", CHANGED)
def test_what_a_page_does_as_before_it_does_by_the_same_code(number: int) -> None:
    base = load().chapter(number).builds_on
    assert base is not None
    before, now = functions(base), functions(number)
    shared = before.keys() & now.keys()

    assert len(shared) >= 8
    assert {name for name in shared if before[name] != now[name]} == CHANGED[number]


# The connection


async def test_it_connects_by_itself(some_chapter: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(some_chapter)

    await page.shows("● open")
    await expect(page.page.locator("#ready-state")).to_have_text("1 OPEN")
    await expect(page.page.locator("#buffered")).to_have_text("0 bytes")
    await expect(page.address).to_have_value(some_chapter.websocket)
    welcome = await page.logged("text", "welcome", kind="in")
    assert [(line.arrow, line.what) for line in await page.lines()] == [
        ("·", "connect"),
        ("·", "open"),
        ("←", "text"),
    ]
    assert json.loads(welcome.content)["type"] == "welcome"
    assert welcome.size == f"{len(welcome.content.encode())} bytes"


async def test_times_count_from_the_opening_of_each_connection(
    chapter_1: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(chapter_1)
    await page.logged("text", "welcome")
    await page.press("Disconnect")
    await page.logged("close", "1000 normal")

    await page.press("Connect")
    await page.logged("text", "welcome", number=2)

    times = [float(line.time) for line in await page.lines()]
    second = [line.what for line in await page.lines()].index("connect", 1)
    assert times[:second] == sorted(times[:second])
    assert times[second:] == sorted(times[second:])
    assert times[second] < times[second - 1]


async def test_every_state_is_a_word_and_a_shape(
    first_or_last: Server, open_chapter: OpenChapter, watch: Watch
) -> None:
    watch.expect("WebSocket is closed before the connection is established")
    page = await open_chapter(first_or_last)
    await page.press("Disconnect")
    await page.shows("○ closed")
    await expect(page.page.locator("#ready-state")).to_have_text("3 CLOSED")

    async with Wire("127.0.0.1", first_or_last.port, faults="blackhole") as wire:
        await page.connect(at(wire))
        await page.shows("◔ connecting")
        await expect(page.page.locator("#ready-state")).to_have_text("0 CONNECTING")
        await page.press("Disconnect")
        await page.shows("○ closed")

        wire.heal()
        await page.press("Connect")
        await page.shows("● open")
        wire.blackhole()
        await page.press("Disconnect")
        await page.shows("◑ closing")
        await expect(page.page.locator("#ready-state")).to_have_text("2 CLOSING")


async def test_nothing_can_be_sent_unless_the_connection_is_open(
    first_or_last: Server, open_chapter: OpenChapter, watch: Watch
) -> None:
    watch.expect("WebSocket is closed before the connection is established")
    page = await open_chapter(first_or_last)
    await page.press("Disconnect")
    await page.shows("○ closed")
    senders = page.page.locator("[data-needs-open]")
    assert await senders.count() >= 4

    async def cannot_send() -> None:
        assert await page.page.locator("[data-needs-open]:enabled").count() == 0
        lines, sent = len(await page.lines()), len(watch.sent)
        for field in await page.page.locator("main section:nth-child(2) input").all():
            await field.press("Enter")
        assert len(await page.lines()) == lines
        await page.page.evaluate("send('by force')")
        await page.logged("send", "not sent: the connection is not open", number=refused)
        assert len(watch.sent) == sent

    refused = 1
    await cannot_send()
    refused = 2
    async with Wire("127.0.0.1", first_or_last.port, faults="blackhole") as wire:
        await page.connect(at(wire))
        await page.shows("◔ connecting")
        await cannot_send()
        await page.press("Disconnect")
        await page.shows("○ closed")

    await page.connect(first_or_last.websocket)
    await page.shows("● open")
    assert await page.page.locator("[data-needs-open]:disabled").count() == 0


async def test_a_port_where_nobody_listens_is_an_error_then_1006(
    first_or_last: Server, open_chapter: OpenChapter, watch: Watch
) -> None:
    watch.expect("ERR_CONNECTION_REFUSED")
    page = await open_chapter(first_or_last)
    await page.press("Disconnect")
    await page.shows("○ closed")
    await page.clear()

    await page.connect(f"ws://127.0.0.1:{free_port()}/ws")

    close = await page.logged("close")
    assert [line.what for line in await page.lines()] == ["connect", "error", "close"]
    assert [line.arrow for line in await page.lines()] == ["·", "!", "!"]
    assert close.content == '1006 lost without a close frame · "" · wasClean false'
    await page.shows("○ closed")

    await page.connect(first_or_last.websocket)
    await page.shows("● open")


async def test_what_is_no_address_is_said_and_harms_nothing(
    first_or_last: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(first_or_last)
    await page.press("Disconnect")
    await page.shows("○ closed")

    await page.connect("ftp://127.0.0.1/")

    assert (await page.logged("SyntaxError")).arrow == "!"
    await page.shows("○ closed")
    await page.connect(first_or_last.websocket)
    await page.shows("● open")


# The end of a connection


async def test_close_with_a_code_and_a_reason(
    first_or_last: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(first_or_last)
    await page.field("Code").fill("4000")
    await page.field("Reason").fill("够了 <b>")

    await page.press("Close")

    asked, close = await page.logged("close()"), await page.logged("close")
    assert asked.content == '4000 private · "够了 <b>"'
    assert re.fullmatch(r'4000 private · "(够了 <b>)?" · wasClean true', close.content)
    assert asked.arrow == close.arrow == "·"
    await page.shows("○ closed")


async def test_the_browser_refuses_the_codes_that_are_not_for_pages(
    first_or_last: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(first_or_last)

    await page.field("Code").fill("1001")
    await page.press("Close")
    assert "1001" in (await page.logged("InvalidAccessError", kind="problem")).content
    await page.field("Code").fill("4000")
    await page.field("Reason").fill("帧" * 42)  # 126 bytes: three more than fit
    await page.press("Close")
    await page.logged("SyntaxError", kind="problem")

    await page.shows("● open")
    await page.field("Reason").fill("帧" * 41)
    await page.press("Close")
    assert (await page.logged("close()")).content == f'4000 private · "{"帧" * 41}"'
    await page.logged("close", "4000 private")


async def test_close_without_a_code_comes_back_as_1005(
    first_or_last: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(first_or_last)
    await page.field("Code").fill("")

    await page.press("Close")

    assert (await page.logged("close")).content == '1005 no code · "" · wasClean true'


async def test_too_much_is_1009_each_time(first_or_last: Server, open_chapter: OpenChapter) -> None:
    """The browser is still sending when the server refuses: a reset would make it 1006."""
    page = await open_chapter(first_or_last)

    for number in range(1, TOO_MUCH_TIMES + 1):
        if first_or_last.number >= 3:
            await say(page, first_or_last.number, "x" * 70_000)
        else:
            await page.press("→ Send 70,000 bytes")

        close = await page.logged("close", number=number)
        assert re.fullmatch(r'1009 too big · ".*" · wasClean true', close.content)
        assert close.arrow == "!"
        await page.press("Connect")
        await page.shows("● open")


async def test_far_too_much_is_1009_as_well(
    first_or_last: Server, open_chapter: OpenChapter
) -> None:
    """Of a message this long, most is still on its way when the server refuses it."""
    page = await open_chapter(first_or_last)

    await page.page.evaluate("send('x'.repeat(4_000_000))")

    assert (await page.logged("close")).content.startswith("1009 too big")


@pytest.mark.parametrize(("number", "name"), [(1, "SIGINT"), (2, "SIGTERM"), (7, "SIGINT")])
async def test_a_server_that_stops_says_1001(
    number: int, name: str, open_chapter: OpenChapter
) -> None:
    async with running(number, HEARTBEAT_SECONDS="1") as server:
        page = await open_chapter(server)
        await page.logged("text", "welcome")

        server.signal(signal.Signals[name])  # Ctrl-C, or an operator

        close = await page.logged("close")
        assert re.fullmatch(r'1001 going away · ".*" · wasClean true', close.content)
        assert close.arrow == "·"
        await page.shows("○ closed")
        assert await server.process.wait(within=5) == 0


async def test_a_server_that_is_killed_says_nothing_and_may_come_back(
    open_chapter: OpenChapter,
) -> None:
    async with running(1) as server:
        page = await open_chapter(server)

        server.signal(signal.SIGKILL)

        close = await page.logged("close", kind="problem")
        assert close.content == '1006 lost without a close frame · "" · wasClean false'

    async with running(1, PORT=str(server.port)):
        await page.press("Connect")
        await page.shows("● open")


# Messages


@pytest.mark.parametrize("number", [1, 2])
async def test_a_text_comes_back_with_its_type_and_size(
    number: int, chapter_1: Server, chapter_2: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter({1: chapter_1, 2: chapter_2}[number])
    await page.logged("text", "welcome")

    await page.press("→ Send")

    await page.logged("text", "Hello, 帧", kind="in")
    there, back = (await page.lines())[-2:]
    assert (there.arrow, there.what, there.size) == ("→", "text", "10 bytes")
    assert (back.arrow, back.what, back.size) == ("←", "text", "10 bytes")
    assert there.content == back.content == "Hello, 帧"


@pytest.mark.parametrize("number", [1, 2])
async def test_bytes_come_back_as_bytes(
    number: int, chapter_1: Server, chapter_2: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter({1: chapter_1, 2: chapter_2}[number])
    field = page.field("A binary message, in hexadecimal")

    await page.press("→ Send bytes")
    back = await page.logged("binary", kind="in")
    assert (back.size, back.content) == ("3 bytes", "00 ff 10")

    await field.fill("C328 0a")
    await field.press("Enter")
    back = await page.logged("binary", kind="in", number=2)
    assert (back.size, back.content) == ("3 bytes", "c3 28 0a")

    await field.fill("")
    await page.press("→ Send bytes")
    assert (await page.logged("binary", kind="in", number=3)).size == "0 bytes"


@pytest.mark.parametrize("number", [1, 2])
async def test_bad_hexadecimal_is_said_and_not_sent(
    number: int,
    chapter_1: Server,
    chapter_2: Server,
    open_chapter: OpenChapter,
    watch: Watch,
) -> None:
    page = await open_chapter({1: chapter_1, 2: chapter_2}[number])
    await page.logged("text", "welcome")
    field, alert = page.field("A binary message, in hexadecimal"), page.page.get_by_role("alert")

    for bad in ("0", "zz", "00 f", "0x00", "帧"):
        await field.fill(bad)
        await page.press("→ Send bytes")
        await expect(alert).to_have_text("Pairs of hexadecimal digits, such as 00 ff 10")
        await expect(field).to_have_attribute("aria-invalid", "true")
    assert watch.sent == []
    assert len(await page.lines()) == 3

    await field.fill("ff")
    await page.press("→ Send bytes")
    await expect(alert).to_have_text("")
    await expect(field).to_have_attribute("aria-invalid", "false")
    await page.logged("binary", "ff", kind="in")


async def test_markup_in_a_message_is_shown_as_text(
    some_chapter: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(some_chapter)

    await say(page, some_chapter.number, MARKUP)

    back = await page.logged("text", "onerror", kind="in")
    assert MARKUP in back.content
    log = page.page.locator("#log")
    assert await log.locator("img, b, #evil").count() == 0
    assert await page.page.evaluate("window.evil") is None


@pytest.mark.parametrize("number", [2, 3])
async def test_rest_answers_while_the_socket_is_open(
    number: int,
    chapter_2: Server,
    chapter_3: Server,
    open_chapter: OpenChapter,
    watch: Watch,
) -> None:
    watch.expect(r"status of 404 .*/nowhere")
    page = await open_chapter({2: chapter_2, 3: chapter_3}[number])

    await page.press("⇄ GET /api/ping")
    good = await page.logged("GET", "/api/ping")
    await page.press("⇄ GET /nowhere")
    missing = await page.logged("GET", "/nowhere")

    assert good.arrow == missing.arrow == "⇄"
    assert good.content == '/api/ping · 200 OK · {"ok": true}'
    assert good.size == "12 bytes"
    path, status, body = missing.content.split(" · ", 2)
    assert (path, status) == ("/nowhere", "404 Not Found")
    assert json.loads(body)["error"]["code"] == 404
    await page.shows("● open")
    await say(page, number, "still there?")
    await page.logged("text", "still there?", kind="in")


async def test_rest_of_a_stopped_server_is_a_problem_of_its_own(
    open_chapter: OpenChapter, watch: Watch
) -> None:
    watch.expect("console error: .*ERR_CONNECTION_REFUSED")
    watch.expect("request failed: .*/api/ping")
    async with running(3) as server:
        page = await open_chapter(server)
        server.signal(signal.SIGTERM)
        await page.logged("close", "1001")
        await server.process.wait(within=5)

        await page.press("⇄ GET /api/ping")

        assert (await page.logged("GET", kind="problem")).content.startswith("/api/ping · ")


# Chapter 3: the envelope


def envelope(text: str) -> dict[str, Any]:
    parsed = json.loads(text)
    assert isinstance(parsed, dict)
    return parsed


async def test_a_ping_shows_its_round_trip(chapter_3: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_3)

    await page.press("→ Ping")

    ping = envelope((await page.logged("text", '"ping"', kind="out")).content)
    pong = envelope((await page.logged("text", '"pong"', kind="in")).content)
    assert pong["requestId"] == ping["requestId"]
    await expect(page.page.locator("#round-trip")).to_have_text(
        re.compile(r"^round trip \d+\.\d ms$")
    )


TYPED: dict[str, object] = {
    '{"word": "帧"}': {"word": "帧"},
    "[1, null, 2.5]": [1, None, 2.5],
    "中文，不是 JSON": "中文，不是 JSON",
    '"42"': "42",
    "": "",
}


async def test_data_comes_back_in_an_echo(chapter_3: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_3)

    for number, (typed, data) in enumerate(TYPED.items(), start=1):
        await page.field(ECHO_FIELD).fill(typed)
        await page.field(ECHO_FIELD).press("Enter")

        there = await page.logged("text", '"echo"', kind="out", number=number)
        back = await page.logged("text", '"echo"', kind="in", number=number)
        request, reply = envelope(there.content), envelope(back.content)
        assert request["data"] == reply["data"] == data
        assert request["requestId"] == reply["requestId"]


BROKEN = {
    "not JSON": ("bad_message", None),
    "an array": ("bad_message", None),
    "no type": ("bad_message", None),
    "a number as type": ("bad_message", "seven"),
    "an unknown type": ("unknown_type", "order"),
    "NaN": ("bad_message", None),
    "binary": ("bad_message", None),
}


async def test_each_broken_message_gets_one_error_and_the_connection_stays(
    chapter_3: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(chapter_3)
    await page.logged("text", "welcome")
    choice = page.page.get_by_role("combobox", name="A broken message gets one error")
    assert await choice.locator("option").all_text_contents() == list(BROKEN)

    for label, (code, request_id) in BROKEN.items():
        await page.clear()
        await choice.select_option(label=label)
        await page.press("→ Send")
        await page.logged("text", '"error"', kind="in")
        await page.press("→ Ping")  # whatever else was answered comes before its pong
        await page.logged("text", '"pong"', kind="in")

        lines = await page.lines()
        sent = next((line.what, line.content) for line in lines if line.kind == "out")
        error, pong = [envelope(line.content) for line in lines if line.kind == "in"]
        as_chosen = ("text", await choice.input_value())
        assert sent == (("binary", "00 ff 10") if label == "binary" else as_chosen)
        assert error["type"] == "error", label
        assert error["data"]["code"] == code, label
        assert error.get("requestId") == request_id, label
        assert pong["type"] == "pong", label
    await page.shows("● open")


# Chapter 3: the heartbeat


async def test_the_welcome_sets_the_interval(chapter_3: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(chapter_3)

    meter = page.page.get_by_role("meter", name=re.compile(r"^silence \d+\.\d s of 50 s$"))

    await expect(meter).to_have_attribute("aria-valuemax", "50")


async def test_a_page_that_goes_silent_takes_the_line_for_dead(
    open_chapter: OpenChapter, watch: Watch
) -> None:
    async with running(3, HEARTBEAT_SECONDS="1") as server:
        page = await open_chapter(server)
        await page.logged("text", "welcome")
        button = page.button("Go silent")

        await button.click()
        await expect(button).to_have_attribute("aria-pressed", "true")
        await page.logged("silent", "from here on the line plays dead")
        sent = len(watch.sent)
        await page.press("→ Ping")
        await page.logged("silent", "lost, as on a dead line")
        dead = await page.logged("dead")

        await page.shows("✕ dead")
        assert dead.arrow == "!"
        assert 2.5 <= seconds(dead.content) < 5
        assert len(watch.sent) == sent
        await page.press("Connect")
        await page.shows("● open")
        await expect(button).to_have_attribute("aria-pressed", "false")
        await page.press("→ Ping")
        await page.logged("text", '"pong"', kind="in")


async def test_a_page_on_a_dead_line_asks_twice_abandons_it_and_can_come_back(
    open_chapter: OpenChapter,
) -> None:
    async with (
        running(3, HEARTBEAT_SECONDS="1") as server,
        Wire("127.0.0.1", server.port) as wire,
    ):
        bystander = await open_chapter(server)  # on a good line, and idle all the while
        page = await open_chapter(server)
        await page.press("Disconnect")
        await page.shows("○ closed")
        await page.clear()
        await page.connect(at(wire))
        await page.logged("text", "welcome")

        wire.blackhole()

        dead = await page.logged("dead")
        await page.shows("✕ dead")
        assert 2.5 <= seconds(dead.content) < 5
        asked = [line for line in await page.lines() if line.kind == "out"]
        assert [envelope(line.content)["type"] for line in asked] == ["ping", "ping"]
        await (await wire.connection(1)).server_closed(within=10)  # the server found out as well

        wire.heal()
        await page.press("Connect")
        await page.logged("text", "welcome", number=2)
        await page.shows("● open")
        await bystander.logged("text", '"pong"', kind="in", number=2)
        await bystander.shows("● open")
        assert "dead" not in [line.what for line in await bystander.lines()]


def seconds(said: str) -> float:
    """The silence that a `dead` line tells."""
    match = re.fullmatch(r"nothing heard for (\d+\.\d) s", said)
    assert match, said
    return float(match[1])


async def test_a_line_that_comes_back_in_time_is_not_dead(open_chapter: OpenChapter) -> None:
    async with running(3, HEARTBEAT_SECONDS="1") as server:
        page = await open_chapter(server)
        await page.press("Go silent")
        await page.logged("silent", "lost, as on a dead line")  # the page has asked once

        await page.press("Go silent")

        await page.logged("silent", "the line is back")
        await page.logged("text", '"pong"', kind="in")
        await page.shows("● open")


# Who may connect


async def test_a_page_may_take_its_own_socket_through_the_wire(
    first_or_last: Server, open_chapter: OpenChapter
) -> None:
    """The Origin is that of the page, wherever the socket goes."""
    page = await open_chapter(first_or_last)
    await page.press("Disconnect")
    await page.shows("○ closed")
    await page.clear()

    async with Wire("127.0.0.1", first_or_last.port) as wire:
        await page.connect(at(wire))
        await page.logged("text", "welcome")
        await say(page, first_or_last.number, "through the wire")
        await page.logged("text", "through the wire", kind="in")

        wire.cut()
        await page.logged("close", "1006 lost without a close frame")


async def test_a_page_from_another_port_is_a_stranger(
    first_or_last: Server, new_page: NewPage, watch: Watch
) -> None:
    watch.expect("Unexpected response code: 403")
    page = await new_page()

    async with Wire("127.0.0.1", first_or_last.port) as wire:
        await page.goto(wire.http("/?lang=en"))

        stranger = ChapterPage(page)
        close = await stranger.logged("close", kind="problem")
        assert close.content == '1006 lost without a close frame · "" · wasClean false'
        await stranger.shows("○ closed")


# Chinese


async def test_chinese_leaves_no_english_label(
    each_chapter: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(each_chapter, "zh")
    number = each_chapter.number

    await expect(page.page).to_have_title(f"第 {number} 章 · 逐帧")
    await expect(page.page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page.page.get_by_role("heading", level=1)).to_have_text(TITLES[number][1])
    labels = page.page.locator("h1, h2, header p, label, .label, .hint:not(:empty), button, option")
    texts = [text.strip() for text in await labels.all_text_contents()]
    signs = await page.page.locator(".signs li").all_text_contents()
    english = {text for text in texts + signs if not re.search(r"[\u4e00-\u9fff]", text)}
    assert english <= NO_CHINESE
    assert len(texts) > 15


async def test_english_leaves_no_chinese_label(
    each_chapter: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(each_chapter, "en")

    number = each_chapter.number
    await expect(page.page).to_have_title(f"Chapter {number} · Frame by Frame")
    await expect(page.page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.page.get_by_role("heading", level=1)).to_have_text(TITLES[number][0])
    texts = await page.page.locator("header, main").all_inner_texts()
    assert re.findall(r"[\u4e00-\u9fff]", " ".join(texts).replace("帧", "")) == []


async def test_a_conversation_in_chinese(
    some_chapter: Server, open_chapter: OpenChapter, watch: Watch
) -> None:
    page = await open_chapter(some_chapter, "zh")

    await page.shows("● 已打开")
    await expect(page.page.locator("#buffered")).to_have_text("0 字节")
    welcome = await page.logged("文本", "welcome")
    assert welcome.size.endswith(" 字节")
    if some_chapter.number < 3:
        await page.field("文本消息").fill("你好")
        await page.press("→ 发送")
        assert (await page.logged("文本", "你好", kind="in")).size == "6 字节"
        await page.field("二进制消息（十六进制）").fill("0")
        await page.press("→ 发送字节")
        await expect(page.page.get_by_role("alert")).to_have_text(re.compile("十六进制"))
    else:
        await page.press("→ Ping")
        await expect(page.page.locator("#round-trip")).to_have_text(
            re.compile(r"^往返 [\d.]+ 毫秒$")
        )
        await expect(page.page.get_by_role("meter")).to_have_accessible_name(
            re.compile("^对端沉默 .* 秒，满 50 秒判定已死$")
        )
        await page.press("静默")
        await page.logged("silent", "从这里开始假装断线")
    await page.field("关闭码").fill("4000")
    await page.field("原因").fill("够了")
    await page.press("关闭")
    assert (await page.logged("close()")).content == '4000 私有关闭码 · "够了"'
    await page.logged("close", "4000 私有关闭码")
    await page.shows("○ 已关闭")
    assert await page.button("连接").is_enabled()
    assert await page.button("断开").is_disabled()


async def test_the_browser_decides_the_language_unless_the_address_does(
    first_or_last: Server, new_page: NewPage
) -> None:
    page = await new_page(locale="zh-TW")

    await page.goto(first_or_last.page)
    await ChapterPage(page).shows("● 已打开")
    await page.goto(f"{first_or_last.page}?lang=en")
    await ChapterPage(page).shows("● open")


# The look


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LONG = "x" * 300 + "。" * 120


async def test_a_narrow_page_does_not_scroll_sideways(
    each_chapter: Server, open_chapter: OpenChapter
) -> None:
    for language in ("en", "zh"):
        page = await open_chapter(each_chapter, language, viewport=NARROW)
        await page.page.evaluate(
            """(text) => {
              for (const kind in ARROWS) log(kind, "InvalidAccessError", 70000, text);
            }""",
            LONG,
        )
        assert await overflow(page.page) == "", language
        inside = "(log) => log.scrollWidth - log.clientWidth"
        assert await page.page.locator("#log").evaluate(inside) == 0, language


async def test_every_text_can_be_read_in_light_and_dark(
    each_chapter: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(each_chapter)
    await page.page.evaluate("() => { for (const kind in ARROWS) log(kind, kind, 7, kind); }")

    for scheme in SCHEMES:
        await page.page.emulate_media(color_scheme=scheme)
        paper = await page.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 3 * 128) == (scheme == "dark")
        for state in ("OPEN", "CONNECTING", "CLOSED", "DEAD"):
            await page.page.evaluate("(state) => { $('state').dataset.state = state; }", state)
            assert await faint(page.page) == [], (scheme, state)


FILL = """(count) => {
  for (let i = 1; i <= count; i += 1) log("control", "filler", null, `no ${Math.random()}`);
}"""
TOP_LINE = """(log) => {
  const edge = log.getBoundingClientRect().top;
  const lines = [...log.querySelectorAll("li")];
  return lines.find((line) => line.getBoundingClientRect().bottom > edge).textContent;
}"""


async def test_the_log_follows_its_end_unless_you_scrolled_up(
    first_or_last: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(first_or_last)
    log, lines = page.page.locator("#log"), page.page.locator("#log li")

    await page.page.evaluate(FILL, 600)
    await expect(lines).to_have_count(500)
    await expect(lines.last).to_be_in_viewport()

    await log.evaluate("(log) => { log.scrollTop /= 2; }")
    reading = await log.evaluate(TOP_LINE)
    await page.page.evaluate(FILL, 20)
    await expect(lines).to_have_count(500)
    assert await log.evaluate(TOP_LINE) == reading


async def test_every_control_has_a_name(some_chapter: Server, open_chapter: OpenChapter) -> None:
    page = await open_chapter(some_chapter)

    tree = await page.page.locator("body").aria_snapshot()

    roles = r"button|textbox|combobox|meter|log|link|checkbox|slider|switch|spinbutton|option"
    controls = re.findall(rf"^ *- '?(?:{roles})\b.*$", tree, flags=re.MULTILINE)
    assert len(controls) >= 13
    assert [control for control in controls if not re.search(r'"[^"]+"', control)] == []


FOCUS = """() => {
  const element = document.activeElement, style = getComputedStyle(element);
  if (element === document.body) return null;
  const box = element.getBoundingClientRect();
  const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2;
  const y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2;
  return {
    name: element.id,
    outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: element.contains(document.elementFromPoint(x, y)),
  };
}"""


async def test_the_keyboard_reaches_every_control_in_sight(
    some_chapter: Server, open_chapter: OpenChapter
) -> None:
    page = await open_chapter(some_chapter)
    controls = await page.page.locator(
        ":is(input, select, button):enabled, [tabindex='0']"
    ).evaluate_all("(found) => found.map((element) => element.id)")

    for viewport in (WIDE, NARROW):
        await page.page.set_viewport_size(viewport)
        await page.page.reload()
        await page.logged("text", "welcome")
        if some_chapter.number >= 9:  # a line that comes later pushes the controls about
            await page.page.locator("#instances [data-well=true]").wait_for()
        visited = []
        for _ in controls:
            await page.page.keyboard.press("Tab")
            visited.append(await page.page.evaluate(FOCUS))

        assert all(visited)
        assert [stop["name"] for stop in visited] == controls
        assert [stop["name"] for stop in visited if not stop["outline"]] == []
        assert [stop["name"] for stop in visited if not stop["seen"]] == []
