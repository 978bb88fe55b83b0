"""What the grader says: a failure teaches, and what could not be graded never looks like a pass."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from course import catalogue, cli
from course.manifest import ROOT
from course.tools import free_port
from tests.course.grading import UNWANTED, Grade, course, grade, grade_forked
from tests.harness import html, markup, report, sequence, subject
from tests.harness.broken import Broken
from tests.harness.exchange import Event, Exchange, folded
from tests.harness.report import Result
from tests.harness.subject import CannotRun, Process

DEADLINE = 20.0  # seconds for what takes a moment
NASTY = "<script>alert(1)</script>\"'&</svg></details>\x1b[2J\x07\u202e\ud800"

# Edits of tests/harness/servers/by_hand: what is found there, and what takes its place.
ECHO = "                writer.write(frame(kind, whole))"
WELCOME = 'welcome = {"type": "welcome", "ts": int(time.time() * 1000)}'
DIES = '        print("fatal: out of ink"); sys.stdout.flush(); os._exit(7)'
STUBBORN = """
import os, signal, socket, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
time.sleep(60)
"""
LEAVES_A_CHILD = (
    "async def main() -> None:",
    "async def main() -> None:\n"
    "    import pathlib, subprocess\n"
    '    child = subprocess.Popen(["sleep", "600"], stdout=-3, stderr=-3)\n'
    '    with pathlib.Path(os.environ["PIDS"]).open("a") as file:\n'
    '        file.write(f"{os.getpid()} {child.pid} ")',
)


def program(folder: Path, *edits: tuple[str, str]) -> str:
    """The server without a library, with these edits; returns the command that runs it."""
    changes = tuple({"find": find, "to": to} for find, to in edits)
    target = folder / "program"
    Broken("wrong", "echo", "for this test", 1, "by_hand", changes, ()).write(target)
    return shlex.join([sys.executable, str(target / "server.py")])


def check(folder: Path, only: str, command: str, *arguments: str, **environment: str) -> Grade:
    """Grade a program of chapter 1; with `only`, no learner's progress is touched."""
    words = ("1", "--only", only, "--cmd", command, *arguments)
    return grade(folder, *words, **environment) if environment else grade_forked(folder, *words)


def last_line(result: Grade) -> str:
    return result.output.rstrip().rpartition("\n")[2]


@dataclass(frozen=True)
class Wrong:
    """A grading of a server that sends back other letters than it got."""

    command: str
    result: Grade
    results: dict[str, Any]
    page: str


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Wrong:
    folder = tmp_path_factory.mktemp("wrong")
    command = program(folder, (ECHO, ECHO.replace("whole)", 'whole.replace(b"ll", b"lL"))')))
    page = folder / "report.html"
    result = check(folder, "echo::text,echo::binary,masking", command, "--html", str(page))
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return Wrong(command, result, results, page.read_text(encoding="utf-8"))


# A failure teaches


def test_a_failure_shows_all_that_a_stuck_learner_needs(wrong: Wrong) -> None:
    lines = [line.strip() for line in wrong.result.output.splitlines()]

    assert "✗ Text comes back as text." in lines
    assert "python3 -m course send ws://127.0.0.1:8080/ws 818537fa213d5f9f4d5158" in lines
    said = [re.sub(r"^\d+\.\d{3}  ", "", line) for line in lines]
    assert "client-1 →  GET /ws HTTP/1.1" in said
    assert "client-1 →  text 5 bytes FIN hello" in said
    assert "client-1 ←  text 5 bytes FIN helLo" in said
    assert any(line.startswith("hint: Send the answer with opcode 1.") for line in lines)
    read = next(line for line in lines if line.startswith("read: "))
    assert read.startswith("read: RFC 6455 §5.6 · site/en/chapters/01-browser.md · http://")
    assert (ROOT / "site/en/chapters/01-browser.md").exists()


