"""`make chapter-N`: run one chapter as a learner would, and say where to look and what to try."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys

from course import bootstrap, console, front, tools
from course.cli import chapter_number
from course.language import language
from course.manifest import ROOT, Chapter, load
from course.tools import local_secrets

DASHBOARD = 14  # the chapter whose server the front end of vite-proxy/ needs

WORDS = {
    "en": {
        **{"look": "look", "try": "try", "grade": "grade", "read": "read", "end": "Ctrl-C ends it"},
        "made": "{} is not set: this run has one of its own",
        "plain": "so the server shows its own page; `make setup`, then again, for React's board",
    },
    "zh": {
        **{"look": "看", "try": "试", "grade": "评", "read": "读", "end": "按 Ctrl-C 结束"},
        "made": "没有设置 {}：为这次运行临时生成了一个",
        "plain": "所以服务器只显示自带的页面；要看 React 看板，先运行 `make setup` 再来",
    },
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("run", help="run a chapter", description=__doc__)
    parser.add_argument("chapter", type=chapter_number)


def main(options: argparse.Namespace) -> int:
    """Run the chapter in the foreground until it ends or Ctrl-C; return its exit code."""
    chapter = load().chapter(options.chapter)
    port = os.environ.get("HTTP_PORT" if chapter.role == "deployment" else "PORT") or "8080"
    if chapter.dialect == "socketio" or chapter.role == "deployment":
        bring_client()
    if "nginx" in chapter.needs:
        bootstrap.install("deploy")
    print(introduction(chapter, port), flush=True)
    command = shlex.split(chapter.launch)
    if command[0] == "python":
        command[0] = sys.executable
    made = local_secrets(chapter.secrets, os.environ)
    board = bring_board(chapter)
    for name in made:
        print(console.control(WORDS[language()]["made"].format(name)), flush=True)
    # Ctrl-C reaches the whole foreground group: the chapter ends by itself, we wait for it.
    process = subprocess.Popen(command, cwd=chapter.folder, env={**os.environ, **made, **board})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


def bring_client() -> None:
    """Socket.IO's browser client comes by npm, where there is one. The chapter runs without it."""
    if (ROOT / "node_modules" / "socket.io-client").exists():
        return
    known = (ROOT / "package-lock.json").exists()
    if known and shutil.which("npm", path=tools.path_with_wheels()):
        try:
            tools.npm_install()
            return
        except SystemExit:
            pass  # it has said why
    print("no socket.io-client here: `make setup` brings it for the page", file=sys.stderr)


def bring_board(chapter: Chapter) -> dict[str, str]:
    """The settings by which a chapter shows the built front end; none for most chapters.

    The dashboard's own server has a page for where it cannot be built. A deployment shows it if
    BOARD is set, with that server as every instance.
    """
    if chapter.role == "deployment" and os.environ.get("BOARD"):
        server = str(load().chapter(DASHBOARD).folder)
        return {"NATIVE": server, "SOCKETIO": server, "STATIC": str(front.build())}
    a_copy_without_it = not (front.FRONT / "package-lock.json").exists()
    if chapter.number != DASHBOARD or "STATIC" in os.environ or a_copy_without_it:
        return {}
    try:
        return {"STATIC": str(front.build())}
    except SystemExit:  # it has said why
        print(WORDS[language()]["plain"], file=sys.stderr, flush=True)
        return {}


def introduction(chapter: Chapter, port: str) -> str:
    """What is printed before the chapter's own output."""
    speak = language()
    words = WORDS[speak]
    http, ws = f"http://127.0.0.1:{port}/", f"ws://127.0.0.1:{port}/ws"
    places = {"http": http, "ws": ws, **second_instance(port)}
    places |= over_tls(os.environ.get("HTTPS_PORT") or "8443")
    rows = [(words["look"], places["https" if chapter.role == "deployment" else "http"])]
    rows += [(words["try"], text[speak].format(**places)) for text in chapter.suggestions]
    rows += [
        (words["read"], f"site/{speak}/chapters/{chapter.slug}.md  (make site)"),
        (words["grade"], f"make start-{chapter.number} · make check-{chapter.number}"),
    ]
    width = max(len(word) for word, _ in rows)
    lines = [
        console.bold(f"{chapter.number} · {chapter.title[speak]}"),
        chapter.goal[speak],
        "",
        *(f"  {console.control(word.ljust(width))}  {text}" for word, text in rows),
        "",
        console.control(words["end"]),
    ]
    return "\n".join(lines)


def second_instance(port: str) -> dict[str, str]:
    """Where a chapter that starts two has its other one: the port after the first."""
    other = int(port) + 1 if port.isdecimal() else port
    return {"http2": f"http://127.0.0.1:{other}/", "ws2": f"ws://127.0.0.1:{other}/ws"}


def over_tls(port: str) -> dict[str, str]:
    """Where a deployment is."""
    return {"https": f"https://127.0.0.1:{port}/", "wss": f"wss://127.0.0.1:{port}/ws"}
