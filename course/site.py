"""The lessons as a site: `make site` shows them with live reload, `make site-build` builds them.

English stands at /, Chinese at /zh/. Each is one run of MkDocs; English is built first, because its
build empties the whole folder. A broken link, heading or snippet fails the build.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from course import console, partials, preview, tools
from course.catalogue import CatalogueError
from course.manifest import LANGUAGES, ROOT

SITE = ROOT / "build" / "site"
CONFIGS = {"en": "mkdocs.yml", "zh": "mkdocs.zh.yml"}
SHARED = ROOT / "site" / "assets"
MERMAID = Path("mermaid", "dist", "mermaid.min.js")  # in node_modules
HOST, PORT = "127.0.0.1", 8000

# What a change makes build again: everything below these folders, and these files.
SOURCES = [
    ROOT / name
    for name in (
        "chapters",
        "nginx",
        "vite-proxy/src",
        "course",
        "site",
        "tests/checks",
        "tests/broken",
    )
]
FILES = [ROOT / name for name in ("course.toml", "mkdocs.base.yml", *CONFIGS.values())]


class BuildError(Exception):
    """The site could not be built; the message is what the builder said."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("site", help=f"the lessons on port {PORT}, with live reload")
    build = subparsers.add_parser("site-build", help="build both languages strictly")
    build.add_argument("--into", type=Path, default=SITE, help="the folder (default: build/site)")


def main(options: argparse.Namespace) -> int:
    if options.command == "site":
        return serve()
    target = options.into.resolve()
    try:
        build(target)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"built {target} in English and Chinese")
    return 0


def prepare() -> None:
    """Everything the builders read and git does not hold. Raises BuildError."""
    try:
        partials.generate()
    except (partials.DataError, CatalogueError, OSError) as error:
        raise BuildError(str(error)) from error
    mermaid = tools.npm_install() / MERMAID
    for language in LANGUAGES:
        vendor = {path.name: path.read_bytes() for path in [*SHARED.iterdir(), mermaid]}
        vendor["close-codes.js"] = partials.close_code_script(language).encode()
        fill(ROOT / "site" / language / "assets" / "vendor", vendor)


def fill(folder: Path, wanted: dict[str, bytes]) -> None:
    """Make `folder` hold exactly these files, and touch none that is right already."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def build(target: Path = SITE, strict: bool = True) -> None:
    """Build both languages into `target`. Raises BuildError."""
    prepare()
    for language, folder in (("en", target), ("zh", target / "zh")):
        command = [sys.executable, "-m", "mkdocs", "build", "-f", CONFIGS[language]]
        command += ["-d", str(folder), "--strict" if strict else "--no-strict"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise BuildError(f"{done.stdout.strip()}\n{CONFIGS[language]} could not be built")


def serve() -> int:
    """Serve both languages until Ctrl-C, and build again whenever a source changes."""
    text = os.environ.get("PORT", "") or str(PORT)
    if not (text.isdecimal() and int(text) < 65536):
        console.stop(f"PORT must be a whole number up to 65535, but it is {text!r}")
    try:
        live = preview.Preview(HOST, int(text), ROOT / "build" / "preview")
    except OSError as error:
        console.stop(f"cannot listen on {HOST}:{text} ({error.strerror}); try PORT=8001 make site")
    with live:
        print(f"building; then look at {live.url} and, in Chinese, {live.url}zh/", flush=True)
        live.run(build_apart, BuildError, folders=SOURCES, files=FILES)
    return 0


def build_apart(target: Path) -> None:
    """Build in a process of its own, which reads everything anew. Raises BuildError."""
    done = subprocess.run(
        [sys.executable, "-m", "course", "site-build", "--into", str(target)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise BuildError(done.stdout.strip())
