"""How the tests are spread over processes, as a plugin of pytest (`make test` loads it).

All tests of one file that share a browser or a built site go to one process; every other test goes
by itself to the next process that is free. The largest files are begun first. (The marker
`xdist_group` would say the same, but pytest-xdist 3.8 loses it under pytest 9.2 without a word.)
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

TOGETHER = ("tests/browser/", "tests/site/")


class Spread(LoadScopeScheduling):
    """One unit of work is a file of these folders, or one test."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(TOGETHER) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Spread(config, log)
