"""What watches over the pages: what it does not see, no other test here would notice."""

from __future__ import annotations

import pytest

from tests.browser.browsing import Visitors
from tests.browser.chapter_page import Server
from tests.browser.conftest import NewPage
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch, outside

ELSEWHERE = "http://elsewhere.invalid/picture.png"
TROUBLE = {
    "an error in the console": "<script>console.error('oh no')</script>",
    "a warning in the console": "<script>console.warn('oh no')</script>",
    "an uncaught exception": "<script>throw new Error('oh no')</script>",
    "a promise nobody caught": "<script>Promise.reject(new Error('oh no'))</script>",
}


@pytest.fixture
def other_watch(watch: Watch) -> Watch:
    """A second one, for what must be reported; the first, which every test has, keeps quiet."""
    watch.expect("")
    return Watch()


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_a_page_in_trouble_is_reported(
    trouble: str, new_page: NewPage, other_watch: Watch
) -> None:
    page = await new_page()
    other_watch.begin(page)

    await page.set_content(TROUBLE[trouble])
    await page.evaluate("() => new Promise(setTimeout)")  # a rejection is told a turn later

    assert len(other_watch.problems()) == 1
    assert "oh no" in other_watch.problems()[0]


async def test_a_request_to_elsewhere_is_reported_and_cannot_succeed(visitors: Visitors) -> None:
    page, watch = await visitors.arrive(), Watch()
    watch.begin(page)

    async with page.expect_event("requestfailed"):
        await page.set_content(f'<img src="{ELSEWHERE}">')
    async with page.expect_event("websocket"):
        await page.evaluate("() => { new WebSocket('ws://elsewhere.invalid/ws'); }")

    problems = watch.problems()
    assert f"asked elsewhere: {ELSEWHERE}" in problems
    assert "asked elsewhere: ws://elsewhere.invalid/ws" in problems
    assert any(problem.startswith(f"request failed: {ELSEWHERE}") for problem in problems)
    await page.context.close()


async def test_a_request_that_a_worker_makes_is_reported(
    visitors: Visitors, chapter_1: Server
) -> None:
    page, watch = await visitors.arrive(), Watch()
    watch.begin(page)
    await page.goto(chapter_1.page)

    async with page.expect_event("requestfailed"):
        await page.evaluate(
            """(address) => { new Worker(URL.createObjectURL(
                 new Blob([`fetch("${address}")`], { type: "text/javascript" }))); }""",
            ELSEWHERE,
        )

    assert f"asked elsewhere: {ELSEWHERE}" in watch.problems()
    await page.context.close()


async def test_what_was_expected_has_to_come(new_page: NewPage, other_watch: Watch) -> None:
    page = await new_page()
    other_watch.begin(page)
    other_watch.expect("the right trouble")

    await page.set_content("<script>console.error('the wrong trouble')</script>")
    assert len(other_watch.problems()) == 2

    other_watch.complaints[0] = "the right trouble"
    assert other_watch.problems() == []


async def test_nothing_of_a_visitor_is_left_for_the_next(
    visitors: Visitors, chapter_1: Server
) -> None:
    page = await visitors.arrive(dark=True)
    await page.goto(chapter_1.page)
    await page.evaluate(
        "() => { localStorage.a = sessionStorage.b = document.cookie = 'c=1'; window.d = 1; }"
    )
    await visitors.leave(page)

    again = await visitors.arrive()

    assert again is page
    await again.goto(chapter_1.page)
    assert await again.evaluate(
        """() => [localStorage.length, sessionStorage.length, document.cookie, window.d ?? 0,
                  matchMedia("(prefers-color-scheme: dark)").matches]"""
    ) == [0, 0, "", 0, False]
    await visitors.leave(again)


@pytest.mark.parametrize(
    ("address", "left"),
    [
        ("http://127.0.0.1:8080/", False),
        ("ws://localhost:8080/ws", False),
        ("data:text/plain,hello", False),
        ("blob:http://127.0.0.1:8080/1234", False),
        ("https://127.0.0.1.example.com/", True),
        ("https://unpkg.com/mermaid@11/dist/mermaid.min.js", True),
        ("ws://192.0.2.1/ws", True),
    ],
)
def test_an_address_is_here_or_elsewhere(address: str, left: bool) -> None:
    assert outside(address) == left


async def test_a_page_that_is_too_wide_is_found(new_page: NewPage) -> None:
    page = await new_page()

    await page.set_content("<p>narrow</p>")
    assert await overflow(page) == ""

    await page.set_content('<p id="plank" style="width: 200vw">wide</p>')
    assert "plank" in await overflow(page)


STYLES = {
    "color: #767676": False,  # 4.54:1, the palest grey that is allowed on white
    "color: #777": True,  # 4.48:1
    "color: #949494; font-size: 24px": False,  # 3.03:1, enough for large text
    "color: #fff; background: #767676": False,
    "color: rgb(0 0 0 / 50%)": True,  # half of black on white is the grey #808080
    "color: #777; visibility: hidden": False,
}


async def test_text_that_is_hard_to_read_is_found(new_page: NewPage) -> None:
    page = await new_page()

    for style, is_faint in STYLES.items():
        await page.set_content(f'<p style="{style}">words</p>')
        assert bool(await faint(page)) == is_faint, style
