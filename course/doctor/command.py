"""`make doctor URL=…`: what is wrong with a WebSocket or Socket.IO endpoint, and how to mend it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable

from course import console
from course.doctor.report import Finding, Report, safe, show, summary
from course.doctor.visit import Options, examine
from course.frames import address
from course.language import language

BAR = 24  # characters of the progress bar
LONGEST = 3600.0  # seconds that any option may ask for
MOST_BYTES = 16_777_216  # that --size may ask for
BARE = {"en": "listening for a heartbeat", "zh": "等待心跳"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor` to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        help="say what is wrong with an endpoint, and how to mend it",
        description=__doc__,
        epilog="Exit code: 0 healthy, or warnings only; 1 problems (with --strict warnings too); "
        "2 unreachable, or a wrong command line. It contacts this URL and nothing else.",
    )
    add = parser.add_argument
    add("url", nargs="?", default=os.environ.get("URL"), help="ws, wss, http or https (URL)")
    add("--json", action="store_true", help="print JSON")
    add("--quick", action="store_true", help="do not listen for a heartbeat")
    add("--strict", action="store_true", help="warnings count as problems")
    add("--lang", choices=["en", "zh"], default=language(), help="the language (COURSE_LANG)")
    add("--heartbeat-wait", type=_seconds, default=35.0, metavar="SECONDS", help="35")
    add("--timeout", type=_seconds, default=5.0, metavar="SECONDS", help="for each step; 5")
    add("--slow", type=_seconds, default=1.0, metavar="SECONDS", help="a slow answer; 1")
    add("--origin", default="", help="the page that connects, such as https://app.example")
    add("--subprotocol", action="append", default=[], metavar="NAME", help="ask for it")
    add("--header", action="append", default=[], type=_header, metavar="NAME:VALUE", help="send it")
    add("--ca", default="", metavar="FILE", help="certificates to trust beside the system's")
    add("--say", default=Options.say, metavar="TEXT", help="the message to send; '' for none")
    add("--size", type=_size, default=0, metavar="BYTES", help="send a message of this size")
    add("--expect", default="", metavar="TYPE", help="a message of this type has to come")
    add("--channel", default="", help="see whether all connections in it hear each other")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds, more than 0, at most an hour")
    return seconds


def _size(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and int(text) <= MOST_BYTES):
        raise argparse.ArgumentTypeError(f"{text!r}: give bytes, at most {MOST_BYTES}")
    return int(text)


def _header(text: str) -> tuple[str, str | None]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable() or not text.isascii():
        raise argparse.ArgumentTypeError(f"{text!r} is not a header such as Cookie:a=b")
    return name.strip(), value.strip()


def options_of(arguments: argparse.Namespace) -> Options:
    return Options(
        origin=arguments.origin,
        subprotocols=tuple(arguments.subprotocol),
        headers=dict(arguments.header),
        ca=arguments.ca,
        heartbeat=0.0 if arguments.quick else arguments.heartbeat_wait,
        patience=arguments.timeout,
        slow=arguments.slow,
        say=arguments.say,
        size=arguments.size,
        expect=arguments.expect,
        channel=arguments.channel,
    )


def main(arguments: argparse.Namespace) -> int:
    """Examine one URL and tell. Returns 0 or 1; exits 2 with one line."""
    if not arguments.url:
        console.stop("no URL: make doctor URL=ws://127.0.0.1:8080/ws")
    for name in ("origin", *(["subprotocol"] if arguments.subprotocol else [])):
        words = [arguments.origin] if name == "origin" else arguments.subprotocol
        if not all(word.isascii() and word.isprintable() for word in words):
            console.stop(f"--{name} must be plain ASCII")
    speak: str = arguments.lang

    def tell(finding: Finding) -> None:
        if not arguments.json:
            print(show(finding, speak), flush=True)

    try:
        address(arguments.url)
        if not arguments.json:
            print(console.bold(str(safe(arguments.url))), flush=True)
        bar = progress_bar(speak)
        report = asyncio.run(examine(arguments.url, options_of(arguments), tell, bar))
    except ValueError as error:
        console.stop(str(error))
    except OSError as error:  # the file of --ca
        console.stop(f"--ca {arguments.ca}: {error.strerror or error}")
    if arguments.json:
        print(report.as_json(speak, strict=arguments.strict), flush=True)
    elif not report.unreachable:
        print(summary(report, speak), flush=True)
    if report.unreachable:
        console.stop(_unreachable(report, speak))
    return report.exit_code(strict=arguments.strict)


def _unreachable(report: Report, speak: str) -> str:
    return f"{safe(report.url)}: {report.findings[-1].evidence(speak)}"


def progress_bar(speak: str) -> Callable[[float, float], None]:
    """Draws on stderr, where that is a terminal; wiped when it is full."""
    if not sys.stderr.isatty():
        return lambda passed, whole: None

    def draw(passed: float, whole: float) -> None:
        done = round(BAR * min(1.0, passed / whole))
        text = f"  {'█' * done}{'░' * (BAR - done)} {BARE[speak]} {passed:.0f}/{whole:.0f} s"
        sys.stderr.write(
            "\r\x1b[K" + ("" if passed >= whole else console.control(text, sys.stderr))
        )
        sys.stderr.flush()

    return draw
