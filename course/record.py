"""`make record-N`: run what a chapter's lesson shows, and write it to `transcript.txt`.

The demos are in `course.toml`. What differs from run to run (times, dates, versions) is replaced by
something of the same length, so that the numbers beside it stay true; a random delay by another. A
test records again and compares.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from urllib.request import ProxyHandler, build_opener

from course import console, tools
from course.cli import chapter_number
from course.manifest import Chapter, Demo, load
from course.run import over_tls, second_instance

PORT, TLS_PORT = 8080, 8443  # shown in the lesson; the recording itself runs on free ports
STEP_SECONDS = 20.0  # for one answer, or one program's end
HEARTBEAT_SECONDS = "1"
BUS_TIMEOUT = "8"  # seconds: on a busy machine Valkey is slow, and that is no part of the story
RANDOM = "5eed5eed5eed5eed"  # for what a program has drawn
EPOCH, DATE = "1700000000000", "Tue, 14 Nov 2023 22:13:20 GMT"  # the same moment
SESSION = "0123456789abcdefAAAB"  # as long as the ids of Socket.IO's sessions
ANSWERED = re.compile(r"^(←|\{\"event\": \"message\"|closed|\{\"event\": \"close\")")
# A line of `say` that begins like this is no line to type but a command to run beside the program.
BESIDE = "! "
RECOVERED = re.compile(r"^\{\"event\": \"(message|stopped)\"")  # after such a command
DELAY = "437"  # milliseconds; in truth they are random

OPENED = re.compile(r"^\{\"event\": \"open\"")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("record", help="record a transcript", description=__doc__)
    parser.add_argument("chapter", type=chapter_number)


def main(options: argparse.Namespace) -> int:
    chapter = load().chapter(options.chapter)
    path = chapter.folder / "transcript.txt"
    path.write_text(transcript(chapter), encoding="utf-8")
    print(f"recorded {path.relative_to(Path.cwd())}")
    return 0


def transcript(chapter: Chapter) -> str:
    """What a learner sees who types the chapter's demos, normalised."""
    port = tools.free_port() if chapter.launch == chapter.run else two_free_ports()
    environment = {**os.environ, "PORT": str(port), "HEARTBEAT_SECONDS": HEARTBEAT_SECONDS}
    tls_port = tools.free_port()  # of a deployment
    environment |= {"HTTP_PORT": str(port), "HTTPS_PORT": str(tls_port)}
    environment |= {"BUS_TIMEOUT": BUS_TIMEOUT}
    environment |= tools.local_secrets(chapter.secrets, os.environ)
    server = _start(chapter.launch, chapter.folder, environment)
    try:
        while not (line := _take(server.lines) or "").startswith("listening"):
            if not line:
                console.stop(f"chapter {chapter.number} did not start")
        if chapter.launch != chapter.run:
            both_well(port)
        # A native server greets with a message; Socket.IO's welcome is the opening itself.
        greeted = OPENED if chapter.dialect == "socketio" else ANSWERED
        places = second_instance(str(port)) | over_tls(str(tls_port))
        parts = [_play(demo, chapter.folder, port, greeted, places) for demo in chapter.demos]
    finally:
        server.end()
    return normalise("\n".join(parts).replace(f":{tls_port}", f":{TLS_PORT}"), port)


def two_free_ports() -> int:
    """A free port whose next one is free as well: two instances stand side by side."""
    for _ in range(20):
        port = tools.free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
        return port
    console.stop("no two free ports side by side were found")


def both_well(port: int) -> None:
    """Wait until the instances on this port and the next one are up and have found their bus.

    Raises TimeoutError.
    """
    ask = build_opener(ProxyHandler({})).open  # whatever proxy the environment names
    until = time.monotonic() + STEP_SECONDS
    for number in (port, port + 1):
        while True:
            try:
                with ask(f"http://127.0.0.1:{number}/api/health", timeout=STEP_SECONDS):
                    break
            except OSError as error:  # also the HTTPError of a 503
                if time.monotonic() > until:
                    raise TimeoutError(f"port {number} is not well: {error}") from error
                time.sleep(0.1)


