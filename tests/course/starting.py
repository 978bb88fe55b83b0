"""A server that must not start: it says why in one line."""

import os
import subprocess
import sys
from pathlib import Path

WITHIN = 20.0  # seconds; a busy machine


def does_not_start(folder: Path, name: str, value: str, **environment: str) -> str:
    """Start the chapter with this setting; it has to refuse it by name. Returns all it said."""
    done = subprocess.run(
        [sys.executable, "server.py"],
        cwd=folder,
        env={**os.environ, **environment, name: value},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
    return done.stdout + done.stderr
