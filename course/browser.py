"""A browser without a window, for what is measured and tested on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from playwright.async_api import Browser, async_playwright

from course import tools


@contextlib.asynccontextmanager
async def chromium(*arguments: str) -> AsyncIterator[Browser]:
    """The Chromium of this machine, which asks no proxy; `arguments` are more of its options."""
    words = [*tools.CHROMIUM_ARGUMENTS, "--no-proxy-server", *arguments]
    if tools.is_root():
        words.append("--no-sandbox")  # its sandbox refuses to run as root
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=tools.chromium(), args=words) as browser,
    ):
        yield browser
