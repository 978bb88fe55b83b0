"""`make test`, `make lint` and `make setup`: everything that CI runs, by the same commands.

`setup` brings what is not there yet; `lint` is formatting, lint and types; `test` is setup, lint,
and one run of pytest over all proofs, tools, pages and browsers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from course import console, front, tools
from course.manifest import ROOT, load


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("setup", help="bring all that the tests need")
    subparsers.add_parser("lint", help="formatting, lint and types", description=__doc__)
    test = subparsers.add_parser("test", help="everything that CI runs", description=__doc__)
    test.add_argument("pytest", nargs="*", help="arguments for pytest in place of all tests")


def main(options: argparse.Namespace) -> int:
    if options.command == "setup":
        setup()
        return 0
    if options.command == "lint":
        return lint()
    setup()
    return lint() or pytest(options.pytest)


def setup() -> None:
    """npm's packages, a browser, Chinese fonts. Stops with one line for what cannot be had."""
    tools.npm_install()
    front.modules()
    tools.find("node")
    tools.chromium()
    tools.curl()
    if not tools.chinese_fonts():
        print("no Chinese font found: screenshots will show boxes in its place", file=sys.stderr)


def lint() -> int:
    """Run every linter, all of them even if one complains; 0 if none does. Side by side."""
    with ThreadPoolExecutor() as pool:
        parts = [pool.submit(part) for part in (lint_python, lint_chapters, lint_front)]
    return max([part.result() for part in parts])


def lint_front() -> int:
    linters = front.linters().items()
    return max([run(name, command, str(front.FRONT)) for name, command in linters])


def lint_python() -> int:
    failed = 0
    for name, *arguments in (
        ("formatting", "ruff", "format", "--check", "--quiet", "."),
        ("lint", "ruff", "check", "--quiet", "."),
        ("types of course and tests", "mypy"),
    ):
        failed |= run(name, [sys.executable, "-m", *arguments])
    return failed


def lint_chapters() -> int:
    """Each chapter by itself, as a program of its own; not strict: it is for learners.

    What mypy has read of the libraries for one it knows for the next.
    """
    failed = 0
    for chapter in load().chapters:
        configuration, cache = ROOT / "chapters" / "mypy.ini", ROOT / ".mypy_cache" / "chapters"
        command = [sys.executable, "-m", "mypy", "--config-file", str(configuration)]
        command += ["--cache-dir", str(cache), "."]
        failed |= run(f"types of {chapter.slug}", command, str(chapter.folder))
    return failed


def pytest(arguments: list[str]) -> int:
    """One run of pytest over everything, in as many processes as tests/spread.py says."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.spread", "-n", "auto", "-q"]
    return subprocess.call([*command, *arguments], cwd=ROOT, env=environment())


def run(name: str, command: list[str], folder: str = str(ROOT)) -> int:
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    sign = console.good("✓") if done.returncode == 0 else console.problem("✗")
    print(f"{sign} {name}", flush=True)
    if done.returncode != 0:
        print(done.stdout + done.stderr, flush=True)
    return 1 if done.returncode else 0


def environment() -> dict[str, str]:
    """Where the tests run: wheels' programs are found, and what nobody here needs costs nothing.

    Hundreds of Pythons are started here. On a machine that asks for no bytecode each of them would
    compile the same files again, and with aiohttp each would read the certificates of all the
    world, which nobody here asks for.
    """
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "SSL_CERT_FILE": os.devnull, "PATH": tools.path_with_wheels()}