def test_a_caret_points_at_the_first_byte_that_differs(wrong: Wrong) -> None:
    lines = wrong.result.output.splitlines()

    expected = next(line for line in lines if line.startswith("  expected"))
    got, caret = lines[lines.index(expected) + 1 :][:2]
    assert expected.strip() == "expected  68 65 6c 6c 6f  (5 bytes)"
    assert got.strip() == "got       68 65 6c 4c 6f  (5 bytes)"
    assert caret.index("^^") == got.index("4c")
    assert caret.strip() == "^^ byte 3"


def test_the_command_by_hand_shows_the_same(wrong: Wrong) -> None:
    lines = wrong.result.output.splitlines()
    typed = next(line for line in lines if "course send" in line)

    with running(wrong.command) as port:
        words = shlex.split(typed.replace(":8080/", f":{port}/"))[3:]
        done = course(*words, "--wait", "0.5")

    assert "helLo" in done.stdout


def test_the_command_by_hand_is_the_request_that_was_answered_wrongly(tmp_path: Path) -> None:
    """Of several requests only the last one shows the mistake: the others were answered rightly."""
    prefix = 'if not headers.get("origin", ORIGINS[0]).startswith(ORIGINS[0]):'
    command = program(tmp_path, ('if headers.get("origin", ORIGINS[0]) not in ORIGINS:', prefix))

    output = check(tmp_path, "handshake::foreign_origin_is_refused", command).output

    typed = next(line for line in output.splitlines() if "curl -i" in line)
    assert "'Origin: http://page.example.evil.example'" in typed
    assert typed.endswith("http://127.0.0.1:8080/ws")


def test_the_command_by_hand_goes_where_a_person_finds_the_program() -> None:
    request = b"GET /ws?a=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"
    said = [Event(0, "client-1", "→", "GET", request), Event(0, "client-1", "→", "x", b"\x81\x80")]
    half = [Event(0, "client-1", "→", "half a request", b"GET /ws HTTP/1.1\r\nHost:")]
    here = report.address({"kind": "url", "url": "ws://there:9000/ws"})

    typed = report.by_hand(Exchange("ws://127.0.0.1:1/ws", said), here)

    assert typed == ["python3 -m course send ws://there:9000/ws?a=1 8180"]
    assert report.address(TASK) == "127.0.0.1:8080"
    assert report.by_hand(Exchange("ws://127.0.0.1:1/ws", half), here) == []


def test_that_the_server_died_is_told_apart_from_a_wrong_answer(tmp_path: Path) -> None:
    bit, opcode = "framing::reserved_bit", "framing::unknown_opcode"
    dies = program(tmp_path, ("    if rsv != 0:", f"    if rsv != 0:\n{DIES}"))
    dead = check(tmp_path, f"{bit},{opcode}", dies)
    right = "    if rsv != 0:\n        raise Break(1002)"
    wrong = check(tmp_path, bit, program(tmp_path, (right, right.replace("1002", "1007"))))

    assert "the server died (exit code 7); its last words:\n  fatal: out of ink" in dead.output
    assert dead.outcomes == {bit: "failed", opcode: "passed"}  # which got a fresh process
    assert last_line(dead) == "1 of 2 checks pass"
    assert wrong.outcomes == {bit: "failed"}
    assert "the server died" not in wrong.output


def test_the_last_words_hold_the_line_that_names_the_error() -> None:
    stack = [f"    at step {number}" for number in range(20)]
    death = "\n".join(["the server died", "throw er", "RangeError: too long", *stack])

    words = report.last_words(death)

    assert words[:3] == ["the server died", "RangeError: too long", "  …"]
    assert words[3:] == stack[-6:]


def test_what_a_program_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    nasty = WELCOME + '; welcome["type"] = "\\x1b[2J\\u202e" + "\\ud800" + "x" * 5000'
    command = program(tmp_path, (WELCOME, nasty), ("101 Switching Protocols", "101 \\x1b[31mred"))

    result = check(tmp_path, "handshake::welcome_comes_first", command)

    assert result.code == 1
    assert all(char.isprintable() or char == "\n" for char in result.output)
    assert r"HTTP/1.1 101 \x1b[31mred" in result.output
    assert max(map(len, result.output.splitlines())) < 600


