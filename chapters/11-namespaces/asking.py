"""Asking: the server emits, and a client acknowledges. In time, or never.

The library's `call()` wants async_handlers=True, which lets events overtake, and waits its whole
time for a client that has gone. So we emit with a callback, and wait for three things at once.
"""

import asyncio
from typing import Any

from engine import sio
from instances import manager
from settings import ASK_SECONDS

MOST_QUESTIONS = 100  # under way: each is a promise that we keep in memory
LOOK_SECONDS = 0.05
UNDER_WAY: set[asyncio.Future[Any]] = set()


class NobodyThere(Exception):
    """No client of this user is connected, or the last one has left."""


class NoAnswer(Exception):
    """They are connected, and say nothing."""


class TooManyQuestions(Exception):
    """There are so many open that we take no more."""


async def ask(user: str, event: str, payload: Any) -> Any:
    """The first answer that comes from any client of this user, at any instance."""
    if len(UNDER_WAY) >= MOST_QUESTIONS:
        raise TooManyQuestions
    room = f"user:{user}"
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def answered(*arguments: Any) -> None:
        """An ack may have any number of arguments; a second client's comes too late."""
        if not answer.done():
            answer.set_result(arguments[0] if arguments else None)

    UNDER_WAY.add(answer)
    try:
        async with asyncio.timeout(ASK_SECONDS):
            require_somebody(room)
            await sio.emit(event, {"data": payload}, to=room, callback=answered)
            while not answer.done():
                await asyncio.wait([answer], timeout=LOOK_SECONDS)
                require_somebody(room, unless=answer)
            return answer.result()
    except TimeoutError:
        raise NoAnswer from None
    finally:
        UNDER_WAY.discard(answer)
        forget(answered)


def require_somebody(room: str, unless: asyncio.Future[Any] | None = None) -> None:
    """Raises NobodyThere. With several instances only the time limit can tell."""
    here = any(True for _ in sio.manager.get_participants("/", room))
    if manager is None and not here and not (unless and unless.done()):
        raise NobodyThere


def forget(callback: Any) -> None:
    """The library keeps a callback until its ack comes, and the ack may never come."""
    for waiting in sio.manager.callbacks.values():
        for number in [number for number, kept in waiting.items() if kept is callback]:
            del waiting[number]
