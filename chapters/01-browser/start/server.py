"""Chapter 1, where you begin: a server that speaks HTTP and no WebSocket yet.

It answers `GET /` with the page, and the page cannot connect. Make `/ws` a WebSocket.
Run: python server.py        then open http://127.0.0.1:8080/
"""

import asyncio
import signal
import sys
from http import HTTPStatus
from pathlib import Path

from settings import HOST, PORT

PAGE = Path(__file__).with_name("index.html").read_bytes()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read one request, answer it, and hang up."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        if method == "GET" and path == "/":
            status, kind, body = HTTPStatus.OK, "text/html; charset=utf-8", PAGE
        else:
            status, kind, body = HTTPStatus.NOT_FOUND, "text/plain", b"There is nothing here.\n"
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
    except (ConnectionError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the client went away, or what it sent is no HTTP
    writer.close()


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        server = await asyncio.start_server(answer, HOST, PORT)
    except OSError as error:
        reason = str(error).rpartition(": ")[2]
        sys.exit(f"cannot listen on {HOST}:{PORT}: {reason}. Try another port: PORT=8081")
    print(f"listening on http://{HOST}:{PORT}/", flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
