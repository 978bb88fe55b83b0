"""Pictures of every page, for people to look at: wide and narrow, both languages, light and dark.

Run: python -m tests.browser.screenshots        and find them in build/screenshots/
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page

from course import site, tools
from course.manifest import LANGUAGES, load
from tests.browser.browsing import NARROW, WIDE, Visitors, chromium
from tests.browser.built_site import PAGES, PREFIX, drawn, serving
from tests.browser.chapter_page import running

FOLDER = tools.BUILD / "screenshots"
VIEWPORTS = {"wide": WIDE, "narrow": NARROW}
PALETTES = {"light": False, "dark": True}
LOOKS = list(itertools.product(LANGUAGES, VIEWPORTS, PALETTES))
# What is pressed on a chapter's page first, so that its log has something to show: how many lines
# each adds. The others have no such log.
PRESSED = {
    1: {"#send-text": 2, "#send-binary": 2, "#close": 2, "#connect": 3},
    2: {"#send-text": 2, "#send-binary": 2, "#rest": 1, "#rest-404": 1},
    3: {"#ping": 2, "#send-echo": 2, "#send-broken": 2, "#rest": 1},
    4: {"#send-echo": 2, "#cut": 5, "#connect": 3},
    5: {"#join": 2, "#publish": 3, "#send-bad": 2, "#post": 2},
    6: {"#join": 3, "#publish": 4, "#notify": 5},
    7: {"#join": 2, "#publish": 3, "#slow": 20, "#stats": 1},
    8: {"#renew": 3, "#try": 2, "#read-audit": 1},
    9: {"#join": 2, "#publish": 3, "#health": 1, "#post": 2},
    10: {"#join": 2, "#publish": 3, "#send-bad": 2, "#post": 2},
    13: {"#next": 0, "#try": 2, "#doctor": 4},  # at least: the patient is drawn
}


async def chapters(visitors: Visitors) -> None:
    for chapter in load().chapters:
        if chapter.role == "deployment":
            continue  # several programs: see SHOTS in test_page_12.py
        async with running(chapter.number) as server:
            for language, size, palette in LOOKS:
                page = await visitors.arrive(viewport=VIEWPORTS[size], dark=PALETTES[palette])
                await page.goto(f"{server.page}?lang={language}")
                await converse(page, chapter.number)
                await save(
                    page, f"chapter-{chapter.number}-{size}-{language}-{palette}", whole=False
                )
                await visitors.leave(page)


async def converse(page: Page, number: int) -> None:
    if await page.locator("#login").count():
        await page.locator("#login").click()  # nobody is let in before
    if number in PRESSED and number != 13:  # whose page has patients, and no connection of its own
        await page.locator("#log li[data-kind=in]").wait_for()  # the welcome
    for button, lines in PRESSED.get(number, {}).items():
        log = page.locator("#log li")
        before = await log.count()
        await page.locator(f"{button}:enabled").click()
        if lines:
            await log.nth(before + lines - 1).wait_for()


async def lessons(visitors: Visitors, address: str) -> None:
    for language, size, palette in LOOKS:
        for name in PAGES:
            page = await visitors.arrive(viewport=VIEWPORTS[size], dark=PALETTES[palette])
            await page.goto(address + PREFIX[language] + name)
            await drawn(page)
            short = name.rstrip("/").replace("/", "-") or "home"
            await save(page, f"site-{short}-{size}-{language}-{palette}", whole=True)
            await visitors.leave(page)


async def save(page: Page, name: str, *, whole: bool) -> None:
    """Take a picture of the window, or of the whole page however long it is."""
    await page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)


async def main() -> None:
    if not tools.chinese_fonts():
        print("no Chinese font is installed: Chinese will be shown as boxes", file=sys.stderr)
    shutil.rmtree(FOLDER, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        site.build(Path(folder))
        with serving(Path(folder)) as address:
            async with chromium() as browser:
                visitors = Visitors(browser)
                await chapters(visitors)
                await lessons(visitors, address)
    print(f"{len(list(FOLDER.iterdir()))} pictures in {FOLDER}")


if __name__ == "__main__":
    asyncio.run(main())
