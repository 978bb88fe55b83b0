"""`make check-N`: grade a program by what it does on the wire.

The program is `work/NN-slug/` if it is there, else the course's own chapter; CMD="node server.js"
grades any server (it is told its PORT), URL=ws://… one that is running already. Some modules grade
a client, which is told a URL: CLIENT="node client.js" grades any client by them, and so does CMD=
in a chapter about clients. Exit code 0: all checks pass; 1: something failed; 2: it could not run.
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

from course import bootstrap, catalogue, console, progress
from course.cli import chapter_number
from course.language import language
from course.manifest import ROOT, Chapter, load

# Settings that a running program's checks are told about.
NUMBERS = (
    *("HEARTBEAT_SECONDS", "MAX_MESSAGE_BYTES", "HISTORY", "ACK_SECONDS", "OUTBOX_LIMIT"),
    *("FLUSH_MS", "QUEUE_LIMIT", "QUEUE_BYTES"),
)
# Parts of pytest that no check needs. To begin without them costs a third less, at each grading.
UNUSED = (
    *("terminal", "cacheprovider", "logging", "doctest", "unittest", "junitxml", "pastebin"),
    *("stepwise", "subtests", "faulthandler", "unraisableexception", "threadexception"),
    *("setuponly", "setupplan", "recwarn", "warnings", "legacypath", "debugging", "skipping"),
    "tmpdir",
)
REACH_SECONDS = 5.0  # how long a running program may take to accept a connection


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("check", help="grade a program", description=__doc__)
    parser.add_argument("chapter", type=chapter_number)
    env = os.environ.get
    parser.add_argument("--cmd", default=env("CMD"), help="the command that starts your program")
    parser.add_argument("--client", default=env("CLIENT"), help="the command of your client")
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
    every = load().checks(chapter)
    if "nginx" in chapter.needs:
        bootstrap.install("deploy")
    subject = choose_subject(options, chapter, every)
    names = tuple(name for name in every if role(name) in subject["roles"])
    with tempfile.TemporaryDirectory(prefix="course-check-") as folder:
        results_file = Path(folder) / "results.json"
        task = {
            **subject,
            "chapter": chapter.number,
            "secrets": chapter.secrets,
            "entry": chapter.entry,
            "dialect": chapter.dialect,
            "lesson": f"chapters/{chapter.slug}/",
            "language": language(),
            "asked": choose_only(options.only, names, every),
            "results": str(results_file),
            "html": str(options.html) if options.html else None,
        }
        run_pytest(task, every, Path(folder))
        if not results_file.exists():
            return 2
        results: dict[str, Any] = json.loads(results_file.read_text(encoding="utf-8"))
    if options.json:
        write_report(options.json, as_lines(results))
    if subject["yours"] and not options.only and not options.no_progress:
        keep_progress(chapter, results, subject["name"])
    return 0 if not results["failed"] else 1


def choose_subject(
    options: argparse.Namespace, chapter: Chapter, every: tuple[str, ...]
) -> dict[str, Any]:
    """What to grade: {kind, command, cwd, url, name, yours, roles, client}.

    `roles` says which modules can be asked, those that grade a server, a client, or both; `client`
    is {command, cwd} where a client is graded.
    """
    cmd, client, url = options.cmd, options.client, options.url
    if cmd and chapter.role == "client":
        if client:
            console.stop("CMD= is a client in this chapter: give CMD= or CLIENT=, not both")
        cmd, client = None, cmd
    if url and (cmd or client):
        console.stop(f"give {'CMD=' if cmd else 'CLIENT='} or URL=, not both")
    if client and not any(role(name) == "client" for name in every):
        console.stop(f"chapter {chapter.number} has no checks for a client: leave out CLIENT=")
    if url and chapter.role == "client":
        console.stop(f"chapter {chapter.number} grades a client: URL= is for servers, give CLIENT=")
    if url:
        told_settings_are_numbers()
        address = reachable(url)
        return {"kind": "url", "url": address, "name": url, "yours": True, "roles": ["server"]}
    if cmd or client:
        return {
            "kind": "process",
            "command": words(cmd, "CMD") if cmd else [],
            "cwd": None,
            "name": " · ".join(part for part in (cmd, client) if part),
            "yours": True,
            "roles": (["server"] if cmd else []) + (["client"] if client else []),
            "client": {"command": words(client, "CLIENT"), "cwd": None} if client else None,
        }
    return subject_in_folder(options, chapter)


def subject_in_folder(options: argparse.Namespace, chapter: Chapter) -> dict[str, Any]:
    """The server and the client of a folder, by the commands of the chapter."""
    yours = chapter.work.exists() and not options.solution and not options.folder
    folder: Path = options.folder or (chapter.work if yours else chapter.folder)
    folder = folder.resolve()
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder

    def command(text: str) -> list[str]:
        program, *rest = shlex.split(text)
        if not (folder / rest[0]).exists():
            console.stop(f"there is no {shown}/{rest[0]} to run")
        return [sys.executable if program == "python" else program, *rest]

    return {
        "kind": "process",
        "command": command(chapter.run),
        "cwd": str(folder),
        "name": str(shown),
        "yours": yours,
        "roles": ["server", "client"],
        "client": (
            {"command": command(chapter.client), "cwd": str(folder)} if chapter.client else None
        ),
    }


def words(command: str, variable: str) -> list[str]:
    """A command that was given in a variable, as a shell splits it; else stop with one line."""
    try:
        split = shlex.split(command)
    except ValueError as error:
        console.stop(f"{variable} cannot be split into words: {error}")
    return split or console.stop(f"{variable} names no program")


def role(module: str) -> str:
    """What a module grades, "server" or "client"; stop with one line if the checks are broken."""
    try:
        return catalogue.modules()[module].role
    except catalogue.CatalogueError as error:
        console.stop(str(error))


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
    for name in NUMBERS:
        value = os.environ.get(name) or "1"
        if not re.fullmatch(r"\d+(\.\d+)?", value):
            console.stop(f"{name} must be a number, but it is {value!r}")


def choose_only(only: str | None, names: tuple[str, ...], every: tuple[str, ...]) -> list[str]:
    """The ids of the checks that are asked: all of `names`, or those of `module,module::name`.

    names  the modules that can be put to what is graded
    every  all modules of the chapter
    """
    known = catalogue.modules()
    chosen = []
    for part in only.split(",") if only else names:
        module, _, name = part.strip().partition("::")
        if module not in every:
            console.stop(f"ONLY={only}: this chapter's modules are {', '.join(every)}")
        if module not in names:
            what = role(module)
            give = "CLIENT=" if what == "client" else "CMD= or URL="
            console.stop(f"{module} grades a {what}, and you gave none: {give} says which")
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
            *(part for name in UNUSED for part in ("-p", f"no:{name}")),
            "-s",
            *("--rootdir", str(ROOT), "-c", str(ROOT / "tests" / "checks" / "pytest.ini")),
            *("--grade", str(task_file)),
            *(str(known[name].path) for name in names if name in asked),
        ]
    )


def as_lines(results: dict[str, Any]) -> str:
    """The results as JSON, with each check in a line of its own."""
    rest = {name: value for name, value in results.items() if name != "checks"}
    checks = ",\n".join(json.dumps(check, ensure_ascii=False) for check in results["checks"])
    return f'{json.dumps(rest, ensure_ascii=False)[:-1]}, "checks": [\n{checks}\n]}}\n'


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
