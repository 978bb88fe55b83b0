"""Engine.IO, which carries Socket.IO: its version, polling across instances, CORS, WebSocket.

The packets are a digit and a text: `0` open, `1` close, `2` ping, `3` pong, `4` message; `40` opens
a Socket.IO namespace.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from course.doctor.native import TICK, closes, ended_early, listened
from course.doctor.net import Answer, Unreadable, http_request, now
from course.doctor.talk import Talk
from course.doctor.upgrade import FOREIGN, refusal, upgrade
from course.doctor.visit import Visit

VERSIONS = {"4": "Socket.IO 3 or 4", "3": "Socket.IO 2"}


class Poller:
    """One client of the polling transport; it keeps its cookies, as a browser does."""

    def __init__(self, visit: Visit, version: str) -> None:
        self.visit = visit
        self.version = version
        self.sid = ""
        self.cookies: dict[str, str] = {}

    def path(self, transport: str) -> str:
        path, _, query = self.visit.place.path.partition("?")
        wanted = {**dict(parse_qsl(query)), "EIO": self.version, "transport": transport}
        wanted.pop("sid", None)
        if self.sid:
            wanted["sid"] = self.sid
        return f"{path}?{urlencode(wanted)}"

    async def ask(self, body: bytes | None = None, origin: str | None = None) -> Answer:
        """One request on a connection of its own. Raises Unreadable."""
        headers: dict[str, str | None] = {"Origin": origin, **self.visit.options.headers}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        request = http_request(self.visit.place, self.path("polling"), headers, body)
        try:
            line = await self.visit.line()
        except OSError as error:
            raise Unreadable("ended") from error
        async with line:
            answer = await line.ask(request, self.visit.options.patience)
        for name, value in answer.head.headers:
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key.strip()] = rest.partition(";")[0]
        return answer


async def examine(visit: Visit) -> None:
    """All probes of an Engine.IO endpoint."""
    asked = dict(parse_qsl(visit.place.path.partition("?")[2])).get("EIO", "4")
    poller = Poller(visit, asked)
    try:
        goes_on = await version(visit, poller)
    except Unreadable as problem:
        code = f"upgrade.{problem.kind}"
        visit.report.add(code, seconds=visit.options.patience, shown=problem.shown)
        return
    if not goes_on:
        return
    poller.sid = ""
    talk = await upgrade(visit, _absolute(visit, poller.path("websocket")))
    if talk is None:
        return
    async with talk.line:
        if await opens(visit, talk, poller.version):
            await closes(visit, talk)


def _absolute(visit: Visit, path: str) -> str:
    return f"{'wss' if visit.place.secure else 'ws'}://{visit.place.authority}{path}"


async def version(visit: Visit, poller: Poller) -> bool:
    """Open a session by polling; whether WebSocket is worth trying. Raises Unreadable."""
    report = visit.report
    answer = await poller.ask()
    welcome = opened(answer)
    if welcome is None and is_about_version(answer):
        asked = poller.version
        other = Poller(visit, "3" if asked != "3" else "4")
        speaks = other.version if opened(await other.ask()) is not None else "?"
        client, server = VERSIONS.get(asked, "?"), VERSIONS.get(speaks, "?")
        report.add("engine.version", asked=asked, speaks=speaks, client=client, server=server)
        return False
    if welcome is None and "transport" in answer.text.lower():
        report.add("engine.websocket_only", status=answer.status)
        report.skip("stickiness", "cors")
        return True
    if welcome is None:
        if answer.status == 200:
            report.add("engine.other", path=visit.place.path, shown=answer.text[:60])
        else:
            refusal(visit, answer)
        return False
    every = number(welcome, "pingInterval") / 1000
    report.add("engine.ok", version=poller.version, seconds=every)
    poller.sid = str(welcome.get("sid", ""))
    if poller.version == "4":
        await stickiness(visit, poller)
    await cors(visit, poller.version)
    return True


def opened(answer: Answer) -> dict[str, Any] | None:
    """What the open packet says, or None if this is none. Version 3 puts a length before it."""
    found = re.match(r"(?:\d+:)?0(\{.*?\})(?:\d+:|\x1e|$)", answer.text, re.DOTALL)
    if answer.status != 200 or not found:
        return None
    try:
        welcome = json.loads(found[1])
    except (ValueError, RecursionError):
        return None
    return welcome if isinstance(welcome, dict) else None


def is_about_version(answer: Answer) -> bool:
    text = answer.text.lower()
    return answer.status == 400 and "unsupported" in text and "version" in text


def number(welcome: dict[str, Any], name: str) -> float:
    value = welcome.get(name)
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e9 else 0.0


async def stickiness(visit: Visit, poller: Poller) -> None:
    """Every further request has to reach the instance that has the session. Raises Unreadable."""
    steps: list[bytes | None] = [b"40", None, b"3", b"1"]
    for count, body in enumerate(steps, start=2):
        answer = await poller.ask(body)
        if answer.status != 200:
            visit.report.add(
                "stickiness.lost", count=count, status=answer.status, text=answer.text[:120]
            )
            return
    visit.report.add("stickiness.ok", count=len(steps) + 1)


async def cors(visit: Visit, version: str) -> None:
    """Which pages of other origins may poll. Raises Unreadable."""
    wanted = visit.options.origin
    answer = await Poller(visit, version).ask(origin=wanted or FOREIGN)
    allowed = answer.head.get("Access-Control-Allow-Origin")
    facts = {"origin": wanted or FOREIGN, "status": answer.status, "allowed": allowed or "none"}
    credentials = (answer.head.get("Access-Control-Allow-Credentials") or "").lower() == "true"
    if wanted:
        fine = answer.status == 200 and allowed in (wanted, "*")
        visit.report.add("cors.ok" if fine else "cors.missing", **facts)
    elif answer.status == 200 and allowed in (FOREIGN, "*"):
        visit.report.add(
            "cors.any_cookie" if credentials and allowed == FOREIGN else "cors.any", **facts
        )
    else:
        visit.report.add("cors.none", **facts)


async def opens(visit: Visit, talk: Talk, version: str) -> bool:
    """The open packet over WebSocket, then the heartbeat; whether the talk goes on."""
    report, options = visit.report, visit.options
    await talk.until(lambda: bool(talk.messages), options.patience)
    if not talk.messages:
        if talk.ended is not None:
            return ended_early(visit, talk)
        report.add("answer.none", seconds=options.patience)
        return True
    text = talk.messages[0].text or ""
    try:
        welcome = json.loads(text[1:]) if text.startswith("0{") else None
    except (ValueError, RecursionError):
        welcome = None
    if not isinstance(welcome, dict):
        report.add("engine.other", path=visit.place.path, shown=text[:60])
        return True
    every = number(welcome, "pingInterval") / 1000
    if not any(finding.code == "engine.ok" for finding in report.findings):
        report.add("engine.ok", version=version, seconds=every)
    await talk.say("40")
    took = await talk.ping(options.patience)
    if took is None:
        if talk.ended is not None:
            return ended_early(visit, talk)
        report.add("answer.none", seconds=options.patience)
    elif took > options.slow:
        report.add("answer.slow", seconds=took, ms=visit.connect_seconds * 1000)
    else:
        report.add("answer.ok", ms=took * 1000)
    if options.heartbeat <= 0 or version == "3":  # in version 3 it is the client who pings
        report.add("heartbeat.announced", seconds=every)
        report.skip("idle")
        return True
    began = now()

    def beat() -> bool:
        return any(message.data == b"2" for message in talk.messages)

    while not beat() and talk.ended is None and now() - began < options.heartbeat:
        visit.progress(now() - began, options.heartbeat)
        await talk.until(beat, min(TICK, options.heartbeat))
    visit.progress(options.heartbeat, options.heartbeat)
    if beat():
        await talk.say("3")
        talk.pings.append(now())
    if not talk.pings and every > options.heartbeat:
        report.add("heartbeat.announced", seconds=every)
    listened(visit, talk, began)
    return True
