"""Sessions: an open connection's right to be open.

A token is judged at the door, once. The connection could outlive it by days. So each one has a
session, and a task that waits for its end: expired, logged out, or too many strikes.
"""

import asyncio
import itertools
import time
from dataclasses import dataclass, field

from audit import note
from closing import CLOSE_SECONDS
from members import Member
from tokens import Identity

LOGGED_OUT, EXPIRED, TOO_FAST = 4401, 4410, 4429  # close codes: stop · new ticket · wait, then back
NUMBERS = itertools.count(1)  # what ties the two lines of a connection in the audit log together
LONGEST_SLEEP = 30.0  # seconds: somebody may set the clock that `exp` is read on


@dataclass(slots=True)
class Session:
    identity: Identity
    ip: str
    client: str  # the name that the client gives itself: it proves nothing
    number: int = field(default_factory=lambda: next(NUMBERS))
    began: float = field(default_factory=time.monotonic)
    strikes: int = 0  # messages refused in a row
    received: int = 0
    verdict: tuple[int, str] | None = None  # the close code and reason; nothing is done after it
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def owner(self) -> str:
        """Whose request ids these are: the name alone would let others use it."""
        return f"{self.identity.user} {self.client}"

    def note(self, event: str, **fields: object) -> None:
        """A line in the audit log about this connection."""
        who = {"connection": self.number, **self.identity.public, "ip": self.ip}
        note(event, **who, **fields)

    def note_end(self, code: int | str) -> None:
        """`code` is the client's; where we closed first, ours counts."""
        code = self.verdict[0] if self.verdict else code
        seconds = round(time.monotonic() - self.began, 3)
        self.note("disconnect", code=code, seconds=seconds, received=self.received)

    def renew(self, identity: Identity) -> None:
        self.identity = identity
        self.changed.set()

    def end(self, code: int, reason: str) -> None:
        """It is over. The first verdict counts."""
        self.verdict = self.verdict or (code, reason)
        self.changed.set()

    async def over(self) -> tuple[int, str]:
        """Wait for the verdict."""
        while self.verdict is None:
            left = self.identity.seconds_left
            if self.identity.logged_out:
                self.end(LOGGED_OUT, "logged out")
            elif left <= 0:
                self.end(EXPIRED, "the token has expired")
            else:
                self.changed.clear()
                try:
                    async with asyncio.timeout(min(left, LONGEST_SLEEP)):
                        await self.changed.wait()
                except TimeoutError:
                    pass  # look again
        return self.verdict


SESSIONS: dict[Member, Session] = {}  # of all open connections


async def end_when_over(member: Member, session: Session) -> None:
    """Close when the session is over, and do not wait long for the client to agree."""
    code, reason = await session.over()
    if member.gone:
        return
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await member.say_goodbye(code, reason.encode())
            while not member.gone:
                await asyncio.sleep(0.02)
    except TimeoutError:
        member.cut()
    except ConnectionError:
        pass  # it has ended by itself


def log_out_everywhere(user: str) -> int:
    """End all sessions of this user; returns how many."""
    theirs = [session for session in SESSIONS.values() if session.identity.user == user]
    for session in theirs:
        session.end(LOGGED_OUT, "logged out")
    return len(theirs)
