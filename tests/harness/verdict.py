"""Verdicts: how a check says what it expected and what it got, so that a stuck learner can act.

`fail()` raises; `same_bytes()` compares byte by byte and points at the first difference.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., Any])
CHECK_SECONDS = 60.0  # for one check, whatever the program does
AROUND = 12  # bytes shown on either side of the first difference


def check(source: str, *, order: int = 0, costly: bool = False) -> Callable[[F], F]:
    """Mark a test as a check. `source` asks for the behaviour: an RFC's section, the contract.

    Checks of a higher `order` run later: those that may kill a weak program come last. One that is
    `costly` in computing is asked of a broken program only if that is said to fail it.
    """

    def mark(function: F) -> F:
        @functools.wraps(function)
        async def bounded(*arguments: Any, **fixtures: Any) -> None:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await function(*arguments, **fixtures)
            except TimeoutError:
                fail(f"the check was not done after {CHECK_SECONDS:.0f} s: the program is too slow")

        marked: F = pytest.mark.check_order(order)(bounded)
        return marked

    return mark


LAST = 1  # for checks that break the protocol: a weak program may not survive them


@dataclass
class CheckFailure(AssertionError):
    """The program did something else than the contract says."""

    what: str
    expected: str = ""
    got: str = ""
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.what


class NotAsked(Exception):
    """A check that cannot be put to this subject: it has to start the program itself."""


def fail(what: str, *, expected: object = "", got: object = "", notes: list[str] = []) -> NoReturn:  # noqa: B006
    """End the check as failed: `what` is one sentence about the program."""
    raise CheckFailure(what, str(expected), str(got), list(notes))


def require(condition: object, what: str, *, expected: object = "", got: object = "") -> None:
    """`fail()` unless the condition holds."""
    if not condition:
        fail(what, expected=expected, got=got)


def same_bytes(expected: bytes, got: bytes, what: str) -> None:
    """`fail()` with a caret under the first byte that differs, unless the two are the same."""
    if expected == got:
        return
    pairs = enumerate(zip(expected, got, strict=False))
    first = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(got)))
    start = max(0, first - AROUND)
    before = "… " if start else ""

    def window(data: bytes) -> str:
        after = " …" if len(data) > first + AROUND else ""
        return f"{before}{data[start : first + AROUND].hex(' ')}{after}  ({len(data)} bytes)"

    caret = " " * (len(before) + 3 * (first - start)) + "^^"
    raise CheckFailure(what, window(expected), window(got), [f"{caret} byte {first}"])
