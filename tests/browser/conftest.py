"""One browser for all tests here, a new visitor for each, and nobody may complain unnoticed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.browser import built_site
from tests.browser.browsing import PATIENCE_MS, WIDE, Visitors, chromium
from tests.browser.chapter_page import ChapterPage, Server, running
from tests.browser.watch import Watch
from tests.site.building import build_once

expect.set_options(timeout=PATIENCE_MS)
FAILED = pytest.StashKey[bool]()


class NewPage(Protocol):
    """Opens an empty page, of a visitor who was never here, and watches it."""

    async def __call__(
        self, *, viewport: ViewportSize = WIDE, dark: bool = False, locale: str = "en-US"
    ) -> Page: ...


class OpenChapter(Protocol):
    """Opens a chapter's page and waits until it has connected."""

    async def __call__(
        self,
        server: Server,
        language: str = "en",
        *,
        viewport: ViewportSize = WIDE,
        dark: bool = False,
    ) -> ChapterPage: ...


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
async def visitors() -> AsyncIterator[Visitors]:
    async with chromium() as browser:
        yield Visitors(browser)


@pytest.fixture
def watch() -> Watch:
    """Tell it what the test provokes; anything else in the console or the network is a failure."""
    return Watch()


@pytest.fixture
async def new_page(
    visitors: Visitors, watch: Watch, request: pytest.FixtureRequest
) -> AsyncIterator[NewPage]:
    opened: list[Page] = []

    async def open_page(
        *, viewport: ViewportSize = WIDE, dark: bool = False, locale: str = "en-US"
    ) -> Page:
        page = await visitors.arrive(viewport=viewport, dark=dark, locale=locale)
        opened.append(page)
        watch.begin(page)
        return page

    yield open_page
    for page in opened:
        watch.end(page)  # first: to leave a page makes its sockets complain
        if request.node.stash.get(FAILED, False):
            await page.context.close()  # whatever is wrong with it must not reach the next test
        else:
            await visitors.leave(page)
    if problems := watch.problems():
        pytest.fail("the pages did what nobody expected:\n" + "\n".join(problems), pytrace=False)


@pytest.fixture
def open_chapter(new_page: NewPage) -> OpenChapter:
    async def open_and_wait(
        server: Server,
        language: str = "en",
        *,
        viewport: ViewportSize = WIDE,
        dark: bool = False,
    ) -> ChapterPage:
        page = await new_page(viewport=viewport, dark=dark)
        await page.goto(f"{server.page}?lang={language}")
        chapter = ChapterPage(page)
        await chapter.logged("open")
        return chapter

    return open_and_wait


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Callable[[int], Awaitable[Server]]]:
    """One server for each chapter, with its default settings, for tests that do it no harm."""
    started: dict[int, Server] = {}
    async with contextlib.AsyncExitStack() as stack:

        async def server(number: int) -> Server:
            if number not in started:
                started[number] = await stack.enter_async_context(running(number))
            return started[number]

        yield server
        for one in started.values():
            assert one.process.alive, f"chapter {one.number} died: {await one.process.epitaph()}"


@pytest.fixture
async def chapter_1(servers: Callable[[int], Awaitable[Server]]) -> Server:
    return await servers(1)


@pytest.fixture
async def chapter_2(servers: Callable[[int], Awaitable[Server]]) -> Server:
    return await servers(2)


@pytest.fixture
async def chapter_3(servers: Callable[[int], Awaitable[Server]]) -> Server:
    return await servers(3)


@pytest.fixture
async def chapter_5(servers: Callable[[int], Awaitable[Server]]) -> Server:
    return await servers(5)


@pytest.fixture
async def chapter_6(servers: Callable[[int], Awaitable[Server]]) -> Server:
    return await servers(6)


@pytest.fixture
async def chapter_7(servers: Callable[[int], Awaitable[Server]]) -> Server:
    return await servers(7)


@pytest.fixture
async def chapter_10(servers: Callable[[int], Awaitable[Server]]) -> Server:
    return await servers(10)


@pytest.fixture(params=[1, 2, 3, 5, 7, 9], ids=lambda number: f"chapter {number}")
async def each_chapter(
    request: pytest.FixtureRequest, servers: Callable[[int], Awaitable[Server]]
) -> Server:
    return await servers(request.param)


@pytest.fixture(params=[1, 3, 9], ids=lambda number: f"chapter {number}")
async def some_chapter(
    request: pytest.FixtureRequest, servers: Callable[[int], Awaitable[Server]]
) -> Server:
    """One page of each kind: for what the others do by the same code."""
    return await servers(request.param)


@pytest.fixture(params=[1, 3], ids=lambda number: f"chapter {number}")
async def first_or_last(
    request: pytest.FixtureRequest, servers: Callable[[int], Awaitable[Server]]
) -> Server:
    """For what the pages do by the same code; another test holds them to that."""
    return await servers(request.param)


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both languages of the lessons, built strictly."""
    return build_once(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def site(site_folder: Path) -> Iterator[str]:
    """The address of the lessons, in which nothing can be searched for."""
    with built_site.serving(site_folder, built_site.UNSEARCHABLE) as address:
        yield address


@pytest.fixture(scope="session")
def whole_site(site_folder: Path) -> Iterator[str]:
    """The address of the lessons, with their search."""
    with built_site.serving(site_folder) as address:
        yield address
