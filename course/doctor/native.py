"""A conversation over a plain WebSocket: does it last, answer, beat, and end."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from course.doctor.net import Line, Unreadable, now
from course.doctor.talk import Message, Talk
from course.doctor.upgrade import shake, upgrade
from course.doctor.visit import Visit
from course.frames import BINARY

MEMBERS = 4  # connections that the doctor opens where a channel was named
TICK = 0.25  # seconds between two steps of the progress bar
REPLY_SECONDS = 1.0  # for an answer to what was said; none is no fault
AUTH_CODES = (1008, 4401, 4403, 4408, 4410)


async def examine(visit: Visit) -> None:
    """All probes of a native WebSocket."""
    talk = await upgrade(visit, visit.ws_url)
    if talk is None:
        return
    async with talk.line:
        if await answers(visit, talk):
            await messages(visit, talk)
            await beats(visit, talk)
            await big(visit, talk)
            await closes(visit, talk)
    if visit.options.channel:
        await instances(visit)


async def answers(visit: Visit, talk: Talk) -> bool:
    """Whether it stays open, and how long a pong takes while a message is being handled."""
    report, options = visit.report, visit.options
    if options.say:
        await talk.say(options.say)
    took = await talk.ping(options.patience)
    if took is None:
        if talk.ended is None:
            report.add("answer.none", seconds=options.patience)
            return True
        return ended_early(visit, talk)
    if took > options.slow:
        connect = visit.connect_seconds * 1000
        report.add("answer.slow", seconds=took, ms=connect)
    else:
        report.add("answer.ok", ms=took * 1000)
    return True


def ended_early(visit: Visit, talk: Talk) -> bool:
    """Say how a conversation ended that had hardly begun. Always False: there is none."""
    report, after = visit.report, talk.ended_at - talk.began
    if talk.ended == "bad":
        report.add("open.bad_frame", why=talk.bad)
    elif talk.ended == "flood":
        report.add("messages.flood", seconds=after)
    elif talk.code in AUTH_CODES:
        report.add("open.unauthorized", code=talk.code, reason=talk.reason, ms=after * 1000)
    elif talk.ended == "close":
        report.add("open.closed", code=talk.code, reason=talk.reason, ms=after * 1000)
    else:
        report.add("open.cut", ms=after * 1000)
    return False


async def messages(visit: Visit, talk: Talk) -> None:
    """What comes: text as text, and of the type that was promised."""
    report, options = visit.report, visit.options
    if options.expect:
        heard = await talk.until(
            lambda: any(kind(message) == options.expect for message in talk.messages),
            options.patience,
        )
        seen = ", ".join(dict.fromkeys(kind(message) for message in talk.messages)) or "nothing"
        report.add("messages.ok" if heard else "messages.type", wanted=options.expect, seen=seen)
    elif options.say:
        await talk.until(lambda: any(is_reply(one) for one in talk.messages), REPLY_SECONDS)
    binary = [one for one in talk.messages if one.opcode == BINARY and is_json(one)]
    if binary:
        report.add("messages.binary", size=len(binary[0].data), text=binary[0].text)


def is_reply(message: Message) -> bool:
    return b"doctor" in message.data


def is_json(message: Message) -> bool:
    """Whether it is a text in JSON, in whatever frame it came."""
    return decoded(message) is not None


def decoded(message: Message) -> dict[str, Any] | None:
    try:
        value = json.loads(message.text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def kind(message: Message) -> str:
    """The `type` of a message of the course's envelope, or what it has instead."""
    value = decoded(message)
    if value is None:
        return "binary" if message.text is None else "not a JSON object"
    if isinstance(value.get("type"), str):
        return str(value["type"])[:80]
    return f"no type, but {', '.join(map(str, list(value)[:4]))}"


