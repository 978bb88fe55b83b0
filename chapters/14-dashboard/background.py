"""Background: work that nobody waits for, kept until it is done. The loop alone would forget it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

TASKS: set[asyncio.Task[Any]] = set()


def background(work: Coroutine[Any, Any, Any]) -> None:
    """Do it beside what runs now."""
    task = asyncio.get_running_loop().create_task(work)
    TASKS.add(task)
    task.add_done_callback(TASKS.discard)
