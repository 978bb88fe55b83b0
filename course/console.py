"""The terminal theme: the course's signs and colours, defined once.

Client to server is amber and points right, server to client is teal and points left, control
frames are grey, what is wrong is red. A colour never stands alone: each has a sign or a word beside
it. Only the standard library, so that a command can complain before anything is installed.
"""

from __future__ import annotations

import os
import sys
import textwrap
from typing import NoReturn, TextIO

TO_SERVER = "→"
TO_CLIENT = "←"
PROBLEM = "✗"
GOOD = "✓"

# SGR parameters (ECMA-48 §8.3.117). Of the sixteen basic colours, so that the reader's own light or
# dark theme decides the shade.
_AMBER, _TEAL, _GREY, _RED, _GREEN, _BOLD = "33", "36", "90", "31", "32", "1"


def colours(stream: TextIO | None = None) -> bool:
    """Whether to write colours to `stream` (default: stdout).

    NO_COLOR set to anything wins (no-color.org), then FORCE_COLOR (force-color.org); without
    either, only a terminal gets colours.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def _paint(text: str, sgr: str, stream: TextIO | None) -> str:
    return f"\x1b[{sgr}m{text}\x1b[0m" if colours(stream) else text


def to_server(text: str, stream: TextIO | None = None) -> str:
    """Amber: what a client sends. The sign is TO_SERVER."""
    return _paint(text, _AMBER, stream)


def to_client(text: str, stream: TextIO | None = None) -> str:
    """Teal: what a server sends. The sign is TO_CLIENT."""
    return _paint(text, _TEAL, stream)


def control(text: str, stream: TextIO | None = None) -> str:
    """Grey: control frames, and what the tools say beside the conversation."""
    return _paint(text, _GREY, stream)


def problem(text: str, stream: TextIO | None = None) -> str:
    """Red: an error or an unclean close. The sign is PROBLEM."""
    return _paint(text, _RED, stream)


def good(text: str, stream: TextIO | None = None) -> str:
    """Green: what passed. The sign is GOOD."""
    return _paint(text, _GREEN, stream)


def bold(text: str, stream: TextIO | None = None) -> str:
    """Bold: a heading."""
    return _paint(text, _BOLD, stream)


def wrap(text: str, width: int = 92) -> str:
    """A paragraph in lines of at most `width` characters."""
    return textwrap.fill(text, width)


def warn(message: str) -> None:
    """Say in one line on stderr what is wrong."""
    line = "".join(char if char.isprintable() else " " for char in message)
    print(problem(f"course: {line}", sys.stderr), file=sys.stderr)


def stop(message: str, code: int = 2) -> NoReturn:
    """Say in one line on stderr why the command cannot go on, and exit. Raises SystemExit."""
    warn(message)
    sys.exit(code)
