"""The grader as a pytest plugin: fixtures for the checks, their order, and the report.

`course check` starts pytest with this plugin and `--grade TASK.json`; the results come back in the
file that the task names. One check is one test.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from course import catalogue
from tests.harness.client import Client, ClientProgram
from tests.harness.exchange import Exchange
from tests.harness.hostile import Hostile, Script
from tests.harness.report import Report, Result
from tests.harness.subject import CannotRun, Subject
from tests.harness.verdict import CheckFailure, NotAsked

GRADER = pytest.StashKey["Grader"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--grade", help="a JSON file that says what to grade (see course/check.py)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "check_order(n): later checks have a higher n")
    task = json.loads(Path(config.getoption("--grade")).read_text(encoding="utf-8"))
    grader = Grader(task)
    config.stash[GRADER] = grader
    config.pluginmanager.register(grader, "grader")


class Grader:
    """Collects the results of one run and prints them as they come."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.subject = Subject(task)
        self.report = Report(task)
        self.exchange = Exchange()
        self.running = ""  # the check that runs now

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Module by module as the chapters add them; what may kill a program comes last."""
        items[:] = [item for item in items if check_id(item) in self.task["asked"]]

        def order(item: pytest.Item) -> int:
            marker = item.get_closest_marker("check_order")
            return int(marker.args[0]) if marker else 0

        items.sort(key=order)
        self.report.begin([check_id(item) for item in items])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file of checks that cannot be read must never look like a pass."""
        if report.failed:
            self.report.could_not_run(f"{report.nodeid} is broken:\n{report.longreprtext}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        problem = call.excinfo.value if call.excinfo is not None else None
        # A failure says what is wrong; only a broken check is traced, which takes long.
        speaks = isinstance(problem, CheckFailure | NotAsked | CannotRun)
        item.config.option.tbstyle = "value" if speaks else "native"
        report = yield
        if isinstance(problem, CannotRun):
            self.report.could_not_run(str(problem))
            pytest.exit(str(problem), returncode=2)
        if call.when == "call" or (call.when == "setup" and problem is not None):
            self.report.add(self._judge(check_id(item), problem, report))
        if call.when == "teardown":
            if problem is not None:  # the end of a check is a part of it
                self.report.results.pop()
                self.report.add(self._judge(check_id(item), problem, report))
            self.report.show_last()
        return report

    def _judge(self, name: str, problem: BaseException | None, report: pytest.TestReport) -> Result:
        result = Result(catalogue.find(name), "passed", self.exchange)
        if isinstance(problem, NotAsked):
            result.outcome, result.what = "not asked", str(problem)
        elif isinstance(problem, CheckFailure):
            result.outcome, result.what = "failed", problem.what
            result.expected, result.got = problem.expected, problem.got
            result.notes = problem.notes
        elif problem is not None:
            result.outcome = "failed"
            result.what = f"the check itself broke: {type(problem).__name__}: {problem}"
            result.notes = report.longreprtext.splitlines()[-30:]
        return result

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.running = nodeid.rpartition("/")[2].replace("test_", "").replace(".py", "")

    def pytest_keyboard_interrupt(self) -> None:
        """Half of the checks are no result."""
        self.report.could_not_run(
            f"interrupted in {self.running}" if self.running else "interrupted"
        )

    def pytest_sessionfinish(self) -> None:
        self.report.finish()


def check_id(item: pytest.Item) -> str:
    """`echo::text` for the test `test_text` of `test_echo.py`."""
    return f"{item.path.stem[5:]}::{item.name.removeprefix('test_')}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _program(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """The subject, started once and ended with the session."""
    subject = request.config.stash[GRADER].subject
    yield subject
    await subject.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def subject(request: pytest.FixtureRequest, _program: Subject) -> AsyncIterator[Subject]:
    """The program under check, up and unharmed, with a fresh record of what passes.

    After a failed check the process is replaced: what it suffered there must not count elsewhere.
    """
    grader = request.config.stash[GRADER]
    await _program.ensure_running()
    exchange = grader.exchange = _program.exchange = Exchange()
    exchange.url = _program.url
    yield _program
    outcomes = [r.outcome for r in grader.report.results if r.exchange is exchange]
    failed = "failed" in outcomes or not outcomes  # there is none if the check was interrupted
    exchange.death = await _program.death(may_be_dying=failed)
    await exchange.close()
    if failed or exchange.death:
        await _program.stop()


# For the modules that grade a client (ROLE = "client"): nothing is running before they begin.


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def program(request: pytest.FixtureRequest) -> ClientProgram:
    """The client under check, as a program that can be started: also for scenes that many share."""
    graded = request.config.stash[GRADER].task["client"]
    return ClientProgram(graded["command"], graded["cwd"])


@pytest_asyncio.fixture(loop_scope="session")
async def exchange(request: pytest.FixtureRequest) -> AsyncIterator[Exchange]:
    """A fresh record of what passes. All clients and servers of the check end with it."""
    grader = request.config.stash[GRADER]
    exchange = grader.exchange = Exchange()
    yield exchange
    await exchange.close()


@pytest_asyncio.fixture(loop_scope="session")
async def client(exchange: Exchange, program: ClientProgram) -> Callable[..., Awaitable[Client]]:
    """`await client(url, HEARTBEAT_SECONDS="1")` starts the client under check."""

    async def start(url: str, **environment: str) -> Client:
        return await program.start(exchange, url, **environment)

    return start


@pytest_asyncio.fixture(loop_scope="session")
async def hostile(exchange: Exchange) -> AsyncIterator[Callable[[Script], Awaitable[Hostile]]]:
    """`await hostile(script)` starts a server that does to each connection what `script` says."""
    servers: list[Hostile] = []

    async def start(script: Script) -> Hostile:
        server = Hostile(exchange, script)
        servers.append(server)
        exchange.closers.append(server.stop)
        return await server.listen()

    yield start
    for server in servers:
        server.raise_problem()
