"""`make check-N`: grade a program by what it does on the wire.

The program is `work/NN-slug/` if it is there, else the course's own chapter; CMD="node server.js"
grades any program (it is told its PORT), URL=ws://… one that is running already. Exit code 0: all
checks pass; 1: something failed; 2: it could not be run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from course import catalogue, console, progress
from course.cli import chapter_number
from course.language import language
from course.manifest import ROOT, Chapter, load

REACH_SECONDS = 5.0  # how long a running program may take to accept a connection


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("check", help="grade a program", description=__doc__)
    parser.add_argument("chapter", type=chapter_number)
    env = os.environ.get
    parser.add_argument("--cmd", default=env("CMD"), help="the command that starts your program")
    parser.add_argument("--url", default=env("URL"), help="the address of a running program")
    parser.add_argument("--folder", type=Path, help="a folder with a server.py of its own")
    parser.add_argument("--solution", action="store_true", help="grade the course's own chapter")
    parser.add_argument("--only", default=env("ONLY"), help="some of them: echo,framing::bad_utf8")
    parser.add_argument("--no-progress", action="store_true", help="do not keep the result")
    parser.add_argument("--json", default=env("JSON"), type=Path, help="write the results here")
    parser.add_argument("--html", default=env("HTML"), type=Path, help="write a report here")


def main(options: argparse.Namespace) -> int:
    """Grade, print, keep the progress; return 0, 1 or 2."""
    chapter = load().chapter(options.chapter)
    subject = choose_subject(options, chapter)
    names = load().checks(chapter)
    with tempfile.TemporaryDirectory(prefix="course-check-") as folder:
        results_file = Path(folder) / "results.json"
        task = {
            **subject,
            "chapter": chapter.number,
            "dialect": chapter.dialect,
            "lesson": f"chapters/{chapter.slug}/",
            "language": language(),
            "asked": choose_only(options.only, names),
            "results": str(results_file),
            "html": str(options.html) if options.html else None,
        }
        run_pytest(task, names, Path(folder))
        if not results_file.exists():
            return 2
        results: dict[str, Any] = json.loads(results_file.read_text(encoding="utf-8"))
    if options.json:
        text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
        write_report(options.json, text)
    if subject["yours"] and not options.only and not options.no_progress:
        keep_progress(chapter, results, subject["name"])
    return 0 if not results["failed"] else 1


def choose_subject(options: argparse.Namespace, chapter: Chapter) -> dict[str, Any]:
    """What to grade: {kind, command, cwd, url, name, yours}."""
    if options.cmd and options.url:
        console.stop("give CMD= or URL=, not both")
    if options.url:
        told_settings_are_numbers()
        return {"kind": "url", "url": reachable(options.url), "name": options.url, "yours": True}
    if options.cmd:
        try:
            command = shlex.split(options.cmd)
        except ValueError as error:
            console.stop(f"CMD cannot be split into words: {error}")
        if not command:
            console.stop("CMD names no program")
        return {
            "kind": "process",
            "command": command,
            "cwd": None,
            "name": options.cmd,
            "yours": True,
        }
    yours = chapter.work.exists() and not options.solution and not options.folder
    folder: Path = options.folder or (chapter.work if yours else chapter.folder)
    folder = folder.resolve()
    command = shlex.split(chapter.run)
    if command[0] == "python":
        command[0] = sys.executable
    program = folder / command[1]
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    if not program.exists():
        console.stop(f"there is no {shown}/{command[1]} to run")
    return {
        "kind": "process",
        "command": command,
        "cwd": str(folder),
        "name": str(shown),
        "yours": yours,
    }


def reachable(url: str) -> str:
    """The address, if something there accepts a connection; else stop with one line."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        console.stop(f"URL={url} cannot be: {error}")
    if parts.scheme != "ws" or not parts.hostname:
        console.stop(f"URL={url} is not of the form ws://host:port/ws")

    async def knock() -> None:
        async with asyncio.timeout(REACH_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
        writer.close()

    try:
        asyncio.run(knock())
    except TimeoutError:
        console.stop(f"nothing answered at {url} within {REACH_SECONDS:.0f} s")
    except (OSError, UnicodeError) as error:  # a name of more than 63 letters has no DNS form
        reason = getattr(error, "strerror", None) or str(error)
        console.stop(f"cannot reach {url}: {reason}. Is the program running, and on that port?")
    return url


def told_settings_are_numbers() -> None:
    """A running program's settings are told to us through the environment: stop at nonsense."""
    for name in ("HEARTBEAT_SECONDS", "MAX_MESSAGE_BYTES"):
        value = os.environ.get(name) or "1"
        if not re.fullmatch(r"\d+(\.\d+)?", value):
            console.stop(f"{name} must be a number, but it is {value!r}")


def choose_only(only: str | None, names: tuple[str, ...]) -> list[str]:
    """The ids of the checks that are asked: the chapter's, or those of `module,module::name`."""
    try:
        known = catalogue.modules()
    except catalogue.CatalogueError as error:
        console.stop(str(error))
    chosen = []
    for part in only.split(",") if only else names:
        module, _, name = part.strip().partition("::")
        if module not in names:
            console.stop(f"ONLY={only}: this chapter's modules are {', '.join(names)}")
        ids = [check.id for check in known[module].checks if name in ("", check.name)]
        if not ids:
            console.stop(f"{module} has no check {name}".rstrip())
        chosen += ids
    return chosen


def run_pytest(task: dict[str, Any], names: tuple[str, ...], folder: Path) -> None:
    """Run the check modules in this process, under the harness's own reporter.

    The results are in the file that the task names; if something kept it from the end, there is
    none.
    """
    import pytest  # the other commands do without it

    task_file = folder / "task.json"
    task_file.write_text(json.dumps(task), encoding="utf-8")
    known = catalogue.modules()
    asked = {check_id.partition("::")[0] for check_id in task["asked"]}
    # Only what the harness needs: whatever else is installed or configured must not change a grade.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    sys.path.insert(0, str(ROOT))
    # Ended from outside, the grader still ends the program that it has started, as after Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    pytest.main(
        [
            *("-p", "pytest_asyncio.plugin", "-p", "tests.harness.plugin"),
            *("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:logging", "-s"),
            *("--rootdir", str(ROOT), "-c", str(ROOT / "tests" / "checks" / "pytest.ini")),
            *("--grade", str(task_file)),
            *(str(known[name].path) for name in names if name in asked),
        ]
    )


def write_report(path: Path, text: str) -> None:
    try:
        # Half a character that a program sent has no UTF-8; as an escape it stays valid JSON.
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        console.stop(f"cannot write {path}: {error.strerror}")


def keep_progress(chapter: Chapter, results: dict[str, Any], subject: str) -> None:
    failed = [result["id"] for result in results["checks"] if result["outcome"] == "failed"]
    total = len(results["checks"])
    progress.record(chapter.number, results["passed"], failed, total, subject)