# The score and the exit code


def test_the_score_is_the_last_line(wrong: Wrong, tmp_path: Path) -> None:
    right = check(tmp_path, "echo::text,masking", program(tmp_path))

    assert wrong.result.output.startswith("chapter 1 · ")
    assert (last_line(wrong.result), wrong.result.code) == ("2 of 3 checks pass", 1)
    assert (last_line(right), right.code) == ("2 of 2 checks pass", 0)


def test_a_running_program_is_not_asked_what_would_need_its_start(tmp_path: Path) -> None:
    known = "handshake::known_origin_is_let_in"
    with running(program(tmp_path)) as port:
        url = f"ws://127.0.0.1:{port}/ws"
        result = grade(tmp_path, "1", "--only", f"handshake::page_is_served,{known}", "--url", url)
        nothing = grade(tmp_path / "nothing", "1", "--only", known, "--url", url)

    asked = "(not asked: it would have to start the program)"
    assert f"○ A page named in ALLOWED_ORIGINS may connect.  {asked}" in result.output
    assert "\n1 not asked: the grader would have to start the program itself" in result.output
    assert last_line(result) == "1 of 1 checks pass"
    assert result.outcomes[known] == "not asked"
    assert result.code == 0
    assert "course: nothing could be asked" in nothing.output
    assert nothing.code == 2


def test_the_results_as_json_hold_every_check_and_its_exchange(wrong: Wrong) -> None:
    text, binary, mask = wrong.results["checks"]

    assert {name: wrong.results[name] for name in wrong.results if name != "checks"} == {
        "chapter": 1,
        "subject": wrong.command,
        "passed": 2,
        "failed": 1,
        "not_asked": 0,
    }
    assert (text["id"], text["outcome"]) == ("echo::text", "failed")
    assert (binary["id"], binary["outcome"]) == ("echo::binary", "passed")
    assert mask["id"] == "masking::unmasked_frame_is_refused"
    assert text["expected"].startswith("68 65 6c 6c 6f")
    assert text["got"].startswith("68 65 6c 4c 6f")
    assert text["source"] == "RFC 6455 §5.6"
    assert text["died"] is None
    assert [event["arrow"] for event in text["exchange"]] == ["→", "←", "←", "→", "←"]
    assert set(text["exchange"][0]) == {"at", "peer", "arrow", "text"}