class _Program:
    """A running program whose lines arrive in a queue; None is the end of them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: Queue[str | None] = Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def end(self) -> None:
        """Let go of it, whether it still runs or not."""
        self.process.terminate()
        self.reader.join(STEP_SECONDS)
        with self.process:  # waits, and closes the pipes
            pass


def _start(command: str, folder: Path, environment: dict[str, str]) -> _Program:
    words = shlex.split(command)
    if words[0] == "python":
        words[0] = sys.executable
    elif words[0] == "curl":
        words[0] = tools.curl()
    return _Program(
        subprocess.Popen(
            words,
            cwd=folder,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )


def _play(
    demo: Demo, folder: Path, port: int, greeted: re.Pattern[str], places: dict[str, str]
) -> str:
    """One demo: the command as typed, what is said to it, and all that it prints."""
    address = f"127.0.0.1:{port}"
    places = {"http": f"http://{address}/", "ws": f"ws://{address}/ws", **places}
    command = demo.command.format(**places)
    environment = {**os.environ, **demo.env, "URL": places["ws"]}
    program = _start(command, folder, environment)
    assert program.process.stdin is not None
    typed = " ".join([*(f"{name}={value}" for name, value in demo.env.items()), command])
    shown = [f"$ {typed}"]
    answered = False
    for line in ("", *demo.say):
        wanted = ANSWERED if line else greeted
        if line.startswith(BESIDE):
            shown += _beside(line.removeprefix(BESIDE).format(**places))
            answered, wanted = False, RECOVERED
        elif line:
            program.process.stdin.write(line + "\n")
            program.process.stdin.flush()
            answered = False
        while demo.say and not answered:  # the next line is typed when this one was answered
            printed = _take(program.lines)
            if printed is None:
                break
            shown.append(printed)
            answered = bool(wanted.match(printed))
    program.process.stdin.close()
    while (printed := _take(program.lines)) is not None:
        shown.append(printed)
    program.end()
    return "\n".join(shown) + "\n"


def _beside(command: str) -> list[str]:
    """Run a command in another terminal, so to speak: what is typed there, and what it prints."""
    words = shlex.split(command)
    words[0] = tools.curl() if words[0] == "curl" else words[0]
    done = subprocess.run(words, capture_output=True, text=True, timeout=STEP_SECONDS, check=True)
    return [f"$ {command}", *done.stdout.splitlines()]


def _take(lines: Queue[str | None]) -> str | None:
    try:
        return lines.get(timeout=STEP_SECONDS)
    except Empty:
        console.stop(f"nothing was printed for {STEP_SECONDS:.0f} s while recording")


def normalise(text: str, port: int) -> str:
    """Replace what differs from run to run by something of the same length."""
    text = text.replace(f":{port}", f":{PORT}").replace(f":{port + 1}", f":{PORT + 1}")
    for milliseconds in set(re.findall(r"\b1[6-9]\d{11}\b", text)):
        text = text.replace(milliseconds, EPOCH)
        text = _replace_in_dump(text, milliseconds.encode(), EPOCH.encode())
    text = re.sub(r'("(?:epoch|deliveryId)": ?")[0-9a-f]{16}"', rf'\g<1>{RANDOM}"', text)
    text = re.sub(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", DATE, text)
    text = re.sub(r'("delayMs": )\d+', rf"\g<1>{DELAY}", text)
    text = re.sub(r'"sid":"[\w-]{20}"', f'"sid":"{SESSION}"', text)  # of Socket.IO
    text = re.sub(r"Python/3\.\d+", "Python/3.11", text)
    return re.sub(r"\b\d+\.\d(?= s\b)", lambda time: f"{round(float(time[0]) * 2) / 2:.1f}", text)


def _replace_in_dump(text: str, old: bytes, new: bytes) -> str:
    """Replace bytes in a hexadecimal dump, where they may run on from one line to the next."""
    between = r"( |(?:  [^\n]*)?\n← )"
    pattern = between.join(f"{byte:02x}" for byte in old)
    return re.sub(
        pattern,
        lambda match: "".join(
            f"{byte:02x}{gap}" for byte, gap in zip(new, [*match.groups(), ""], strict=True)
        ),
        text,
    )
