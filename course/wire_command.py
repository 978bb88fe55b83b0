"""`make wire`: a proxy between a client and a server that prints each frame, and can break it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import get_args

from course import console
from course.faults import GRAMMAR, Action, Fault, FaultError, parse_faults
from course.frames import address
from course.wire import Wire, show, why

DEFAULT_TO, DEFAULT_LISTEN = "ws://127.0.0.1:8080/ws", "9000"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `wire` to the command line. Defaults come from TO, LISTEN, FAULT and SEED."""
    parser = subparsers.add_parser(
        "wire",
        help="a proxy that prints each frame and breaks connections on purpose",
        description="Stands between a client and a server, prints each frame, and can break it.",
        epilog=GRAMMAR,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    env = os.environ.get
    to, listen = env("TO") or DEFAULT_TO, env("LISTEN") or DEFAULT_LISTEN
    parser.add_argument("--to", default=to, help="the server (TO; default %(default)s)")
    parser.add_argument("--listen", default=listen, help="the port (LISTEN; default %(default)s)")
    parser.add_argument("--fault", default=env("FAULT") or "pass", help="see below (FAULT)")
    parser.add_argument("--seed", default=env("SEED"), help="a whole number, for ranges (SEED)")


def main(options: argparse.Namespace) -> int:
    """Run a wire until Ctrl-C. Returns 130 then; exits 2 with one line if it cannot start."""
    to = options.to if "://" in options.to else f"ws://{options.to}"
    try:
        target = address(to)
        faults = parse_faults(options.fault)
    except FaultError as error:
        console.stop(f"FAULT={options.fault}: {error}")
    except ValueError as error:
        console.stop(str(error))
    if options.to.startswith("http"):
        console.stop(f"TO={options.to} is not of the form ws://host:port/ws")
    if target.secure:
        console.stop(f"{to}: the wire reads plain ws:// only; TLS would show it nothing but noise")
    if not options.listen.isdecimal() or int(options.listen) > 65535:
        console.stop(f"LISTEN={options.listen} is not a port (1 to 65535)")
    if options.seed and not options.seed.isdecimal():
        console.stop(f"SEED={options.seed} is not a whole number")
    if int(options.listen) == target.port and target.host in ("127.0.0.1", "localhost", "::1"):
        console.stop(f"LISTEN={options.listen} is where the server is: the wire needs another port")
    stop = asyncio.Event()
    wire = Wire(
        target.host,
        target.port,
        listen_port=int(options.listen),
        faults=faults,
        seed=int(options.seed) if options.seed else None,
        on_event=lambda event: _print(show(event), stop),
    )
    try:
        asyncio.run(_run(wire, target.path, faults, stop))
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        console.stop(f"cannot listen on {wire.host}:{wire.port} ({why(error)}); try LISTEN=9001")
    return 0


async def _run(wire: Wire, path: str, faults: list[Fault], stop: asyncio.Event) -> None:
    """Serve until `stop` is set or the task is cancelled, as Ctrl-C does. Raises OSError."""
    async with wire:
        host, port = wire.target
        arrow = console.to_server(console.TO_SERVER)
        _print(f"{console.bold('wire')}  {wire.url(path)} {arrow} ws://{host}:{port}{path}", stop)
        _print(f"fault {', '.join(map(str, faults)) or 'pass'}   seed {wire.seed}", stop)
        typed = sys.stdin is not None and sys.stdin.isatty()
        if typed:
            names = " · ".join(get_args(Action))
            _print(console.control(f"type a fault and Enter: {names} · heal"), stop)
            _print(console.control("such as: cut after 2 frames from client"), stop)
            rest = bytearray()
            asyncio.get_running_loop().add_reader(0, lambda: _typed(wire, rest, stop))
        try:
            await stop.wait()
        finally:
            if typed:
                asyncio.get_running_loop().remove_reader(0)


def _typed(wire: Wire, rest: bytearray, stop: asyncio.Event) -> None:
    """Apply the faults that were typed; the end of the input ends only the typing."""
    data = os.read(0, 4096)
    if not data:
        asyncio.get_running_loop().remove_reader(0)
        return
    rest += data
    *lines, tail = rest.split(b"\n")
    rest[:] = tail
    for line in lines:
        try:
            wire.apply(line.decode(errors="replace"))
        except (FaultError, OSError) as error:
            _print(console.problem(f"{console.PROBLEM} {error}"), stop)


def _print(text: str, stop: asyncio.Event) -> None:
    """Print at once. When nobody reads any more (`| head`), stop."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # docs.python.org, library/signal, SIGPIPE
        stop.set()
