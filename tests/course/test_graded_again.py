"""How gradings are done: several at a time, and once more if they fail; named, if that helps."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from course.manifest import ROOT
from tests.course.grading import clean_environment

TESTS = """
import pytest
from tests.course.grading import Grade

done = {"once": 0, "always": 0}

def by(folder, name):
    done[name] += 1
    return Grade(0 if name == "once" and done[name] > 1 else 1, f"grading {done[name]}", {})

@pytest.mark.graded(by=by)
@pytest.mark.parametrize("name", done)
def test_it(name, result):
    assert result.code == 0, result.output
"""


def test_what_fails_once_is_graded_again_and_named(tmp_path: Path) -> None:
    file = tmp_path / "test_two.py"
    file.write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.course.conftest", str(file)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "passed when graded again" in done.stdout and "test_it[once]" in done.stdout
    assert "AssertionError: grading 2" in done.stdout


def test_a_thread_may_ask_for_the_environment_while_pytest_changes_it() -> None:
    """Threads take turns every microsecond here, and the change falls into the middle."""
    before, over = sys.getswitchinterval(), threading.Event()

    def change() -> None:
        while not over.is_set():
            os.environ["PYTEST_OF_THIS_TEST"] = "here"
            del os.environ["PYTEST_OF_THIS_TEST"]

    changing = threading.Thread(target=change)
    changing.start()
    sys.setswitchinterval(1e-6)
    try:
        asked = [clean_environment() for _ in range(2_000)]
    finally:
        sys.setswitchinterval(before)
        over.set()
        changing.join()

    assert asked[0] == asked[-1]
    assert "PYTEST_OF_THIS_TEST" not in asked[0]
