"""The lessons' site, built once for a whole test run."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from course import site


def build_once(temporary: Path) -> Path:
    """Build both languages, once for a whole test run, and return the folder. Raises BuildError.

    temporary  this process's own folder for the run (pytest's base folder). The workers of
               pytest-xdist have theirs side by side, so what they share lies one level up. They
               must not build at the same time: every build writes into the pages' sources first.
    """
    shared = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary
    target, done = shared / "site", shared / "site.built"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            site.build(target)
            done.touch()
    return target
