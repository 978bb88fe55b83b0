"""Text of the program under check, made harmless before it becomes part of a page.

Whatever a program sends may be markup, may steer a terminal or turn the direction of reading, and
may be a megabyte long: it is cut, what is not printable is written as `\\x1b`, and then it is
escaped.
"""

from __future__ import annotations

import html

from course.frames import escape

LONGEST_LINE = 600  # characters of one line that a page shows
MOST_LINES = 60  # of a text of several lines, the last


def line(text: str, longest: int = LONGEST_LINE) -> str:
    """One line as HTML text, also fit for a quoted attribute."""
    rest = len(text) - longest
    cut = f"… ({rest:,} more characters)" if rest > 0 else ""
    return html.escape(escape(text[:longest])) + cut


def lines(text: str, longest: int = LONGEST_LINE) -> str:
    """A text of several lines as HTML text: its last lines, each of them cut."""
    every = text.split("\n")
    kept = every[-MOST_LINES:]
    cut = [f"… ({len(every) - len(kept):,} lines before)"] if len(kept) < len(every) else []
    return "\n".join(cut + [line(part, longest) for part in kept])
