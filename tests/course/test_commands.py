"""The learner's commands, run as a learner runs them, in a copy of the course."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from course.bootstrap import NEEDS
from course.cli import COMMANDS
from course.manifest import ROOT, load
from course.tools import free_port
from tests.course.grading import UNWANTED
from tests.harness.broken import checks_of

CODE = ["course", "chapters", "nginx", "tests", "course.toml", "requirements", "Makefile"]
CODE += ["pyproject.toml"]
LONGEST = 120  # seconds for one command on a busy machine


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course in a folder of its own, with the venv of this one: work/ starts empty there."""
    folder = tmp_path_factory.mktemp("course")
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "node_modules", ".mypy_cache")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def make(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`make WORDS`, as typed in a terminal."""
    clean = {k: v for k, v in os.environ.items() if k not in UNWANTED and k[:7] != "PYTEST_"}
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env={**clean, "LANG": "C.UTF-8", "COURSE_LANG": "en", **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command says on stderr, make's own line apart."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode != 0
    return lines[0]


def test_every_command_has_a_module_and_is_known_to_the_bootstrap() -> None:
    assert set(NEEDS) <= set(COMMANDS)


def test_make_alone_lists_commands_and_chapters(copy: Path) -> None:
    done = make(copy)

    assert done.returncode == 0
    assert "make chapter-N" in done.stdout
    assert all(chapter.title["en"] in done.stdout for chapter in load().chapters)


def test_the_list_speaks_chinese_where_the_reader_does(copy: Path) -> None:
    done = make(copy, COURSE_LANG="zh_CN.UTF-8")

    assert "统一信封与心跳" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chapter-99"], "no chapter 99: there are chapters 1 to"),
        (["doctor"], "no URL: make doctor URL=ws://127.0.0.1:8080/ws"),
        (["doctor", "URL=ws://127.0.0.1:9/ws"], "no connection to 127.0.0.1:9: connection refused"),
        (["break-nothing"], "there is no lab 'nothing'"),
        (["check-x"], "'x' is not the number of a chapter"),
        (["check-1", "URL=ws://127.0.0.1:9/ws"], "cannot reach ws://127.0.0.1:9/ws"),
        (["check-1", "URL=http://127.0.0.1:9/"], "not of the form ws://host:port/ws"),
        (["check-1", "URL=ws://127.0.0.1:99999/ws"], "Port out of range"),
        (["check-1", "CMD=false"], "false ended with exit code 1 before it listened"),
        (["check-1", "CMD=no-such-program"], "cannot start 'no-such-program'"),
        (["check-1", "CMD=node 'x"], "cannot be split into words"),
        (["check-1", "CMD=x", "URL=ws://127.0.0.1:9/ws"], "not both"),
        (["check-1", "ONLY=nothing"], "this chapter's modules are"),
        (["check-3", "CLIENT=node x.js"], "chapter 3 has no checks for a client"),
        (["check-4", "CMD=x", "CLIENT=y"], "CMD= is a client in this chapter"),
        (["check-4", "URL=ws://127.0.0.1:9/ws"], "chapter 4 grades a client"),
        (["check-4", "CLIENT=x", "URL=ws://127.0.0.1:9/ws"], "give CLIENT= or URL=, not both"),
        (["check-4", "CLIENT=x", "ONLY=echo"], "this chapter's modules are"),
        (["check-4", "CLIENT=x", "ONLY=envelope"], "envelope grades a server, and you gave none"),
        (["check-4", "CLIENT=no-such-program"], "cannot start 'no-such-program'"),
        (["check-4", "CMD=false"], "false ended with exit code 1 before it said or did anything"),
        (["check-4", "CLIENT=node 'x"], "CLIENT cannot be split into words"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_told_in_one_line(copy: Path, words: list[str], said: str) -> None:
    assert said in complaint(make(copy, *words))


def test_a_taken_port_is_told_in_one_line(copy: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        done = make(copy, "chapter-1", f"PORT={port}")

    assert f"cannot listen on 127.0.0.1:{port}" in complaint(done)


@pytest.mark.parametrize("chapter", load().chapters, ids=lambda chapter: chapter.slug)
def test_a_chapter_says_what_to_try_runs_and_ends_on_ctrl_c(copy: Path, chapter: object) -> None:
    number = chapter.number  # type: ignore[attr-defined]
    port = free_port()
    ports = {"PORT": str(port), "HTTP_PORT": str(port), "HTTPS_PORT": str(free_port())}
    process = subprocess.Popen(
        ["make", f"chapter-{number}"],
        cwd=copy,
        env={**os.environ, **ports, "COURSE_LANG": "en", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("listening"):
            break
    makes_one = "JWT_SECRET is not set: this run has one of its own\n" in printed
    assert makes_one == bool(chapter.secrets)  # type: ignore[attr-defined]

    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: the whole foreground group
    rest, _ = process.communicate(timeout=LONGEST)

    text = "".join(printed)
    assert f"http://127.0.0.1:{port}/" in text
    assert f"make check-{number}" in text
    assert "Traceback" not in text + rest
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_start_check_hint_copy_the_solution_progress(copy: Path) -> None:
    """The whole way of a learner through chapter 2."""
    work = copy / "work" / "02-echo"
    started = make(copy, "start-2")
    assert started.returncode == 0, started.stderr
    assert "An unknown path answers 404, in JSON." in started.stdout
    before = copy / "chapters" / "01-browser" / "server.py"
    assert (work / "server.py").read_bytes() == before.read_bytes()
    assert "is there already and is yours" in complaint(make(copy, "start-2"))

    failed = make(copy, "check-2", "JSON=results.json")
    assert failed.returncode != 0
    new = {"http::api_ping", "http::unknown_path", "http::rest_while_many_sockets_are_open"}
    results = json.loads((copy / "results.json").read_text(encoding="utf-8"))["checks"]
    assert {check["id"] for check in results if check["outcome"] == "failed"} == new
    assert f"{len(checks_of(2)) - len(new)} of {len(checks_of(2))} checks pass" in failed.stdout
    assert "hint:" in failed.stdout and "expected" in failed.stdout

    first, second = make(copy, "hint-2"), make(copy, "hint-2")
    assert "http::" in first.stdout
    assert len(second.stdout) >= len(first.stdout)
    assert "◐  2" in make(copy, "progress").stdout

    shutil.rmtree(work)
    shutil.copytree(copy / "chapters" / "02-echo", work)
    passed = make(copy, "check-2")
    assert passed.returncode == 0, passed.stdout
    assert passed.stdout.rstrip().endswith(
        f"{len(checks_of(2))} of {len(checks_of(2))} checks pass"
    )
    assert "✓  2" in make(copy, "progress").stdout
    assert "nothing left to hint at" in make(copy, "hint-2").stdout


def test_start_1_begins_with_a_server_that_speaks_only_http(copy: Path) -> None:
    make(copy, "start-1")

    done = make(copy, "check-1", "ONLY=handshake::page_is_served")
    assert done.returncode == 0, done.stdout
    done = make(copy, "check-1", "ONLY=handshake::accept_is_computed_from_the_key")
    assert done.returncode != 0
    assert "curl -i" in done.stdout


def test_a_folder_is_graded_whole_its_server_and_its_client(copy: Path) -> None:
    make(copy, "start-6")

    one_of_each = "ONLY=envelope::echo,catch_up::closes_a_gap"
    failed = make(copy, "check-6", one_of_each)
    assert "✓ `echo` is answered" in failed.stdout
    assert "✗ When a number is missing" in failed.stdout
    assert "1 of 2 checks pass" in failed.stdout

    shutil.rmtree(copy / "work" / "06-delivery")
    shutil.copytree(copy / "chapters" / "06-delivery", copy / "work" / "06-delivery")
    assert "2 of 2 checks pass" in make(copy, "check-6", one_of_each).stdout


def test_a_client_alone_is_asked_the_checks_of_a_client(copy: Path) -> None:
    client = f"{sys.executable} chapters/03-heartbeat/client.py"

    done = make(copy, "check-4", f"CLIENT={client}", "JSON=client.json")

    checks = json.loads((copy / "client.json").read_text(encoding="utf-8"))["checks"]
    assert {check["id"].partition("::")[0] for check in checks} == {"reconnect"}
    assert f"chapter 4 · {client}" in done.stdout
    assert 'stdout ·  {"event": "open"}' in done.stdout  # the exchange shows what it printed


def test_the_diff_of_a_chapter_is_its_own_change(copy: Path) -> None:
    done = make(copy, "diff-3")

    assert "+++ 03-heartbeat/envelope.py" in done.stdout
    assert "serving.py" not in done.stdout.replace("from serving", "")


def test_a_progress_file_that_is_broken_is_not_lost_in_silence(copy: Path) -> None:
    file = copy / "work" / "progress.json"
    before = file.read_text() if file.exists() else None
    file.parent.mkdir(exist_ok=True)
    file.write_text("{not json")

    said = complaint(make(copy, "progress"))

    assert "work/progress.json cannot be read" in said
    assert file.read_text() == "{not json"
    file.unlink() if before is None else file.write_text(before)


def test_an_old_python_is_told_in_one_line(copy: Path, tmp_path: Path) -> None:
    """Pretend that this Python is 3.10 and that there is no newer one."""
    pretend = (
        "import sys, runpy; sys.version_info = (3, 10, 0, 'final', 0);"
        "sys.argv = ['course', 'list'];"
        "runpy.run_module('course', run_name='__main__')"
    )

    done = subprocess.run(
        [sys.executable, "-c", pretend],
        cwd=copy,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Python 3.11 or newer is needed" in complaint(done)


def test_a_changed_requirements_file_installs_again(copy: Path, tmp_path: Path) -> None:
    """In a venv of its own, with requirements that need no network."""
    folder = tmp_path / "course"
    shutil.copytree(copy / "course", folder / "course")
    (folder / "requirements").mkdir()
    wanted = folder / "requirements" / "learner.txt"
    wanted.write_text("# nothing\n")
    call = "from course import bootstrap; bootstrap.install('learner')"

    def install() -> str:
        done = subprocess.run(
            [sys.executable, "-c", call], cwd=folder, capture_output=True, text=True, check=False
        )
        return done.stderr

    assert "installing requirements/learner.txt" in install()
    assert install() == ""

    wanted.write_text("# nothing else\n")
    assert "installing requirements/learner.txt" in install()

    wanted.write_text("no-such-package-here==1.0 --hash=sha256:00\n")
    assert "could not be installed" in install()
