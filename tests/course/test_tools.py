"""Ports that are handed out: nobody else who asks gets the same one."""

import subprocess
import sys

from course.manifest import ROOT
from course.tools import free_port

MANY = 1500  # by chance alone two processes would choose a hundred alike
ASK = f"""
from course.tools import free_port
print(*(free_port() for _ in range({MANY})), flush=True)
input()
"""


def test_two_processes_get_different_ports_while_they_live() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        ours = {free_port() for _ in range(MANY)}
        other.communicate("\n")

    assert len(theirs) == len(ours) == MANY
    assert not theirs & ours