def test_of_a_flood_the_results_hold_the_beginning_and_the_end() -> None:
    flood = [Event(at, "client-1", "→", "x") for at in range(report.KEPT_EVENTS + 2)]
    left_out = range(report.KEPT_EVENTS // 2, report.KEPT_EVENTS // 2 + 2)

    assert report.kept(flood[:-2]) == flood[:-2]
    assert report.kept(flood) == [event for event in flood if event.at not in left_out]


async def test_what_a_program_prints_is_read_in_whole_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some write a line in pieces, some in the middle of a character, some never end it."""
    monkeypatch.setattr(subject, "LONGEST_LINE", 8)
    stream = asyncio.StreamReader()

    async def write() -> None:
        for piece in ("half", " a line\r\n\n", *"帧", "\n" + "x" * 9, "rest"):
            for data in [piece.encode()[:1], piece.encode()[1:]]:
                stream.feed_data(data)
                await asyncio.sleep(0)
        stream.feed_eof()

    writing = asyncio.create_task(write())
    lines = [line async for line in subject.printed_lines(stream)]
    await writing

    assert lines == ["half a line", "", "帧", "x" * 9, "rest"]


# What cannot be graded


NO_SUCH = "'/nowhere/server'"
ENDS = "import sys; print('starting'); sys.exit('no licence\\x1b[2J')"
KILLED = "import os; os.kill(os.getpid(), 9)"


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["/nowhere/server"], f"cannot start {NO_SUCH}: No such file or directory"),
        ([str(ROOT / "course.toml")], "Permission denied"),
        ([sys.executable, "-c", ENDS], "ended with exit code 1 before it listened; its last"),
        ([sys.executable, "-c", KILLED], "ended with signal 9 before it listened"),
    ],
    ids=["not there", "no program", "exits at once", "killed"],
)
def test_a_command_that_does_not_become_a_server(
    command: list[str], complaint: str, tmp_path: Path
) -> None:
    result = check(tmp_path, "echo::text", shlex.join(command))

    assert result.code == 2
    assert complaint in last_line(result)
    assert last_line(result).startswith("course: ")
    assert last_line(result).isprintable()
    assert "checks pass" not in result.output
    assert result.outcomes == {}


async def test_a_command_that_never_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "READY_SECONDS", 0.3)
    process = Process(["sleep", "60"], None, {"PORT": "1", "PATH": os.environ["PATH"]})
    await process.start()
    try:
        with pytest.raises(CannotRun, match=r"sleep 60 did not listen on 127.0.0.1:1 within 0 s: "):
            await process.ready()
    finally:
        await process.stop()
    assert not process.alive


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--cmd", "'"], "CMD cannot be split into words: No closing quotation"),
        (["--cmd", " "], "CMD names no program"),
        (["--cmd", "node x", "--url", "ws://127.0.0.1:1/ws"], "give CMD= or URL=, not both"),
        (["--url", "ws://127.0.0.1:1/ws"], "cannot reach ws://127.0.0.1:1/ws: "),
        (["--url", "ws://" + "a" * 80], "cannot reach ws://aaaa"),
        (["--url", "wss://127.0.0.1/ws"], "is not of the form ws://host:port/ws"),
        (["--url", "http://127.0.0.1/"], "is not of the form ws://host:port/ws"),
        (["--url", "127.0.0.1:8080"], "is not of the form ws://host:port/ws"),
        (["--url", "ws://127.0.0.1:99999/ws"], "URL=ws://127.0.0.1:99999/ws cannot be: Port out"),
        (["--url", "ws://[::1/ws"], "URL=ws://[::1/ws cannot be: Invalid IPv6"),
        (["--folder", "/nowhere"], "there is no /nowhere/server.py to run"),
        (["--solution", "--only", "ecco"], "this chapter's modules are handshake, echo, framing"),
        (["--solution", "--only", "http"], "this chapter's modules are handshake, echo, framing"),
        (["--solution", "--only", "echo::ecco"], "echo has no check ecco"),
    ],
)
def test_a_subject_or_choice_that_cannot_be_is_refused_in_one_line(
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in UNWANTED:
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(SystemExit) as end:
        cli.main(["check", "1", *arguments])

    out, error = capsys.readouterr()
    assert end.value.code == 2
    assert complaint in error
    assert (out, error.count("\n")) == ("", 1)


def test_a_report_that_cannot_be_written_is_no_pass(tmp_path: Path) -> None:
    page = check(tmp_path, "echo::text", program(tmp_path), "--html", "/nowhere/report.html")
    ours = ("--only", "echo::text", "--cmd", program(tmp_path), "--json", "/nowhere/results.json")
    data = course("check", "1", *ours)

    assert last_line(page) == "course: cannot write /nowhere/report.html: No such file or directory"
    assert page.code == 2
    assert data.stderr == "course: cannot write /nowhere/results.json: No such file or directory\n"
    assert data.returncode == 2


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of the course as grading needs, with checks that a test may break."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("course", "chapters", "tests", "site/assets"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", "vendor")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("course.toml", "requirements"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.mark.parametrize(
    ("find", "to", "complaint"),
    [
        ('"""The echo', 'import no_such_module\n"""The echo', "No module named 'no_such_module'"),
        ("MANY = 10_000", "MANY = = 10_000", "the checks of echo cannot be read: invalid syntax"),
        ("async def test_", "async def toast_", "echo has no check"),
        ("MANY = 10_000", "__test__ = False", "12 of 12 checks did not run: echo::text …"),
        (
            "def _frame",
            "test_text = None\n\n\ndef _frame",
            "1 of 12 checks did not run: echo::text",
        ),
    ],
    ids=["cannot be imported", "no Python", "no checks", "none collected", "one lost"],
)
def test_checks_that_do_not_run_never_look_like_a_pass(
    find: str, to: str, complaint: str, copy: Path, tmp_path: Path
) -> None:
    right = (ROOT / "tests/checks/test_echo.py").read_text(encoding="utf-8")
    assert find in right
    (copy / "tests/checks/test_echo.py").write_text(right.replace(find, to), encoding="utf-8")
    command = program(tmp_path)

    done = subprocess.run(
        [sys.executable, "-m", "course", "check", "1", "--only", "echo", "--cmd", command],
        cwd=copy,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )

    assert done.returncode == 2
    assert complaint in done.stderr
    assert "checks pass" not in done.stdout


# What the grader leaves behind


def clean_environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in UNWANTED and k[:7] != "PYTEST_"} | more


def alive(pid: int) -> bool:
    """Whether a process still runs. One that only waits to be reaped does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


def until(condition: Any) -> bool:
    """Ask again until the condition holds, or the deadline is over."""
    end = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())


