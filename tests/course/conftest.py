"""Gradings that are under way before their tests come to look at them, several at a time.

Most gradings wait: a broken program is one because nothing comes from it. One after the other they
would take an hour, and a test worker for each of them would cost more than they do. So a test has
the mark `graded(by=how)`, where `how(folder, **parameters)` grades, and takes the fixture `result`.

With all cores busy, a process may stand still for longer than a check allows. So what is not as it
should be is graded once more, when no other grading is under way; and the summary names it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from tests.course import forked
from tests.course.grading import Grade

AT_ONCE = 4 * (os.cpu_count() or 2)  # they use about a tenth of a core each
BETWEEN = 5  # gradings that wait between two that compute

Gradings = dict[str, "Future[Grade]"]  # by the ids of the tests


@pytest.fixture(scope="module")
def gradings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gradings]:
    """All gradings of this module's tests that were selected."""
    tests = [it for it in request.session.items if it.path == request.path]
    asked = [(it, mark) for it in tests if (mark := it.get_closest_marker("graded"))]
    waiting = [one for one in asked if not one[1].kwargs.get("computes")]
    computing = [one for one in asked if one[1].kwargs.get("computes")]
    for number, one in enumerate(computing):
        waiting.insert(number * (BETWEEN + 1), one)
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def begin(item: pytest.Item, how: Callable[..., Grade]) -> Future[Grade]:
            assert isinstance(item, pytest.Function)
            return pool.submit(how, tmp_path_factory.mktemp("grading"), **item.callspec.params)

        yield {item.nodeid: begin(item, mark.kwargs["by"]) for item, mark in waiting}
        pool.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C there are some
        forked.terminate()


@pytest.fixture
def result(request: pytest.FixtureRequest, gradings: Gradings) -> Grade:
    """What came of this test's grading, as soon as it is done."""
    return gradings[request.node.nodeid].result()


AGAIN = "graded again"  # by this name the summary is told of it


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    mark = pyfuncitem.get_closest_marker("graded")
    try:
        return (yield)
    except AssertionError as error:
        if mark is None:
            raise
        given: dict[str, Any] = pyfuncitem.funcargs
        wait(given["gradings"].values())
        folder = given["tmp_path_factory"].mktemp("again")
        given["result"] = mark.kwargs["by"](folder, **pyfuncitem.callspec.params)
        pyfuncitem.user_properties.append((AGAIN, str(error)))
        names = inspect.signature(pyfuncitem.obj).parameters
        pyfuncitem.obj(**{name: given[name] for name in names})
        return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, why in report.user_properties:
            if name == AGAIN:
                terminalreporter.section(f"passed when {AGAIN}: {report.nodeid}")
                terminalreporter.write_line(str(why))
