"""The page of chapter 13: a patient, a guess, the doctor, the cure, and a score."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from tests.browser.browsing import NARROW, WIDE
from tests.browser.chapter_page import Server, running
from tests.browser.conftest import NewPage
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch

STANDS_MS = 30_000  # until a deployment stands or the doctor has been there, on a busy machine
RIGHT = {"blob-echo": "Text that comes as a Blob", "wrong-path": "The wrong path"}


@pytest.fixture(scope="module")
async def room() -> AsyncIterator[Server]:
    """`ROUNDS=blob-echo,wrong-path make chapter-13`."""
    async with running(13, ROUNDS=",".join(RIGHT), SEED="1") as server:
        yield server


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def wait_for_patient(page: Page, number: int) -> None:
    status = re.compile(rf"^Patient {number} of 2$")
    await expect(page.get_by_role("status")).to_have_text(status, timeout=STANDS_MS)


async def logged(page: Page, kind: str, what: str, text: str = "") -> None:
    selector = f'#log li[data-kind="{kind}"][data-what="{what}"]'
    line = page.locator(selector).filter(has_text=text).last
    await expect(line).to_be_visible(timeout=STANDS_MS)


async def test_no_other_page_may_start_programs_here(room: Server, new_page: NewPage) -> None:
    page = await new_page()
    headers = {"Origin": "http://evil.example"}

    refused = await page.request.post(f"{room.page}api/round/next", headers=headers)
    nothing = await page.request.post(
        f"{room.page}api/round/cure", headers={"Origin": room.page[:-1]}
    )

    assert (refused.status, nothing.status) == (403, 409)


async def test_a_learner_looks_guesses_is_told_and_sees_the_cure(
    room: Server, new_page: NewPage, watch: Watch
) -> None:
    page = await new_page()
    await page.goto(f"{room.page}?lang=en")
    await press(page, "First patient")
    await wait_for_patient(page, 1)
    state = await (await page.request.get(f"{room.page}api/round")).json()
    assert "name" not in state and "cause" not in state  # nobody is told before the guess
    assert len(state["choices"]) == 5

    # It looks for itself: this page is let in, and hears what a script can hear.
    await expect(page.locator("#seen")).to_contain_text("[object Blob]")
    await press(page, "Let this page try")
    await logged(page, "in", "message", "a Blob of 16 bytes")
    await expect(page.locator("#commands")).to_contain_text("python doctor.py 'ws://127.0.0.1:")

    # A wrong guess costs a point; the right one tells the cause and the cure.
    wrong = next(c["title"] for c in state["choices"] if c["title"] not in RIGHT.values())
    await press(page, wrong)
    await logged(page, "problem", "not that", wrong)
    await press(page, RIGHT["blob-echo"])
    await logged(page, "ok", "right", "2 points")
    await logged(page, "advice", "cure", "Send text as text")
    await expect(page.locator("#score")).to_have_text("2 points")

    # The cure stands, and the doctor finds it healthy.
    await press(page, "Apply the cure")
    await logged(page, "ok", "healthy")
    await expect(page.locator("#seen")).not_to_contain_text("Blob")
    await expect(page.locator("#hops [data-is=ok]").first).to_have_text("dns")

    # The next patient: the doctor is asked first, and shows at which hop it ends.
    await press(page, "Next patient")
    await wait_for_patient(page, 2)
    await press(page, "Ask the doctor (then one point at most)")
    await logged(page, "problem", "upgrade", "there is no WebSocket at /socket")
    await expect(page.locator("#hops [data-is=problem]")).to_have_text("http")
    await press(page, RIGHT["wrong-path"])
    await logged(page, "ok", "right", "1 point")
    await expect(page.get_by_role("status")).to_have_text("All done: 3 points of 6")
    await expect(page.locator("#next")).to_be_disabled()

    for viewport in (WIDE, NARROW):
        for scheme in ("light", "dark"):
            await page.set_viewport_size(viewport)
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert await overflow(page) == ""
            assert await faint(page) == []
    await page.goto(f"{room.page}?lang=zh")  # a reload finds the round as it is
    await expect(page.get_by_role("status")).to_have_text("全部看完：3 分，满分 6 分")
    await expect(page.locator("#choices [data-is=right]")).to_have_text("路径不对")