@contextlib.contextmanager
def running(command: str) -> Iterator[int]:
    """A program that runs by itself; gives its port."""
    port = free_port()
    process = subprocess.Popen(shlex.split(command), env=clean_environment(PORT=str(port)))

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    try:
        assert until(listens)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("edit", [ECHO, "nothing at all"], ids=["wrong", "right"])
def test_nothing_of_the_program_survives_a_grading(edit: str, tmp_path: Path) -> None:
    edits = [(ECHO, ECHO.replace("whole)", 'b"?")'))] if edit == ECHO else []
    pids = tmp_path / "pids"

    result = check(
        tmp_path, "echo::text", program(tmp_path, *edits, LEAVES_A_CHILD), PIDS=str(pids)
    )

    assert result.code == len(edits)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) >= 2
    assert until(lambda: not any(map(alive, started)))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_nothing_of_the_program_survives_an_interrupted_grading(
    sent: signal.Signals, tmp_path: Path
) -> None:
    heard, pids = tmp_path / "heard", tmp_path / "pids"
    deaf = (ECHO, f"                open({str(heard)!r}, 'w').close()")
    command = program(tmp_path, deaf, LEAVES_A_CHILD)
    words = ["check", "1", "--only", "masking,echo::text", "--cmd", command]
    grader = subprocess.Popen(
        [sys.executable, "-m", "course", *words],
        cwd=ROOT,
        env=clean_environment(PIDS=str(pids)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert until(heard.exists)
        grader.send_signal(sent)
        out, error = grader.communicate(timeout=DEADLINE)
    finally:
        grader.kill()

    assert grader.returncode == 2
    assert "checks pass" not in out
    assert re.fullmatch(r"course: interrupted in \S+\n", error)
    assert until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


async def test_a_program_that_ignores_sigterm_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "STOP_SECONDS", 0.3)
    port = str(free_port())
    process = Process([sys.executable, "-c", STUBBORN], None, {"PORT": port})
    await process.start()
    await process.ready()

    await process.stop()

    assert process.process is not None and process.process.returncode == -signal.SIGKILL


# The page


class Page(HTMLParser):
    """Reads a page strictly: what is opened is closed, in order."""

    VOID = ("meta", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len({name for name, _ in attrs})
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes what is not open"

    def handle_data(self, data: str) -> None:
        self.text += data if self.open and self.open[-1] != "style" else ""

    def all(self, tag: str, part: str = "") -> list[dict[str, str | None]]:
        """The attributes of every such tag with this class, if one is asked for."""
        return [
            attrs
            for name, attrs in self.tags
            if name == tag and (not part or part in (attrs.get("class") or "").split())
        ]


TASK: dict[str, Any] = {
    "chapter": 1,
    "name": "node server.mjs",
    "kind": "process",
    "lesson": "chapters/01-browser/",
}


def a_result(exchange: Exchange, outcome: str = "passed", **more: Any) -> Result:
    return Result(catalogue.find("echo::text"), outcome, exchange, **more)


def an_exchange(*events: tuple[str, str, str], death: str | None = None) -> Exchange:
    found = [Event(at / 1000, *event) for at, event in enumerate(events)]
    return Exchange("ws://127.0.0.1:1/ws", found, death)


def check_harmless(text: str, page: Page) -> None:
    """Nothing in it runs, nothing is fetched, and nothing is there that cannot be seen."""
    assert all(char.isprintable() or char == "\n" for char in text)
    names = [name for name, _ in page.tags]
    assert not {"script", "img", "iframe", "object", "foreignobject", "base"} & set(names)
    for name, attrs in page.tags:
        assert not [attr for attr in attrs if attr.startswith("on") or attr in ("src", "style")]
        if name == "link":
            assert attrs["href"] == "data:,"
        elif "href" in attrs:
            assert name == "a" and re.match(r"#|https?://", attrs["href"] or "")
    assert "url(" not in text.replace("url(#f", "").replace('fill="url(#f', "")
    assert "@import" not in text
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.tags:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((attrs.get(name) or "").split()) <= set(ids)


def test_the_page_shows_each_check_and_draws_its_exchange(wrong: Wrong) -> None:
    page = Page(wrong.page)

    check_harmless(wrong.page, page)
    for part in ("2 of 3 checks pass", "The browser's WebSocket, and its bytes", wrong.command):
        assert part in page.text
    failed, *passed = page.all("details", "check")
    assert "open" in failed and not any("open" in attrs for attrs in passed)
    assert len(page.all("svg", "sequence")) == len(passed) + 1 == 3
    for part in (
        "✗ failed",
        "✓ passed",
        "The bytes that come back are not the bytes that were sent.",
        "expected  68 65 6c 6c 6f  (5 bytes)\ngot       68 65 6c 4c 6f  (5 bytes)\n",
        " " * 19 + "^^ byte 3",
        "python3 -m course send ws://127.0.0.1:8080/ws 818537fa213d5f9f4d5158",
        "Send the answer with opcode 1.",
        "RFC 6455 §5.6",
    ):
        assert part in page.text


def test_the_page_survives_whatever_a_program_says() -> None:
    nasty = f"{NASTY}{'x' * 3_000_000}"
    exchange = an_exchange(
        ("client-1", "→", "GET /ws HTTP/1.1"),
        ("client-1", "←", f"HTTP/1.1 101 {nasty}"),
        ("client-1", "←", f"text 9 bytes FIN {nasty}"),
        ("stderr", "·", nasty),
        ("client-1", "·", nasty),
        death=f"the server died (exit code 1); its last words:\n{nasty}\n" + f"{NASTY}\n" * 9999,
    )
    result = a_result(
        exchange, "failed", what=nasty, expected=nasty, got=nasty, notes=[nasty, nasty]
    )

    text = html.page(TASK | {"name": nasty}, [result])

    page = Page(text)
    check_harmless(text, page)
    text.encode()
    assert len(text) < 100_000
    assert page.text.count("<script>alert(1)</script>\"'&</svg></details>\\x1b[2J\\x07") > 10
    assert "more characters)" in page.text
    assert "lines before)" in page.text


def test_a_picture_tells_who_spoke_and_what_was_wrong() -> None:
    exchange = an_exchange(
        ("client-1", "→", "GET /ws HTTP/1.1"),
        ("client-1", "←", "HTTP/1.1 101 Switching Protocols"),
        ("client-2", "→", "text 5 bytes FIN hello"),
        ("client-2", "←", "ping 0 bytes"),
        ("client-1", "←", "close 1000 (done)"),
        ("client-1", "·", "the server ended the connection"),
        ("client-2", "·", "the server ended the connection"),
        death="the server died (exit code 1); its last words:\nno",
    )

    page = Page(sequence.Diagram(exchange, "n").draw("a title", "a description"))

    ways = ["to-server", "to-client", "to-server", "control", "control", "control", "problem"]
    assert [attrs["class"] for attrs in page.all("g")] == [*ways, "problem"]
    for name in ("client-1", "client-2", "server", "the server died (exit code 1)"):
        assert name in page.text
    (picture,) = page.all("svg", "sequence")
    assert (picture["aria-labelledby"], picture["aria-describedby"]) == ("tn", "dn")
    assert page.all("title")[0]["id"] == "tn"
    assert page.all("desc")[0]["id"] == "dn"
    lifelines = [float(attrs["y2"] or 0) for attrs in page.all("line", "life")]
    assert lifelines == sorted(lifelines)  # client-1 left first, the server last


def test_a_long_exchange_shows_its_beginning_and_its_end() -> None:
    exchange = an_exchange(*(("client-1", "→", f"text 4 bytes FIN {n:04}") for n in range(1000)))

    picture = sequence.Diagram(exchange, "n").draw("", "")

    assert re.findall(r">(\d{4})</text>", picture) == [
        f"{number:04}" for number in [*range(3), *range(980, 1000)]
    ]
    assert "… 977 more" in picture


def test_a_crowd_shares_one_lifeline() -> None:
    exchange = an_exchange(*((f"client-{n}", "→", "GET /ws HTTP/1.1") for n in range(1, 201)))

    page = Page(sequence.Diagram(exchange, "n").draw("", ""))

    assert len(page.all("line", "life")) == 2
    assert "200 clients" in page.text
    assert "client-200  GET /ws HTTP/1.1" in page.text


def test_the_same_exchange_stands_below_the_picture_as_a_text() -> None:
    exchange = an_exchange(
        ("client-1", "→", "text 5 bytes FIN hello"),
        ("client-1", "←", "pong 0 bytes"),
        ("client-1", "·", "the connection was reset"),
    )

    page = Page(html.page(TASK, [a_result(exchange)]))

    spoken = " ".join(page.text.split())
    assert "0.000 s client-1 →to the server: text 5 bytes FIN hello" in spoken
    assert "0.001 s client-1 ←to the client: pong 0 bytes" in spoken
    assert "0.002 s client-1 ·event: the connection was reset" in spoken


def test_repetitions_are_folded_into_one() -> None:
    same = [("client-1", "←", f'text 37 bytes FIN {{"ts":{1700000000000 + n}}}') for n in range(3)]
    exchange = an_exchange(*same, ("client-2", "←", same[0][2]))

    assert [(event.peer, times) for event, times in folded(exchange.events)] == [
        ("client-1", 3),
        ("client-2", 1),
    ]
    assert sum("(× 3)" in line for line in report.transcript(exchange)) == 1


def test_a_text_is_cut_and_made_harmless() -> None:
    assert markup.line("a<b>\x00\ud800", 4) == "a&lt;b&gt;… (2 more characters)"
    assert markup.line('\x1b\u202e"') == "\\x1b\\u202e&quot;"
    assert markup.lines("\n".join("abc")) == "a\nb\nc"


# The sentences in Chinese


def test_every_check_has_its_sentence_in_chinese() -> None:
    path = catalogue.CHECKS / "zh.toml"
    chinese = tomllib.loads(path.read_text(encoding="utf-8"))
    wanted = {
        name: {check.name for check in module.checks}
        for name, module in catalogue.modules().items()
    }

    assert {name: set(table) for name, table in chinese.items()} == wanted


@pytest.mark.parametrize("name", catalogue.modules())
def test_a_chinese_sentence_says_the_same_in_chinese(name: str) -> None:
    for check in catalogue.modules()[name].checks:
        english, chinese = check.sentence("en"), check.sentence("zh")

        assert chinese.endswith("。"), check.id
        assert re.search("[\u4e00-\u9fff]", chinese), check.id
        exact = r"\b(?:1\d{3}|[A-Z]+(?:_[A-Z]+)+|Sec-\w+-\w+)\b|`[^`]+`"
        assert set(re.findall(exact, english)) <= set(re.findall(exact, chinese)), check.id
