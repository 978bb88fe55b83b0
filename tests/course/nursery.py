"""Python programs that are forked, not started: for what the many broken programs are.

Most of what it costs to grade one is to start Python and import its libraries, again for every
check that wants a program of its own. So a process that has imported the libraries, and done
nothing else, is asked for children of itself. Each has its own session, pipes, environment, working
directory and exit code; to the grader it looks as one that was started. Only how we prove our own
checks rests on this: whatever a learner has graded is started.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import io
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from asyncio.subprocess import PIPE
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from course.manifest import ROOT
from tests.harness import spawning
from tests.harness.spawning import LONGEST_LINE, Child

LONGEST_REQUEST = 1 << 17  # bytes: mostly the environment
MOST_FDS = 1024  # that a process may have open here
AS_STARTED = (700, 10, 10)  # when Python looks for garbage, see gc.get_threshold()
PIPES = 4  # of a child: standard input, output, errors, and its fate


class Forked:
    """A child, seen from the grader: what is used of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self.watcher: asyncio.Task[None] | None = None

    async def watch(self, fate: asyncio.StreamReader) -> None:
        self.returncode = int(await fate.readline() or b"-9")

    async def wait(self) -> int:
        assert self.watcher is not None
        await asyncio.shield(self.watcher)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int, /) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that forks, as its user sees it.

    begin  lets another process `serve()` the end of the link that it is given. Without it this
           process is forked: then make it before anything else has begun.
    """

    def __init__(self, begin: Callable[[socket.socket], None] | None = None) -> None:
        self.link, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if begin is not None:
            begin(there)
        elif os.fork() == 0:
            self.link.close()
            serve(there)
        there.close()

    async def spawn(
        self, command: list[str], cwd: str | None, environment: Mapping[str, str], stdin: int
    ) -> Child:
        """As spawning.Spawn; what is no Python program is started as always."""
        if command[0] != sys.executable or not command[1].endswith(".py"):
            return await spawning.start(command, cwd, environment, stdin)
        input_r, input_w = os.pipe()
        output_r, output_w = os.pipe()
        errors_r, errors_w = os.pipe()
        fate_r, fate_w = os.pipe()
        request = json.dumps({"argv": command[1:], "cwd": cwd, "environment": dict(environment)})
        theirs = [input_r, output_w, errors_w, fate_w]
        socket.send_fds(self.link, [request.encode()], theirs)
        for fd in theirs:
            os.close(fd)
        fate = await _reader(fate_r)
        child = Forked(int(await fate.readline()))
        child.stdout, child.stderr = await _reader(output_r), await _reader(errors_r)
        child.watcher = asyncio.create_task(child.watch(fate))
        if stdin == PIPE:
            child.stdin = await _writer(input_w)
        else:
            os.close(input_w)
        return child


async def _reader(fd: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0)
    )
    return reader


async def _writer(fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(fd, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


def serve(link: socket.socket) -> NoReturn:
    """Fork for every request, and tell each child's fate, until the grader has ended."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it wakes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the grader's
    fates: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([link.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _bury(fates)
        if link.fileno() in ready:
            data, fds, _, _ = socket.recv_fds(link, LONGEST_REQUEST, PIPES)
            if not data:
                break
            pid = os.fork()
            if pid == 0:
                link.close()
                _become(json.loads(data), fds)
            *pipes, fates[pid] = fds
            os.write(fates[pid], f"{pid}\n".encode())
            for fd in pipes:
                os.close(fd)
    for pid in fates:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    os._exit(0)


def _bury(fates: dict[int, int]) -> None:
    while fates:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with contextlib.suppress(BrokenPipeError):
            os.write(fates[pid], f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os.close(fates.pop(pid))


def _become(request: dict[str, Any], fds: list[int]) -> NoReturn:
    """Run the program in this process as `python PROGRAM ARGUMENTS` would, and end with it."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    os.closerange(3, MOST_FDS)
    gc.set_threshold(*AS_STARTED)
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["cwd"]:
        os.chdir(request["cwd"])
    program = request["argv"][0]
    sys.argv = request["argv"]
    sys.path = [
        str(Path(program).resolve().parent),
        *(p for p in sys.path if p not in ("", str(ROOT))),
    ]
    sys.stdin = os.fdopen(0, encoding=sys.stdout.encoding)  # multiprocessing has closed it
    if "PYTHONUNBUFFERED" in os.environ:
        for stream in (sys.stdout, sys.stderr):
            assert isinstance(stream, io.TextIOWrapper)
            stream.reconfigure(write_through=True)
    code: object = 0
    interrupted = False
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException as error:  # noqa: BLE001 - as the interpreter does it: say it, and end with 1
        traceback.print_exc()
        code = 1
        interrupted = isinstance(error, KeyboardInterrupt)
    atexit._run_exitfuncs()  # as multiprocessing does it: nothing else calls them before os._exit
    with contextlib.suppress(OSError):  # nobody reads it any more
        sys.stdout.flush()
        sys.stderr.flush()
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code if isinstance(code, int) else 1 if code else 0)
