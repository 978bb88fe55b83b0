"""`make dev`: the front end in `vite-proxy/`, behind Vite's proxy, with a server to talk to.

Vite passes /ws, /socket.io, /api and /metrics on to BACKEND. Unless that names a server of yours,
chapter 14 is started for it. Ctrl-C ends both.

`python -m course front build` builds what a server hands out, `vite-proxy/dist`, if its sources
have changed, and prints where it is; chapters 12 and 14 call `build()`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from course import console, tools
from course.language import language
from course.manifest import ROOT, load

FRONT = ROOT / "vite-proxy"
DIST = FRONT / "dist"
SOURCES = ("index.html", "package-lock.json", "public", "src", "vite.config.ts")
CHAPTER = 14  # the board's server
VITE_PORT = 5173
LOOK_SECONDS = 0.2
END_SECONDS = 4.0

WORDS = {
    "en": {"look": "look", "users": "users", "end": "Ctrl-C ends both", "passes": "passes on to"},
    "zh": {"look": "看", "users": "用户", "end": "按 Ctrl-C 一并结束", "passes": "转发到"},
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("dev", help="run the front end with Vite's proxy", description=__doc__)
    parser = subparsers.add_parser("front", help="build the front end", description=__doc__)
    parser.add_argument("what", choices=["build"])


def main(options: argparse.Namespace) -> int:
    """`dev` or `front build`; return an exit code."""
    if options.command == "dev":
        return develop()
    print(build())
    return 0


def build() -> Path:
    """The built front end, made anew if its sources have changed; stops with one line if it cannot.

    It is asked for by what its own server says, whatever host and scheme that has: no address is in
    it, unless VITE_WS_URL names one.
    """
    tools.BUILD.mkdir(exist_ok=True)
    with (tools.BUILD / "front.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds what the first has made
        stamp, wanted = DIST / ".built-from", fingerprint()
        if not (stamp.exists() and stamp.read_text() == wanted):
            build_anew(wanted)
    return DIST


def build_anew(wanted: str) -> None:
    """In a folder beside it, so that nobody is handed half of it."""
    print("building the front end (once) …", file=sys.stderr, flush=True)
    fresh = tools.BUILD / "dist"
    command = vite("build", "--outDir", str(fresh), "--emptyOutDir", "--logLevel", "warn")
    done = subprocess.run(
        command, cwd=FRONT, env=environment("0", ""), capture_output=True, text=True
    )
    if done.returncode:
        console.stop(f"the front end cannot be built: {reason(done.stdout + done.stderr)}")
    (fresh / ".built-from").write_text(wanted)
    shutil.rmtree(DIST, ignore_errors=True)
    fresh.replace(DIST)


def fingerprint() -> str:
    """Of all that the built pages depend on."""
    digest = hashlib.sha256(os.environ.get("VITE_WS_URL", "").encode())
    for name in SOURCES:
        place = FRONT / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                digest.update(f"\0{path.relative_to(FRONT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def reason(said: str) -> str:
    """The line that says most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = lines or ["no reason given"]
    return next((line for line in lines if "rror" in line), lines[-1])


def develop() -> int:
    """Run Vite and its backend until one of them ends, or Ctrl-C; return an exit code."""
    command = vite()
    front_port = os.environ.get("VITE_PORT") or str(VITE_PORT)
    origin = f"http://127.0.0.1:{front_port}"
    backend = os.environ.get("BACKEND") or ""
    programs = []
    # Before anything is started, so that nothing can be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if not backend:
            port = os.environ.get("PORT") or "8080"
            backend = f"http://127.0.0.1:{port}"
            programs.append(serve_chapter(port, origin))
        programs.append(subprocess.Popen(command, cwd=FRONT, env=environment(front_port, backend)))
        words = WORDS[language()]
        print(f"{words['look']}  {origin}/  →  {words['passes']} {backend}", flush=True)
        print(f"{words['users']}  alice / wonderland · bob / builder", flush=True)
        print(console.control(words["end"]), flush=True)
        while all(program.poll() is None for program in programs):
            time.sleep(LOOK_SECONDS)
        ended = next(program for program in programs if program.poll() is not None)
        who = "Vite" if ended is programs[-1] else f"the server of chapter {CHAPTER}"
        console.warn(f"{who} has ended with {ended.returncode}")
        return 1 if ended.returncode else 0
    except KeyboardInterrupt:
        wait(programs, END_SECONDS)  # Ctrl-C has reached them too; a second signal would disturb
        return 0
    finally:
        end(programs)


def serve_chapter(port: str, origin: str) -> subprocess.Popen[bytes]:
    """The chapter's server, which lets in pages of Vite's origin: the proxy does not change it."""
    chapter = load().chapter(CHAPTER)
    secrets = tools.local_secrets(chapter.secrets, os.environ)
    origins = os.environ.get("ALLOWED_ORIGINS") or origin
    environment = {**os.environ, **secrets, "PORT": port, "ALLOWED_ORIGINS": origins}
    return subprocess.Popen([sys.executable, "server.py"], cwd=chapter.folder, env=environment)


def end(programs: list[subprocess.Popen[bytes]]) -> None:
    """End whichever still runs, by force in the end."""
    for act in (subprocess.Popen.terminate, subprocess.Popen.kill):
        for program in programs:
            if program.poll() is None:
                act(program)
        wait(programs, END_SECONDS)


def wait(programs: list[subprocess.Popen[bytes]], seconds: float) -> None:
    """Wait until all have ended, or the time has."""
    deadline = time.monotonic() + seconds
    for program in programs:
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(max(0.0, deadline - time.monotonic()))


def environment(port: str, backend: str) -> dict[str, str]:
    """What Vite reads: its port, and whom it passes requests on to."""
    path = tools.path_with_wheels()
    return {**os.environ, "PATH": path, "VITE_PORT": port, "BACKEND": backend}


def modules() -> Path:
    """The front end's packages; stops with one line if they cannot be had."""
    return tools.npm_install(FRONT)


def program(script: str, *arguments: str) -> list[str]:
    """A command of node_modules, run by node itself: npx would leave a child behind."""
    return [tools.find("node"), str(modules() / script), *arguments]


def vite(*arguments: str) -> list[str]:
    return program("vite/bin/vite.js", *arguments)


def vitest(*arguments: str) -> list[str]:
    return program("vitest/vitest.mjs", "run", *arguments)


def linters() -> dict[str, list[str]]:
    """What `make lint` runs in the front end, by name."""
    cache = str(FRONT / "node_modules" / ".cache")
    eslint = ("--cache", "--cache-location", f"{cache}/eslint", "--max-warnings", "0")
    prettier = ("--cache", "--cache-location", f"{cache}/prettier.json", "--log-level", "warn")
    return {
        "types of the front end": program("typescript/bin/tsc", "-b"),
        "lint of the front end": program("eslint/bin/eslint.js", *eslint, "."),
        "formatting of the front end": program(
            "prettier/bin/prettier.cjs", *prettier, "--check", "."
        ),
    }
