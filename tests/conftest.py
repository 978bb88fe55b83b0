"""What all tests share: the course's programs that they start are forked.

Not with PROOFS=all, and not what a test starts by itself: the commands of a learner are started.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.course import forked
from tests.harness import spawning


@pytest.fixture(scope="session", autouse=True)
def programs_are_forked() -> Iterator[None]:
    if os.environ.get("PROOFS") == "all":
        yield
        return
    spawning.spawn, started = forked.spawn, spawning.spawn
    yield
    spawning.spawn = started
    forked.end()
