"""How the tests are spread over processes, as a plugin of pytest (`make test` loads it).

All tests of one file that share a browser, a built site or the gradings under way go to one
process, and the chapters' pages to two; every other test goes by itself to the next process that is
free. What takes longest is begun first, and then what mostly waits, so that no core stands idle at
the end. (The marker `xdist_group` would say the same, but pytest-xdist 3.8 loses it under pytest
9.2 without a word.)
"""

import os
import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

# One has the gradings, which mostly wait (tests/course/conftest.py); the others compute. More of
# them would end no sooner, and what is to answer in time would answer too late.
WORKERS = 1 + 2 * (os.cpu_count() or 2)

PROOFS = "tests/course/test_proofs.py"
TOGETHER = (PROOFS, "tests/browser/", "tests/site/")
FIRST = (  # in this order, and then all others
    PROOFS,
    "tests/browser/",
    "tests/site/",
    "tests/course/test_delivery.py",
    "tests/front/",
    "tests/deploy/",
    "tests/course/test_commands.py::test_start_check_hint",
    "tests/course/test_labs.py",
    "tests/course/test_doctor.py",
    "tests/course/test_security.py",
)
PAGE = re.compile(r"tests/browser/test_page_(\d+)\.py")


class Spread(LoadScopeScheduling):
    """One unit of work is a file of TOGETHER, half of the pages, or one test."""

    def _split_scope(self, nodeid: str) -> str:
        if page := PAGE.match(nodeid):
            return f"pages {int(page[1]) % 2}"
        return nodeid.partition("::")[0] if nodeid.startswith(TOGETHER) else nodeid


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        named = (n for n, start in enumerate(FIRST) if item.nodeid.startswith(start))
        return next(named, len(FIRST))

    items.sort(key=rank)


@pytest.hookimpl(tryfirst=True)  # before what xdist thinks itself
def pytest_xdist_auto_num_workers() -> int:
    return WORKERS


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Spread(config, log)
