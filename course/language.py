"""Which of the course's two languages the terminal speaks."""

from __future__ import annotations

import os


def language() -> str:
    """`zh` where COURSE_LANG or the locale asks for Chinese, else `en`."""
    for name in ("COURSE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
