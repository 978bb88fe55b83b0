"""The audit log: who came, who was refused and why, who left. One JSON object a line.

It never holds a token, a ticket, a query or a payload. A newline in what a client says stays inside
its JSON string, so nobody can write a line of their own. A thread writes: a slow disk stops nobody.
"""

import json
import logging
import os
import queue
import stat
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError

from settings import AUDIT_LOG

QUEUE_LINES = 10_000  # waiting for the disk; beyond that, lines are lost and counted
LONGEST = 200  # characters of one value
RECENT: deque[dict[str, Any]] = deque(maxlen=200)  # for GET /api/audit
LOST = [0]


class OffTheLoop(QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        if LINES.qsize() < QUEUE_LINES:
            self.queue.put_nowait(record)
        else:
            LOST[0] += 1


def note(event: str, **fields: Any) -> None:
    """Write one line. Fields that are None are left out."""
    said = {name: value for name, value in fields.items() if value is not None}
    short = {n: value[:LONGEST] if isinstance(value, str) else value for n, value in said.items()}
    line = {"event": event, "ts": int(time.time() * 1000), **short}
    if LOST[0]:
        line["linesLost"], LOST[0] = LOST[0], 0
    RECENT.append(line)
    LOGGER.info(json.dumps(line))  # in ASCII: no escape sequence reaches a terminal


def open_log() -> logging.StreamHandler[Any]:
    """The file, readable by its owner alone, or standard output."""
    if not AUDIT_LOG:
        return logging.StreamHandler(sys.stdout)
    try:
        descriptor = os.open(AUDIT_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # /dev/null is not ours to lock up
            os.fchmod(descriptor, 0o600)  # a file may have been there before
    except OSError as error:
        sys.exit(f"AUDIT_LOG={AUDIT_LOG} cannot be written: {error.strerror}")
    return logging.StreamHandler(os.fdopen(descriptor, "a", encoding="ascii"))


def unreadable_requests(record: logging.LogRecord) -> bool:
    """aiohttp logs a request that it cannot read, and with it the ticket in its first line."""
    problem = record.exc_info[1] if record.exc_info else None
    if isinstance(problem, HttpProcessingError):
        note("error", kind=type(problem).__name__)
        return False
    return True


LOGGER = logging.getLogger("audit")
LOGGER.propagate = False
LOGGER.setLevel(logging.INFO)
LINES: queue.Queue[logging.LogRecord] = queue.Queue()
LOGGER.addHandler(OffTheLoop(LINES))
LISTENER = QueueListener(LINES, open_log())
logging.getLogger("aiohttp.server").addFilter(unreadable_requests)


@contextmanager
def writing() -> Iterator[None]:
    """Write lines while the block lasts, to the last one."""
    LISTENER.start()
    try:
        yield
    finally:
        LISTENER.stop()
