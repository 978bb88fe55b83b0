"""Browsing: one Chromium, and visitors who come with an empty browser."""

from __future__ import annotations

from collections import defaultdict
from contextlib import AbstractAsyncContextManager

from playwright.async_api import Browser, Error, Page, ViewportSize

from course import browser

WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 360, "height": 740}  # a small telephone
PATIENCE_MS = 30_000  # for anything a page should do at once, on a busy machine

# No name but loopback is resolved, so a page that wants something from elsewhere cannot have it.
HERMETIC = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
# A diagram is drawn into a closed shadow tree; this leaves it open, so that it can be looked at.
OPEN_SHADOWS = """
const attach = Element.prototype.attachShadow;
Element.prototype.attachShadow = function (how) {
  return attach.call(this, { ...how, mode: "open" });
};
"""
FORGET = "if (location.protocol === 'http:') { localStorage.clear(); sessionStorage.clear(); }"


def chromium() -> AbstractAsyncContextManager[Browser]:
    """The browser of this machine, which reaches nothing but this machine."""
    return browser.chromium(HERMETIC)


class Visitors:
    """Hands out empty pages, each in a browser context of its own, and takes them back.

    A new page costs Chromium four times the work of a visit, so one that was given back is emptied
    (its document, its storage, its cookies) and handed out again. What stays is the HTTP cache.
    """

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.waiting: dict[str, list[Page]] = defaultdict(list)  # locale → pages to hand out
        self.locales: dict[Page, str] = {}

    async def arrive(
        self, *, viewport: ViewportSize = WIDE, dark: bool = False, locale: str = "en-US"
    ) -> Page:
        """An empty page of this size, in this palette, of a reader with this language."""
        waiting = self.waiting[locale]
        page = waiting.pop() if waiting else await self._new(locale)
        await page.set_viewport_size(viewport)
        await page.emulate_media(color_scheme="dark" if dark else "light")
        return page

    async def leave(self, page: Page) -> None:
        """Take a page back, or give it up if it cannot be emptied."""
        try:
            await page.evaluate(FORGET)
            await page.goto("about:blank")
            await page.context.clear_cookies()
            await page.mouse.move(0, 0)
        except Error:  # its process crashed, or the test closed it
            await page.context.close()
        else:
            self.waiting[self.locales[page]].append(page)

    async def _new(self, locale: str) -> Page:
        context = await self.browser.new_context(locale=locale)
        context.set_default_timeout(PATIENCE_MS)
        await context.add_init_script(OPEN_SHADOWS)
        page = await context.new_page()
        self.locales[page] = locale
        return page
