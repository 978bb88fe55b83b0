"""The command line: `python -m course COMMAND …`. Each command is a module with `add_parser`."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence
from typing import NoReturn

from course.console import stop
from course.manifest import ManifestError, NoSuchChapter

# In the order in which `--help` lists them. A module is imported only for its own command, so that
# `list` and `diff` start at once and need no packages.
COMMANDS = {
    "list": "course.listing",
    "run": "course.run",
    "start": "course.start",
    "check": "course.check",
    "hint": "course.progress",
    "progress": "course.progress",
    "diff": "course.diff",
    "wire": "course.wire_command",
    "send": "course.send",
    "doctor": "course.doctor.command",
    "break": "course.labs.command",
    "record": "course.record",
    "bench": "course.bench",
    "capacity": "course.capacity",
    "hooks": "course.hooks",
    "dev": "course.front",
    "front": "course.front",
    "site": "course.site",
    "site-build": "course.site",
    "lint": "course.suite",
    "test": "course.suite",
    "setup": "course.suite",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        stop(f"{message} (see: {self.prog} --help)")


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 something failed, 2 could not run."""
    arguments = list(arguments) or ["list"]
    if arguments[0] in ("-h", "--help"):
        arguments = ["list", *arguments[1:]]
    if arguments[0] not in COMMANDS:
        stop(f"there is no command {arguments[0]!r}; there are: {', '.join(COMMANDS)}")
    module = importlib.import_module(COMMANDS[arguments[0]])
    parser = Parser(prog="python -m course")
    module.add_parser(parser.add_subparsers(dest="command", required=True))
    options = parser.parse_args(arguments)
    try:
        return int(module.main(options))
    except (ManifestError, NoSuchChapter) as error:
        stop(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # nobody reads any more (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141


def chapter_number(text: str) -> int:
    """An argparse type: the number of a chapter."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a chapter")
    return int(text)
