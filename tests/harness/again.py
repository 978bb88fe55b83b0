"""Asking again: for what no event tells of, such as a count that another process keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

SOON, LATE = 0.02, 0.25  # seconds between the first two questions, and the most between two

Answer = TypeVar("Answer")


async def ask_again(
    ask: Callable[[], Awaitable[Answer]], enough: Callable[[Answer], bool], within: float
) -> Answer:
    """Ask until the answer is enough, or `within` seconds have passed; returns the last answer.

    It asks less and less often: what has not come soon is mostly waited for in vain. Whoever asks
    says what is wrong with an answer that is not enough.
    """
    now = asyncio.get_running_loop().time
    until, pause = now() + within, SOON
    while not enough(answer := await ask()) and now() < until:
        await asyncio.sleep(min(pause, max(until - now(), 0)))
        pause = min(2 * pause, LATE)
    return answer
