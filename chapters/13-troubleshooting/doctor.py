"""Chapter 13: a doctor. It goes to an endpoint hop by hop, and names what fails first.

Run: URL=ws://127.0.0.1:8080/ws python doctor.py      (or python doctor.py URL)
ORIGIN is the page that will connect, EXPECT a type that has to come, SEND_BYTES what it sends
at most.
It prints one JSON object a line; exit code 0 ok or a warning, 1 a problem, 2 nobody there.
"""

import asyncio
import json
import os
import sys
from typing import Any

from causes import CAUSES, Sick
from conversation import Talk
from hops import Line, Place, connect, place_of, resolve
from settings import EXPECT, ORIGIN, SEND_BYTES
from talking import TALKING
from upgrading import engine_version, upgrade

URL = next(iter(sys.argv[1:]), "") or os.environ.get("URL", "") or "ws://127.0.0.1:8080/ws"


def report(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}, ensure_ascii=False), flush=True)


def passed(hop: str, saw: str) -> None:
    report("hop", hop=hop, ok=True, saw=saw)


async def visit(place: Place) -> None:
    """Every hop in its order. Raises Sick at the first that fails: the later ones prove nothing."""
    passed("dns", await resolve(place))
    line = await connect(place)
    passed("tcp", f"{place.host}:{place.port}")
    if place.secure:
        passed("tls", "a certificate for this name")
    try:
        if place.is_engine:
            passed("http", await engine_version(place))
        passed("http", await upgrade(line, place, ORIGIN))
        await converse(line, engine=place.is_engine)
    finally:
        line[1].transport.abort()


async def converse(line: Line, *, engine: bool) -> None:
    """The hops of an open WebSocket. Whatever they find, the doctor takes leave."""
    talk = Talk(line, engine=engine)
    told = {"type": EXPECT, "size": str(SEND_BYTES)}
    try:
        for hop, examine in TALKING.items():
            passed(hop, await examine(talk, told.get(hop, "")))
    finally:
        await talk.leave()


async def main() -> int:
    try:
        place = place_of(URL)
    except ValueError:
        print(f"URL cannot be {URL!r}: it is like ws://127.0.0.1:8080/ws", file=sys.stderr)
        return 2
    try:
        await visit(place)
    except Sick as sick:
        cause = CAUSES[sick.cause]
        report("hop", hop=cause.hop, ok=False, saw=sick.saw)
        report("verdict", verdict=cause.verdict, cause=sick.cause, hop=cause.hop, cure=cause.cure)
        return 2 if sick.cause == "unreachable" else int(cause.verdict == "problem")
    report("verdict", verdict="ok", cause=None)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
