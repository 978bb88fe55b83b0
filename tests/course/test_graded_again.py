"""A grading that fails once is done again and named; one that fails twice has failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from course.manifest import ROOT

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
