"""The lessons as a site: `make site` shows them with live reload, `make site-build` builds them.

English stands at /, Chinese at /zh/. Each is one run of MkDocs; English is built first, because its
build empties the whole folder. A broken link, heading or snippet fails the build.
"""

from __future__ import annotations

import argparse
import os
import shutil
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

# What a change makes build again. The folder of a file is watched, not what lies below it.
SOURCES = [ROOT / name for name in ("chapters", "site", "tests/checks", "tests/broken")]
FILES = [ROOT / name for name in ("course.toml", *CONFIGS.values())]


class BuildError(Exception):
    """The site could not be built; the message is what the builder said."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("site", help=f"the lessons on port {PORT}, with live reload")
    subparsers.add_parser("site-build", help="build both languages strictly into build/site/")


def main(options: argparse.Namespace) -> int:
    if options.command == "site":
        return serve()
    try:
        build()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"built {SITE.relative_to(ROOT)}/ in English and Chinese")
    return 0


def prepare() -> None:
    """Everything the builders read and git does not hold. Raises BuildError."""
    try:
        partials.generate()
    except (partials.DataError, CatalogueError, OSError) as error:
        raise BuildError(str(error)) from error
    mermaid = tools.npm_install() / MERMAID
    for language in LANGUAGES:
        vendor = ROOT / "site" / language / "assets" / "vendor"
        shutil.rmtree(vendor, ignore_errors=True)
        shutil.copytree(SHARED, vendor)
        shutil.copy(mermaid, vendor)
        script = partials.close_code_script(language)
        (vendor / "close-codes.js").write_text(script, encoding="utf-8")


def build(target: Path = SITE, strict: bool = True) -> None:
    """Build both languages into `target`. Raises BuildError."""
    prepare()
    for language, folder in (("en", target), ("zh", target / "zh")):
        command = [sys.executable, "-m", "mkdocs", "build", "-f", CONFIGS[language], "-d", folder]
        done = subprocess.run(
            [*command, "--strict"] if strict else command,
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
        print(
            f"building; then look at {live.url} (English) and {live.url}zh/ (Chinese)", flush=True
        )
        live.run(build, BuildError, folders=SOURCES, files=FILES)
    return 0
