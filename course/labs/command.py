"""`make break-NAME`: sets up one broken deployment on this computer, and shows its symptom.

With --json a program is told: one line of JSON once it stands, with its address, its symptom, and
the words that tell the doctor the same; or, for `list`, all labs and what is said about them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shlex
import signal
from contextlib import AsyncExitStack

from course import console
from course.doctor.report import show, summary, vocabulary
from course.doctor.visit import examine
from course.labs import catalogue
from course.labs.catalogue import Lab
from course.labs.stage import Scene
from course.language import language

MYSTERY, LIST = "mystery", "list"
WORDS = {
    "en": {
        "see": "what you see",
        "ask": "ask the doctor, in a second terminal",
        "cure": "the cure",
        "end": "Ctrl-C ends it",
        "cured": "cured",
        "unknown": "something is broken: what?",
        "was": "it was",
    },
    "zh": {
        "see": "你会看到",
        "ask": "在另一个终端里问医生",
        "cure": "修好之后",
        "end": "按 Ctrl-C 结束",
        "cured": "已修复",
        "unknown": "有什么坏了：是什么？",
        "was": "谜底",
    },
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `break` to the command line."""
    parser = subparsers.add_parser(
        "break",
        help="set up one broken deployment",
        description=__doc__.partition("\n")[0],
        epilog=f"{LIST} names all of them; {MYSTERY} picks one and does not say which.",
    )
    parser.add_argument("name", nargs="?", default=LIST)
    cured = os.environ.get("CURED", "") not in ("", "0")
    parser.add_argument("--cured", action="store_true", default=cured, help="the cure (CURED=1)")
    parser.add_argument("--diagnose", action="store_true", help="ask the doctor here, then end")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--lang", choices=["en", "zh"], default=language())


def main(options: argparse.Namespace) -> int:
    """Run one lab until Ctrl-C. Exits 2 with one line if there is none of this name."""
    speak: str = options.lang
    if options.name == LIST and options.json:
        print(json.dumps([_about(catalogue.lab(name)) for name in catalogue.names()]))
        return 0
    if options.name == LIST:
        width = max(map(len, catalogue.names()))
        for name in catalogue.names():
            print(f"  make break-{name.ljust(width)}  {catalogue.lab(name).title[speak]}")
        return 0
    mystery = options.name == MYSTERY
    if mystery and options.cured:
        console.stop("a mystery is cured by its name: make break-NAME CURED=1")
    name = random.choice(catalogue.names()) if mystery else options.name
    if name not in catalogue.names():
        console.stop(
            f"there is no lab {name!r}; there are: {', '.join(catalogue.names())}, {MYSTERY}"
        )
    lab = catalogue.lab(name)
    try:
        if options.json:
            asyncio.run(_stand(lab, options.cured))
            return 0
        asyncio.run(_run(lab, speak, options.cured, mystery=mystery, diagnose=options.diagnose))
    except KeyboardInterrupt:
        pass  # that is how it ends
    except (OSError, RuntimeError, TimeoutError) as error:
        console.stop(f"the lab {name} cannot be set up: {error or 'time ran out'}")
    finally:
        if mystery and not options.json:
            print(f"\n{WORDS[speak]['was']}: {name} · {lab.title[speak]}")
    return 0


def _about(lab: Lab) -> dict[str, object]:
    """A lab as a program is told of it."""
    entry = vocabulary()[lab.finds]
    return {"name": lab.name, "title": lab.title, "cause": entry["cause"], "cure": entry["cure"]}


def _asked_to_stop() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _stand(lab: Lab, cured: bool) -> None:
    """Set it up, say so in one line of JSON, and let it stand."""
    stop = _asked_to_stop()
    async with lab.scene(cured) as scene:
        seen = [{"who": who, "said": said} for who, said in await scene.symptom()]
        doctor = shlex.split(catalogue.doctor_words(scene))[3:]  # without `python3 -m course`
        told = {"name": lab.name, "url": scene.url, "seen": seen, "doctor": doctor}
        print(json.dumps(told), flush=True)
        await stop.wait()


async def _run(lab: Lab, speak: str, cured: bool, *, mystery: bool, diagnose: bool) -> None:
    words = WORDS[speak]
    stop = _asked_to_stop()
    title = words["unknown"] if mystery else f"{lab.name} · {lab.title[speak]}"
    print(console.bold(title) + (f"  ({words['cured']})" if cured else ""), flush=True)
    async with AsyncExitStack() as stack:
        scene = await stack.enter_async_context(lab.scene(cured))
        print(f"\n{words['see']}", flush=True)
        await _tell_symptom(scene)
        if diagnose:
            print(flush=True)
            report = await examine(scene.url, scene.options, lambda one: print(show(one, speak)))
            print(summary(report, speak))
            return
        print(f"\n{words['ask']}\n  {catalogue.doctor_words(scene)}")
        if not mystery and not cured:
            print(f"\n{words['cure']}\n  make break-{lab.name} CURED=1")
        print(f"\n{console.control(words['end'])}", flush=True)
        await stop.wait()


async def _tell_symptom(scene: Scene) -> None:
    lines = await scene.symptom()
    width = max(len(who) for who, _ in lines)
    for who, said in lines:
        print(f"  {console.control(who.ljust(width))}  {said}", flush=True)
