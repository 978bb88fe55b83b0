"""The front end's own tests, and the command that runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from course import front, tools
from course.manifest import ROOT

PATIENCE = 120  # seconds: vitest takes ten, on a machine that has nothing else to do
END_SECONDS = 20


def test_vitest_passes() -> None:
    """Against real servers: the chapters' own, by this very Python, and a hostile one."""
    environment = front.environment("0", "") | {"PYTHON": sys.executable, "NO_COLOR": "1"}
    done = subprocess.run(
        front.vitest("--reporter=dot"),
        cwd=front.FRONT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_lock_file_names_a_registry() -> None:
    lock = (front.FRONT / "package-lock.json").read_text()
    assert '"integrity"' in lock
    assert not re.search(r'"resolved"|registry', lock)


def test_packages_that_cannot_be_had_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "package.json").write_text("{")
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr(front, "FRONT", tmp_path)

    with pytest.raises(SystemExit) as stopped:
        front.modules()

    assert stopped.value.code == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 2  # that it installs, and that it could not
    assert said[1].startswith(f"course: npm ci failed in {tmp_path}: code EJSONPARSE ")


def test_the_front_end_is_built_once_and_names_no_server() -> None:
    dist = front.build()
    page = dist / "index.html"
    before = page.stat().st_mtime_ns

    assert front.build() == dist

    assert page.stat().st_mtime_ns == before
    assets = re.findall(r'(?:src|href)="([^"]*)"', page.read_text())
    assert assets
    assert all(asset.startswith("/") and (dist / asset[1:]).is_file() for asset in assets)
    scripts = "".join(path.read_text() for path in (dist / "assets").glob("*.js"))
    assert not re.search(r"127\.0\.0\.1|:8080|:5173", scripts)


def test_a_build_that_fails_is_one_line_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index.html").write_text("the old one")
    says = "import sys; print('transforming'); print('x.ts: Error: no such thing'); sys.exit(1)"
    monkeypatch.setattr(front, "DIST", tmp_path)
    monkeypatch.setattr(front, "vite", lambda *_: [sys.executable, "-c", says])

    with pytest.raises(SystemExit) as stopped:
        front.build()

    assert stopped.value.code == 2
    said = capfd.readouterr().err.strip().splitlines()
    line = "course: the front end cannot be built: x.ts: Error: no such thing"
    assert said[1:] == [line]  # after that it builds
    assert (tmp_path / "index.html").read_text() == "the old one"


@pytest.mark.parametrize("whom", ["everybody, as Ctrl-C does", "the command alone"])
def test_make_dev_serves_page_and_api_and_ends_without_a_trace(whom: str) -> None:
    port, front_port = str(tools.free_port()), str(tools.free_port())
    command = subprocess.Popen(
        [sys.executable, "-m", "course", "dev"],
        cwd=ROOT,
        env={**os.environ, "PORT": port, "VITE_PORT": front_port, "BACKEND": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        address = f"http://127.0.0.1:{front_port}/"
        assert '<div id="root">' in fetch(address)
        assert '"ok"' in fetch(f"{address}api/ping")
        assert "# TYPE" in fetch(f"{address}metrics")
        assert "root" in fetch(f"{address}wsfoo"), "only /ws is passed on, and not /wsfoo"

        if whom == "the command alone":
            command.send_signal(signal.SIGTERM)
        else:
            os.killpg(command.pid, signal.SIGINT)
        said, _ = command.communicate(timeout=END_SECONDS)

        assert command.returncode == 0
        assert "Traceback" not in said
        with pytest.raises(ProcessLookupError):
            os.killpg(command.pid, 0)  # nobody of its group is left
    finally:
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGKILL)


def fetch(address: str) -> str:
    """What is there, as soon as something is."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, headers={"Accept": "text/html"})
    deadline = time.monotonic() + END_SECONDS
    while True:
        try:
            with opener.open(request, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
