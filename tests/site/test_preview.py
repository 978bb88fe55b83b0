"""Live reload: open pages learn of a new build, and a failed one changes only the notice."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest
from watchdog.events import (
    DirModifiedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileOpenedEvent,
)

from course.preview import Preview, Watcher

SECONDS = 20.0  # the longest that anything here may take

open_url = build_opener(ProxyHandler({})).open  # whatever proxy the environment names


class Failed(Exception):
    """A build that did not work."""


class Enough(Exception):
    """Ends the loop that would go on for ever."""


class Running:
    """A preview whose builds are told what to do, one by one."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "sources"
        self.sources.mkdir()
        self.preview = Preview("127.0.0.1", 0, folder / "preview")
        self.orders: queue.Queue[Callable[[Path], None]] = queue.Queue()
        self.begun: queue.Queue[None] = queue.Queue()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        try:
            self.preview.run(self.build, Failed, folders=[self.sources], files=[])
        except Enough:
            pass

    def build(self, target: Path) -> None:
        self.begun.put(None)
        self.orders.get(timeout=SECONDS)(target)

    def next(self, order: Callable[[Path], None]) -> None:
        """Let the build that has begun do this."""
        self.begun.get(timeout=SECONDS)
        self.orders.put(order)

    def get(self, path: str) -> str:
        with open_url(self.preview.url + path, timeout=SECONDS) as answer:
            return str(answer.read().decode())

    def state(self) -> dict[str, object]:
        return dict(json.loads(self.get(".live")))

    def until(self, **wanted: object) -> None:
        """Ask as an open page does, until the state is as wanted."""
        deadline = threading.Event()
        timer = threading.Timer(SECONDS, deadline.set)
        timer.start()
        while not wanted.items() <= self.state().items():
            assert not deadline.wait(0.02), f"still {self.state()}"
        timer.cancel()


def page(text: str, name: str = "index.html") -> Callable[[Path], None]:
    """A build that makes one page, and one that says what is not there."""

    def build(target: Path) -> None:
        for path in (target / name, target / "404.html", target / "zh" / "404.html"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"<body>{text}</body>", encoding="utf-8")

    return build


def fail(target: Path) -> None:
    raise Failed("no such link")


def end(target: Path) -> None:
    raise Enough


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    subject = Running(tmp_path)
    with subject.preview:
        subject.thread.start()
        yield subject
        subject.preview.changed.set()
        subject.next(end)
        subject.thread.join(SECONDS)
        assert not subject.thread.is_alive()


def test_a_change_of_a_source_is_built_and_told(running: Running) -> None:
    running.next(page("first"))
    running.until(version=1)
    assert "first" in running.get("")
    assert "/.live" in running.get("")

    (running.sources / "lesson.md").write_text("changed", encoding="utf-8")
    running.next(page("second"))

    running.until(version=2)
    assert "second" in running.get("")


SEEN = {
    "a page": (FileModifiedEvent("/course/site/en/index.md"), True),
    "a new page": (FileCreatedEvent("/course/site/en/new.md"), True),
    "the manifest": (FileModifiedEvent("/course/course.toml"), True),
    "the manifest, moved into its place": (
        FileMovedEvent("/course/.new", "/course/course.toml"),
        True,
    ),
    "a copy the build made": (FileModifiedEvent("/course/site/en/assets/vendor/book.css"), False),
    "what Python compiled": (FileCreatedEvent("/course/course/__pycache__/site.pyc"), False),
    "a page that was only read": (FileOpenedEvent("/course/site/en/index.md"), False),
    "a file beside the manifest": (FileModifiedEvent("/course/README.md"), False),
    "a folder": (DirModifiedEvent("/course/site/en"), False),
}


@pytest.mark.parametrize("what", SEEN)
def test_only_a_written_source_starts_a_build(what: str) -> None:
    event, builds = SEEN[what]
    changed = threading.Event()

    Watcher(changed, {Path("/course/course.toml")}).on_any_event(event)

    assert changed.is_set() == builds


def test_a_failed_build_leaves_the_last_good_one(running: Running) -> None:
    running.next(page("good"))
    running.until(version=1)

    running.preview.changed.set()
    running.next(fail)

    running.until(version=1, failure="no such link")
    assert "good" in running.get("")


def test_a_page_that_is_missing_says_so_in_its_language(running: Running) -> None:
    running.next(page("here"))
    running.until(version=1)

    for path in ("nowhere/", "zh/nowhere/"):
        with pytest.raises(HTTPError) as caught:
            running.get(path)
        with caught.value as answer:
            assert answer.code == 404
            assert "here" in answer.read().decode()


def test_nothing_outside_the_site_is_served(running: Running) -> None:
    running.next(page("here"))
    running.until(version=1)
    (running.sources.parent / "secret.txt").write_text("secret", encoding="utf-8")

    for path in ("../secret.txt", "%2e%2e/secret.txt", "../../secret.txt"):
        with pytest.raises(HTTPError) as caught:
            running.get(path)
        caught.value.close()
