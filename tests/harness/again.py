"""Asking again: for what no event tells of, such as a count that another process keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

AGAIN_SECONDS = 0.05  # between two questions

Answer = TypeVar("Answer")


async def ask_again(
    ask: Callable[[], Awaitable[Answer]], enough: Callable[[Answer], bool], within: float
) -> Answer:
    """Ask until the answer is enough, or `within` seconds have passed; returns the last answer.

    Whoever asks says what is wrong with an answer that is not enough.
    """
    now = asyncio.get_running_loop().time
    until = now() + within
    while not enough(answer := await ask()) and now() < until:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(AGAIN_SECONDS)
    return answer
