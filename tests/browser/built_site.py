"""The lessons' site as its readers get it: served from loopback."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from playwright.async_api import Page, expect

from course.manifest import ROOT

ENGLISH = ROOT / "site" / "en"
PAGES = [  # as in an address: "", "chapters/01-browser/" …
    re.sub(r"(^|/)index/$", r"\1", path.relative_to(ENGLISH).with_suffix("").as_posix() + "/")
    for path in sorted(ENGLISH.rglob("*.md"))
]
PREFIX = {"en": "", "zh": "zh/"}


Instead = Mapping[str, Callable[[bytes], bytes]]


def nothing(content: bytes) -> bytes:
    return b""


def no_sections(index: bytes) -> bytes:
    """A search index in which nothing is found."""
    return json.dumps({**json.loads(index), "docs": []}).encode()


# Every page reads the index to be ready for a search; most of a visit's work is that.
UNSEARCHABLE = {"search_index.json": no_sections}
# The theme's script is most of the rest, and the same on every page.
WITHOUT_THEME = {"bundle.*.min.js": nothing}


class Handler(SimpleHTTPRequestHandler):
    """Files that may be cached: each run has a server of its own, so none can be stale."""

    def __init__(self, *arguments: Any, instead: Instead, **named: Any) -> None:
        self.instead = instead
        super().__init__(*arguments, **named)

    def send_head(self) -> BinaryIO | None:
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        for pattern, replace in self.instead.items():
            if path.match(pattern) and path.exists():
                content = replace(path.read_bytes())
                self.send_response(200)
                self.send_header("Content-Type", self.guess_type(path))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                return io.BytesIO(content)
        return super().send_head()

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=3600")
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing of each request."""


@contextlib.contextmanager
def serving(folder: Path, instead: Instead | None = None) -> Iterator[str]:
    """Serve `folder` on a free loopback port; yields its address, with a slash at the end.

    instead  what is given in place of the files whose names match a pattern: for what costs the
             browser more than a test would learn from it.
    """
    handler = functools.partial(Handler, directory=str(folder), instead=instead or {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


async def drawn(page: Page) -> None:
    """Wait until every diagram is drawn: then the <pre> of its source is gone."""
    await expect(page.locator("pre.mermaid")).to_have_count(0)
    for diagram in await page.locator("div.mermaid").all():
        await expect(diagram.locator("svg")).to_have_count(1)
