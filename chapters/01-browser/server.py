"""Chapter 1: a WebSocket server that sends back what it hears.

`GET /` is the page, `/ws` becomes a WebSocket, any other path is refused.
Run: python server.py        then open http://127.0.0.1:8080/
"""

import asyncio
import json
import signal
import sys
import time
from http import HTTPStatus
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin

from settings import ALLOWED_ORIGINS, HOST, MAX_MESSAGE_BYTES, PORT

PAGE = Path(__file__).with_name("index.html").read_bytes()
ORIGINS = [*map(Origin, ALLOWED_ORIGINS), None]  # None: a program that is no browser names none
CLOSE_SECONDS = 1.0  # how long to wait for the other side's close frame


def answer_http(connection: ServerConnection, request: Request) -> Response | None:
    """Answer plain HTTP here; return None to let the library do the WebSocket handshake."""
    path = request.path.partition("?")[0]
    if path == "/ws":
        return None
    if path == "/":
        headers = Headers({"Content-Type": "text/html; charset=utf-8", "Connection": "close"})
        headers["Content-Length"] = str(len(PAGE))
        return Response(HTTPStatus.OK, "OK", headers, PAGE)
    return connection.respond(HTTPStatus.NOT_FOUND, f"There is nothing at {path}.\n")


async def converse(connection: ServerConnection) -> None:
    """One connection, from its welcome to its close: this runs once for each client."""
    await connection.send(json.dumps({"type": "welcome", "ts": int(time.time() * 1000)}))
    try:
        async for message in connection:  # str for a text message, bytes for a binary one
            await connection.send(message)  # and the type decides the opcode it is sent with
    except ConnectionClosed:
        pass  # no clean close: how it ended is told below, as it is for a clean one
    print(f"a connection ended: {connection.close_code} {connection.close_reason!r}", flush=True)


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        server = await serve(
            converse,
            HOST,
            PORT,
            process_request=answer_http,
            origins=ORIGINS,
            max_size=MAX_MESSAGE_BYTES,
            compression=None,  # so that the bytes on the wire are the bytes you sent
            close_timeout=CLOSE_SECONDS,
        )
    except OSError as error:
        reason = str(error).rpartition(": ")[2]
        sys.exit(f"cannot listen on {HOST}:{PORT}: {reason}. Try another port: PORT=8081")
    print(f"listening on http://{HOST}:{PORT}/ and ws://{HOST}:{PORT}/ws", flush=True)
    await stop.wait()
    connections = server.connections
    server.close()  # closes every connection with 1001, going away
    try:
        await asyncio.wait_for(server.wait_closed(), 1.5 * CLOSE_SECONDS)
    except TimeoutError:  # somebody does not read, so the close frame cannot leave
        for connection in connections:
            connection.transport.abort()


if __name__ == "__main__":
    asyncio.run(main())
