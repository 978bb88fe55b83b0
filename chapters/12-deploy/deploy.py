"""Chapter 12: production. nginx with TLS, four instances and Valkey, and a restart nobody notices.

Run: python deploy.py       then https://127.0.0.1:8443/   Ctrl-C ends all of it
Type `roll`, or send SIGUSR1, for a rolling restart. --write FOLDER only writes the configuration.
"""

import asyncio
import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import settings
from local import free_ports, look_for_everything, start_valkey
from places import SERVER, folder
from programs import Failed, Instance, Program
from proxy import Proxy, values, write
from rolling import Rolls, ask_to_roll, read_command, roll

ROLL, END = (signal.SIGUSR1,), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def instances(redis_url: str) -> tuple[list[Instance], list[Instance]]:
    """The native ones and those of Socket.IO, not yet started."""
    pages = [f"https://{name}:{settings.HTTPS_PORT}" for name in ("127.0.0.1", "localhost")]
    given = {"ALLOWED_ORIGINS": ",".join(pages), "JWT_SECRET": secrets.token_hex(32)}
    given |= {name: os.environ[name] for name in given if os.environ.get(name)}
    given |= {"REDIS_URL": redis_url, "TRUSTED_PROXIES": "127.0.0.1"}
    native, socketio = folder("NATIVE", SERVER), folder("SOCKETIO", SERVER)
    count = settings.INSTANCES
    ports = free_ports(2 * count)
    made = [
        [Instance(f"{kind}-{n + 1}", place, ports.pop(), **given) for n in range(count)]
        for kind, place in (("native", native), ("socketio", socketio))
    ]
    return made[0], made[1]


async def run(redis_url: str, run_folder: Path) -> None:
    """All of it, until it is asked to end. Raises Failed."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    failed: asyncio.Future[None] = loop.create_future()
    rolls: Rolls = asyncio.Queue(1)  # asked for twice is asked for once
    for number in END:
        loop.add_signal_handler(number, asked.set)
    for number in ROLL:
        loop.add_signal_handler(number, ask_to_roll, rolls)
    if sys.stdin is not None and sys.stdin.isatty():
        loop.add_reader(sys.stdin, read_command, rolls)
    native, socketio = instances(redis_url)
    proxy = Proxy(run_folder, native, socketio)
    programs: list[Program] = [*native, *socketio, proxy]
    for program in programs:
        program.ended = lambda why: None if failed.done() else failed.set_exception(Failed(why))
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(asked.wait()),
        asyncio.create_task(serve(proxy, rolls)),
    ]
    try:
        done, _ = await asyncio.wait([failed, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await proxy.stop()  # nobody new; the instances then say goodbye
        await asyncio.gather(*(each.stop() for each in (*native, *socketio)))


async def serve(proxy: Proxy, rolls: Rolls) -> None:
    """Start all, nginx last; then restart all whenever it is asked for. Raises Failed."""
    instances = (*proxy.native, *proxy.socketio)
    await asyncio.gather(*(each.start() for each in instances))
    await asyncio.gather(*(each.well() for each in instances))
    await proxy.start()
    here = f"https://{settings.HOST}:{settings.HTTPS_PORT}/"
    print(f"listening on {here} with the certificate of this computer", flush=True)
    while True:
        await rolls.get()
        await roll(proxy)


def write_only(target: Path) -> None:
    """The configuration, filled in, for reading and for `nginx -t`."""
    target.mkdir(parents=True, exist_ok=True)
    write(target, values(target.resolve(), 1, *instances("")))
    print(f"written; test it: nginx -t -p {target} -c {target.resolve()}/nginx.conf")


def start() -> None:
    with tempfile.TemporaryDirectory(prefix="deploy-") as run_folder:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the event loop takes over
        valkey: Any = None if settings.REDIS_URL else start_valkey()
        try:
            asyncio.run(run(settings.REDIS_URL or valkey.connection_url, Path(run_folder)))
        finally:
            if valkey is not None and valkey.is_running():
                valkey.stop()


def main() -> None:
    look_for_everything()
    try:
        if sys.argv[1:2] == ["--write"] and len(sys.argv) == 3:
            write_only(Path(sys.argv[2]))
        elif len(sys.argv) > 1:
            sys.exit("there is --write FOLDER, and no other argument")
        else:
            start()
    except Failed as failed:
        sys.exit(str(failed))


if __name__ == "__main__":
    main()
