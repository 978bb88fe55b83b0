"""The watch: what pages complain about, and whom they ask."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Error, Page, Request, WebSocket

HERE = {"127.0.0.1", "localhost"}
INLINE = {"data", "blob", "about"}  # what such an address names is in the page itself


class Watch:
    """Everything that the pages of one test complained about or asked for."""

    def __init__(self) -> None:
        self.complaints: list[str] = []  # of the console, of scripts, of the network
        self.addresses: list[str] = []  # of every request and every WebSocket
        self.sent: list[str | bytes] = []  # every WebSocket message that went out
        self.expected: list[str] = []
        self.possible: list[str] = []

    def begin(self, page: Page) -> None:
        """Watch `page`, its frames and its workers from now on."""
        page.on("console", self._console)
        page.on("pageerror", self._script)
        page.on("request", self._request)
        page.on("requestfailed", self._failure)
        page.on("websocket", self._websocket)

    def end(self, page: Page) -> None:
        page.remove_listener("console", self._console)
        page.remove_listener("pageerror", self._script)
        page.remove_listener("request", self._request)
        page.remove_listener("requestfailed", self._failure)
        page.remove_listener("websocket", self._websocket)

    def expect(self, pattern: str) -> None:
        """One complaint or more will match this regular expression, and that is right."""
        self.expected.append(pattern)

    def bear(self, pattern: str) -> None:
        """Complaints that match this regular expression may come or not: a race decides it."""
        self.possible.append(pattern)

    def problems(self) -> list[str]:
        """Complaints nobody expected, expected ones that never came, and requests to elsewhere."""
        found = [
            complaint
            for complaint in self.complaints
            if not any(re.search(it, complaint) for it in self.expected + self.possible)
        ]
        found += [
            f"expected, and never seen: {pattern}"
            for pattern in self.expected
            if not any(re.search(pattern, complaint) for complaint in self.complaints)
        ]
        return found + [f"asked elsewhere: {it}" for it in self.addresses if outside(it)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.location.get("url", "")
            self.complaints.append(f"console {message.type}: {message.text} [{where}]")

    def _script(self, error: Error) -> None:
        self.complaints.append(f"uncaught: {error}")

    def _request(self, request: Request) -> None:
        self.addresses.append(request.url)

    def _failure(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # that is a visitor who left before it came
            self.complaints.append(f"request failed: {request.url} [{request.failure}]")

    def _websocket(self, websocket: WebSocket) -> None:
        self.addresses.append(websocket.url)
        websocket.on("framesent", self._message)

    def _message(self, payload: str | bytes) -> None:
        self.sent.append(payload)


def outside(address: str) -> bool:
    """Whether a request left this machine."""
    parts = urlsplit(address)
    return parts.scheme not in INLINE and parts.hostname not in HERE
