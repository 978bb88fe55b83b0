"""A chapter as its learner meets it: the program in one terminal, its page in a browser."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from playwright.async_api import Error, Locator, Page, expect

from course.manifest import load
from course.tools import free_port, local_secrets
from tests.harness.subject import CannotRun, Process

STARTS = 3  # a port that was free may be taken a moment later; then another is tried
# The settings a chapter knows, unset: whoever runs the tests may have some in the environment.
DEFAULTS = {"ALLOWED_ORIGINS": "", "MAX_MESSAGE_BYTES": "", "HEARTBEAT_SECONDS": ""}
DEFAULTS |= {"BACKOFF_BASE_MS": "", "BACKOFF_CAP_MS": "", "STABLE_MS": "", "CONNECT_TIMEOUT": ""}
DEFAULTS |= {"FLUSH_MS": "", "QUEUE_LIMIT": "", "QUEUE_BYTES": ""}
CHEAP = {"SCRYPT_LOG_N": "10"}  # no page asks what a password costs; what starts a chapter does
# `{"alg"`, as every token begins; a random id may have three letters of it by chance.
TOKEN = "eyJhbGci"


class Server:
    """One run of a chapter's server.py."""

    def __init__(self, number: int, process: Process) -> None:
        self.number = number
        self.process = process
        self.port = process.port
        self.page = f"http://127.0.0.1:{self.port}/"
        self.websocket = f"ws://127.0.0.1:{self.port}/ws"

    def signal(self, number: signal.Signals) -> None:
        assert self.process.process is not None
        self.process.process.send_signal(number)


@contextlib.asynccontextmanager
async def running(number: int, **environment: str) -> AsyncIterator[Server]:
    """Chapter `number` on a free port, with these settings; ended on the way out."""
    chapter = load().chapter(number)
    secrets = local_secrets(chapter.secrets, environment)
    for attempt in range(1, STARTS + 1):
        settings = {
            "HOST": "127.0.0.1",
            "PORT": str(free_port()),
            **DEFAULTS,
            **CHEAP,
            **secrets,
            **environment,
        }
        process = Process([sys.executable, "server.py"], str(chapter.folder), settings)
        try:
            await process.start()
            await process.ready()
        except CannotRun as error:
            await process.stop()
            if attempt == STARTS or "cannot listen" not in str(error):
                raise
            continue
        break
    try:
        yield Server(number, process)
    finally:
        await process.stop()


@dataclass(frozen=True)
class Line:
    """One line of a page's log, cell by cell."""

    kind: str  # out, in, http, control, problem
    time: str
    arrow: str
    what: str
    size: str
    content: str


READ_LINES = """(lines) => lines.map((line) => ({
  kind: line.dataset.kind,
  ...Object.fromEntries([...line.children].map((cell) => [cell.className, cell.textContent])),
}))"""


class ChapterPage:
    """The page of a chapter, by what a learner sees: labels, the state, the log."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.address = self.field("Address")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def field(self, name: str) -> Locator:
        return self.page.get_by_role("textbox", name=name, exact=True)

    async def press(self, name: str) -> None:
        await self.button(name).click()

    async def connect(self, address: str) -> None:
        """Hang up if need be, type `address` and connect."""
        await self.address.fill(address)
        await self.press("Connect")

    async def shows(self, state: str) -> None:
        """Wait for this state: its shape and its word, as in `● open`."""
        await expect(self.page.get_by_role("status")).to_have_text(state)

    async def lines(self) -> list[Line]:
        """The whole log."""
        found = await self.page.locator("#log li").evaluate_all(READ_LINES)
        return [Line(**cells) for cells in found]

    async def logged(self, what: str, text: str = "", *, kind: str = "", number: int = 1) -> Line:
        """Wait for the `number`-th line that says `what` and has `text` in it."""
        selector = f'#log li[data-what="{what}"]' + (f'[data-kind="{kind}"]' if kind else "")
        rows = self.page.locator(selector).filter(has_text=text)
        try:
            await rows.nth(number - 1).wait_for()
        except Error as error:
            log = "\n".join(str(line) for line in await self.lines()) or "nothing"
            wanted = " ".join(part for part in (kind, what, text) if part)
            raise AssertionError(f"no line {number} of `{wanted}`; the log says:\n{log}") from error
        cells = (await rows.evaluate_all(READ_LINES))[number - 1]
        return Line(**cells)

    async def clear(self) -> None:
        await self.press("Clear")
        await expect(self.page.locator("#log li")).to_have_count(0)
