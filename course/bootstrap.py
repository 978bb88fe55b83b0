"""The first half second of every command: a Python that is new enough, and the packages it needs.

This file runs on whatever Python the learner has, so it uses no syntax younger than Python 3.7 and
nothing outside the standard library. It makes `.venv` beside the course, installs a group of
`requirements/`, leaves a stamp, and goes on as `.venv/bin/python -m course …`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from typing import NoReturn

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
OLDEST = (3, 11)

# Which packages a command needs before it can start; a command that is not here needs none.
NEEDS = {
    "run": ["learner"],
    "check": ["learner"],
    "wire": ["learner"],
    "send": ["learner"],
    "doctor": ["learner"],
    "break": ["learner", "test"],
    "record": ["learner"],
    "bench": ["learner", "test"],
    "hooks": ["learner", "test"],
    "dev": ["learner", "test"],
    "front": ["learner", "test"],
    "site": ["learner", "docs"],
    "site-build": ["learner", "docs"],
    "lint": ["learner", "test", "docs"],
    "test": ["learner", "test", "docs"],
    "setup": ["learner", "test", "docs"],
}


def main() -> None:
    """Prepare, then hand over to `course.cli`."""
    use_new_python()
    command = sys.argv[1] if len(sys.argv) > 1 else "list"
    groups = NEEDS.get(command, [])
    for group in groups:
        install(group)
    if groups and not inside_venv():
        os.execv(PYTHON, [PYTHON, "-m", "course"] + sys.argv[1:])
    from course.cli import main as run_command

    sys.exit(run_command(sys.argv[1:]))


def stop(message: str) -> NoReturn:
    """End with one line on stderr and the code for `could not run`."""
    sys.stderr.write("course: " + message + "\n")
    sys.exit(2)


def use_new_python() -> None:
    """Go on as a newer Python where there is one; else say what is missing."""
    if sys.version_info >= OLDEST:
        return
    for minor in (14, 13, 12, 11):
        newer = shutil.which("python3.{}".format(minor))
        if newer:
            os.execv(newer, [newer, "-m", "course"] + sys.argv[1:])
    found = "{}.{}.{}".format(*sys.version_info[:3])
    stop("Python 3.11 or newer is needed; {} is {}. Name one: make PYTHON=…".format(
        sys.executable, found))  # fmt: skip


def inside_venv() -> bool:
    return os.path.realpath(sys.prefix) == os.path.realpath(VENV)


def requirements(group: str) -> str:
    return os.path.join(ROOT, "requirements", group + ".txt")


def fingerprint(group: str) -> str:
    """What the stamp has to say for the group to count as installed."""
    with open(requirements(group), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def install(group: str) -> None:
    """Install requirements/GROUP.txt into .venv, unless its stamp says that this was done."""
    stamp = os.path.join(VENV, "installed-" + group)
    wanted = fingerprint(group)
    if os.path.exists(PYTHON) and os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == wanted:
                return
    if not os.path.exists(PYTHON):
        make_venv()
    sys.stderr.write("installing requirements/{}.txt into .venv (once) …\n".format(group))
    sys.stderr.flush()
    attempt([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--require-hashes", "-r", requirements(group)],
            "the packages of requirements/{}.txt could not be installed".format(group))  # fmt: skip
    with open(stamp, "w") as file:
        file.write(wanted)


def make_venv() -> None:
    hint = "python3 -m venv failed; on Debian and Ubuntu: apt install python3-venv"
    attempt([sys.executable, "-m", "venv", "--clear", VENV], hint)


def attempt(command: "list[str]", failure: str) -> None:
    """Run a command quietly; when it fails, show what it said and stop."""
    log = os.path.join(ROOT, "build", "install.log")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "w+") as output:
        if subprocess.call(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT) == 0:
            return
        output.seek(0)
        sys.stderr.write("".join(output.readlines()[-15:]))
    stop(failure)
