"""Browsing: one Chromium, and a watch over what its pages say and ask for."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    ViewportSize,
    WebError,
    WebSocket,
    async_playwright,
)

from course import tools

WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 360, "height": 740}  # a small telephone
PATIENCE_MS = 10_000  # for anything a page should do at once, on a busy machine

# No name but loopback is resolved and no proxy is asked, so a page that wants something from
# elsewhere cannot have it even while the watch records that it asked.
HERMETIC = (
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
HERE = {"127.0.0.1", "localhost"}
INLINE = {
    "data",
    "blob",
    "about",
}  # schemes that leave the page no more than they leave the machine


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser of this machine, started without a window."""
    arguments = [*tools.CHROMIUM_ARGUMENTS, *HERMETIC]
    if tools.is_root():
        arguments.append("--no-sandbox")  # its sandbox refuses to run as root
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(
            executable_path=tools.chromium(), args=arguments
        ) as browser,
    ):
        yield browser


async def new_context(
    browser: Browser,
    *,
    viewport: ViewportSize = WIDE,
    dark: bool = False,
    locale: str = "en-US",
) -> BrowserContext:
    """A visitor with an empty cache and no history."""
    context = await browser.new_context(
        viewport=viewport, color_scheme="dark" if dark else "light", locale=locale
    )
    context.set_default_timeout(PATIENCE_MS)
    return context


class Watch:
    """Everything that the pages of one test complained about or asked for."""

    def __init__(self) -> None:
        self.complaints: list[str] = []  # of the console, of scripts, of the network
        self.addresses: list[str] = []  # of every request and every WebSocket
        self.sent: list[str | bytes] = []  # every WebSocket message that went out
        self.expected: list[str] = []

    def over(self, context: BrowserContext) -> None:
        """Watch all pages of `context` from now on."""
        context.on("console", self._console)
        context.on("weberror", self._script)
        context.on("request", self._request)
        context.on("requestfailed", self._failure)
        context.on("page", self._page)

    def expect(self, pattern: str) -> None:
        """One complaint or more will match this regular expression, and that is right."""
        self.expected.append(pattern)

    def problems(self) -> list[str]:
        """What was not right: complaints nobody expected, expected ones that never came, and
        requests to elsewhere."""
        found = [
            complaint
            for complaint in self.complaints
            if not any(re.search(pattern, complaint) for pattern in self.expected)
        ]
        found += [
            f"expected, and never seen: {pattern}"
            for pattern in self.expected
            if not any(re.search(pattern, complaint) for complaint in self.complaints)
        ]
        return found + [
            f"asked elsewhere: {address}" for address in filter(outside, self.addresses)
        ]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.location.get("url", "")
            self.complaints.append(f"console {message.type}: {message.text} [{where}]")

    def _script(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        self.addresses.append(request.url)

    def _failure(self, request: Request) -> None:
        self.complaints.append(f"request failed: {request.url} [{request.failure}]")

    def _page(self, page: Page) -> None:
        page.on("websocket", self._websocket)

    def _websocket(self, websocket: WebSocket) -> None:
        self.addresses.append(websocket.url)
        websocket.on("framesent", self._message)

    def _message(self, payload: str | bytes) -> None:
        self.sent.append(payload)


def outside(address: str) -> bool:
    """Whether a request left this machine."""
    parts = urlsplit(address)
    return parts.scheme not in INLINE and parts.hostname not in HERE


async def overflow(page: Page) -> str:
    """What makes the page scroll sideways; empty if nothing does."""
    found: str = await page.evaluate(
        """() => {
          const room = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= room) return "";
          const wide = [...document.body.querySelectorAll("*")].filter(
            (element) => element.getBoundingClientRect().right > room + 1);
          const names = wide.map((element) => element.id || element.className || element.tagName);
          return `${document.documentElement.scrollWidth} px wide in ${room}: ${names.join(", ")}`;
        }"""
    )
    return found