async def beats(visit: Visit, talk: Talk) -> None:
    """Listen, and say nothing: is there a ping, and does the line outlive the silence?"""
    report, whole = visit.report, visit.options.heartbeat
    if whole <= 0:
        report.skip("heartbeat", "idle")
        return
    began = now()
    while not talk.pings and talk.ended is None and now() - began < whole:
        visit.progress(now() - began, whole)
        await talk.until(lambda: bool(talk.pings), min(TICK, whole))
    visit.progress(whole, whole)
    listened(visit, talk, began)


def listened(visit: Visit, talk: Talk, began: float) -> None:
    """Judge the silence that began then."""
    report, waited = visit.report, now() - began
    if talk.pings:
        report.add("heartbeat.ok", seconds=talk.pings[0] - talk.began)
    elif talk.ended != "flood" and not any(one.probe == "heartbeat" for one in report.findings):
        report.add("heartbeat.none", seconds=waited)
    if talk.ended is None:
        report.add("idle.ok", seconds=now() - talk.began)
    elif talk.ended == "cut":
        report.add("idle.cut", seconds=talk.ended_at - talk.last)
    elif talk.ended == "close":
        report.add("idle.closed", seconds=waited, code=talk.code, reason=talk.reason)
    elif talk.ended == "flood":
        report.add("messages.flood", seconds=talk.ended_at - talk.began)
    else:
        report.add("open.bad_frame", why=talk.bad)


async def big(visit: Visit, talk: Talk) -> None:
    """Send a message of the size that was named: is it taken?"""
    size = visit.options.size
    if not size or talk.ended is not None:
        return
    shell = json.dumps({"type": "echo", "requestId": "doctor-size", "data": ""})
    before = len(talk.messages)
    await talk.say(shell[:-2] + "x" * max(0, size - len(shell)) + shell[-2:])
    await talk.until(lambda: len(talk.messages) > before, visit.options.patience)
    if talk.ended == "close" and talk.code == 1009:
        visit.report.add("size.too_big", size=size, reason=talk.reason)
    elif talk.ended is not None:
        visit.report.add("size.lost", size=size)
    else:
        visit.report.add("size.ok", size=size)


async def closes(visit: Visit, talk: Talk) -> None:
    """Is a close answered with a close, and does TCP end then?"""
    if talk.ended is not None:
        return
    code, ended = await talk.close(visit.options.patience)
    if code is None:
        visit.report.add("close.none", seconds=visit.options.patience)
    elif ended is None:
        visit.report.add("close.open", code=code, seconds=visit.options.patience)
    else:
        visit.report.add("close.ok", code=code)


async def instances(visit: Visit) -> None:
    """Let several connections join a channel and one of them publish: who hears it?"""
    channel, options = visit.options.channel, visit.options
    lines: list[Line] = []
    mark = f"doctor-{secrets.token_hex(4)}"
    try:
        talks = []
        for _ in range(MEMBERS):
            answer, _accept, line = await shake(visit, visit.ws_url, options.origin or None)
            if answer.status != 101:
                return
            lines.append(line)
            talks.append(Talk(line))
            await talks[-1].say(_request("subscribe", {"channel": channel}))
        for talk in talks:
            await talk.until(lambda talk=talk: _has(talk, "doctor"), options.patience)  # type: ignore[misc]
        data = {"channel": channel, "event": "doctor:probe", "payload": mark}
        await talks[0].say(_request("publish", data))
        waits = (talk.until(lambda talk=talk: _has(talk, mark), REPLY_SECONDS) for talk in talks)  # type: ignore[misc]
        heard = sum(await asyncio.gather(*waits))
        code = "instances.ok" if heard == MEMBERS else "instances.apart"
        visit.report.add(code, heard=heard, members=MEMBERS, channel=channel)
    except Unreadable:
        return
    finally:
        for line in lines:
            line.cut()


def _request(name: str, data: dict[str, Any]) -> str:
    return json.dumps({"type": name, "requestId": "doctor", "data": data})


def _has(talk: Talk, word: str) -> bool:
    return any(word in (message.text or "") for message in talk.messages)
