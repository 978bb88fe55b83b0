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
        if request.failure != "net::ERR_ABORTED":  # that is a visitor who left before it came
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


FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const paint = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const rgba = (color) => known.get(color) ?? known.set(color, paint(color)).get(color);
  const over = ([red, green, blue, alpha], below) =>
    [red, green, blue].map((value, at) => (value * alpha + below[at] * (255 - alpha)) / 255);
  const linear = (value) =>
    value <= 0.04045 * 255 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([red, green, blue]) =>
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const ground = (element) => element === null
    ? [255, 255, 255]
    : over(rgba(getComputedStyle(element).backgroundColor), ground(element.parentElement));

  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim(), element = texts.currentNode.parentElement;
    if (!text || element.closest("script, style, svg, :disabled")) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const style = getComputedStyle(element), below = ground(element);
    const both = [luminance(over(rgba(style.color), below)), luminance(below)];
    const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.add(`${ratio.toFixed(2)}:1 ${text.slice(0, 40)}`);
  }
  return [...found];
}"""


async def faint(page: Page) -> list[str]:
    """The visible texts with less contrast than WCAG 2.2 §1.4.3 asks for (level AA).

    Text in controls that are disabled does not count there, and text in pictures not here.
    """
    found: list[str] = await page.evaluate(FAINT)
    return found
