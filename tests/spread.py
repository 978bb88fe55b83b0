"""How the tests are spread over processes, as a plugin of pytest (`make test` loads it).

All tests of one file that share a browser or a built site go to one process, and the chapters'
pages to two, so that few browsers run at a time beside the many tests that wait; every other test
goes by itself to the next process that is free. The largest units are begun first, then what waits
longest, so that no core stands idle at the end. (The marker `xdist_group` would say the same, but
pytest-xdist 3.8 loses it under pytest 9.2 without a word.)
"""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

TOGETHER = ("tests/browser/", "tests/site/")
# In this order: what mostly waits, beside the browsers that compute; then what takes long.
LONGEST = (
    "tests/course/test_proofs.py::test_a_broken_program",
    "tests/course/test_proofs.py",
    "tests/course/test_delivery.py",
    "tests/deploy/",
)
PAGE = re.compile(r"tests/browser/test_page_(\d+)\.py")


class Spread(LoadScopeScheduling):
    """One unit of work is a file of these folders, half of the pages, or one test."""

    def _split_scope(self, nodeid: str) -> str:
        if page := PAGE.match(nodeid):
            return f"pages {int(page[1]) % 2}"
        return nodeid.partition("::")[0] if nodeid.startswith(TOGETHER) else nodeid


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        named = (n for n, start in enumerate(LONGEST) if item.nodeid.startswith(start))
        return next(named, len(LONGEST))

    items.sort(key=rank)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Spread(config, log)
