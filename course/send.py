"""Send exact bytes to a WebSocket server, and see what comes back.

    python -m course send ws://127.0.0.1:8080/ws '81 85 37 fa 21 3d 7f 9f 4d 51 58'

No library stands between, so a frame may be as wrong as you like. `course/frames.py` builds them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import secrets
import socket
import ssl
from collections.abc import Sequence

from course import console
from course.faults import Side
from course.frames import (
    Address,
    Frame,
    FrameReader,
    Head,
    Item,
    TalkReader,
    accept_for,
    address,
    describe,
    handshake_request,
    head_lines,
    hide,
    plural,
)
from course.wire import Event, Kind, is_bad, show, why

CONNECT_SECONDS = 10.0
READ_BYTES = 65_536
SHOWN_BYTES = 24  # of a write or a frame, in hex


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `send` to the command line."""
    parser = subparsers.add_parser(
        "send",
        help="send exact bytes to a WebSocket server",
        description="Opens TCP, shakes hands, sends exactly these bytes, prints what comes back.",
        epilog="Exit code: 0 done, 1 the server did not open a WebSocket, 2 could not try.",
    )
    parser.add_argument("url", help="such as ws://127.0.0.1:8080/ws")
    parser.add_argument(
        "hex", nargs="*", help="bytes such as 8100 or '81 00'; each argument is one write"
    )
    parser.add_argument(
        "--wait", default="2", help="seconds of quiet after which to hang up (default %(default)s)"
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="add or replace a header of the handshake; with an empty value leave it out",
    )


def main(options: argparse.Namespace) -> int:
    """Talk once. Returns 0, or 1 if no WebSocket was opened; exits 2 with one line if it cannot."""
    try:
        place = address(options.url)
        headers = dict(_header(text) for text in options.header)
        given = [value for name, value in headers.items() if name.lower() == "sec-websocket-key"]
        key = (given and given[0]) or base64.b64encode(secrets.token_bytes(16)).decode()
        request = handshake_request(options.url, key=key, headers=headers)
        writes = [_bytes(text) for text in options.hex]
        wait = _seconds(options.wait)
    except ValueError as error:
        console.stop(str(error))
    try:
        return asyncio.run(Talk(place, wait).run(request, key, writes))
    except KeyboardInterrupt:
        return 130
    except CannotReach as error:
        console.stop(str(error))
    except BrokenPipeError:  # nobody reads what we print (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{text!r} is not hex: two digits a byte, such as '81 00'") from None


def _header(text: str) -> tuple[str, str | None]:
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise ValueError(f"{text!r} is not a header such as Origin:https://example.com")
    return name.strip(), value.strip() or None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise ValueError(f"--wait {text}: give seconds, more than 0 and at most 3600")
    return seconds


class CannotReach(Exception):
    """No connection to the server; the message is one line."""


class Talk:
    """One connection, made by hand and printed as it goes."""

    def __init__(self, place: Address, wait: float) -> None:
        self.place = place
        self.wait = wait
        self.reader = TalkReader(masked=False, lenient=True)
        self.waiting: list[Item] = []  # read and not yet looked at
        self.counts: dict[Side, int] = {"client": 0, "server": 0}

    async def run(self, request: bytes, key: str, writes: Sequence[bytes]) -> int:
        """Shake hands, send each of `writes` at once, print what comes. Raises CannotReach."""
        await self._connect()
        try:
            if not await self._handshake(request, key):
                return 1
            await self._send(writes)
            while (item := await self._next()) is not None:
                self._tell_item(item)
            return 0
        finally:
            self.writer.transport.abort()

    async def _connect(self) -> None:
        """Open TCP, and TLS for wss. Raises CannotReach."""
        place = self.place
        where = f"{place.host}:{place.port}"
        self.began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self.stream, self.writer = await asyncio.open_connection(
                    place.host,
                    place.port,
                    ssl=ssl.create_default_context() if place.secure else None,
                )
        except ssl.SSLError as error:
            raise CannotReach(f"no TLS with {where}: {error.reason or error}") from error
        except TimeoutError as error:
            raise CannotReach(f"{where} did not answer in {CONNECT_SECONDS:.0f} s") from error
        except socket.gaierror as error:
            raise CannotReach(f"no such host: {place.host}") from error
        except OSError as error:
            raise CannotReach(f"cannot reach {where} ({why(error)}): is it running?") from error
        self.began = asyncio.get_running_loop().time()

    async def _handshake(self, request: bytes, key: str) -> bool:
        """Ask for WebSocket; True if the answer is a right one (RFC 6455 §4.1)."""
        (asked,) = TalkReader(masked=True).feed(request)
        assert isinstance(asked, Head)
        self._tell("handshake", "\n".join(head_lines(asked)), "client")
        await self._write(request)
        answer = await self._next()
        if answer is None:
            return False
        if not isinstance(answer, Head):
            self._tell_item(answer)
            return False
        text = "\n".join(head_lines(answer))
        self._tell("handshake", text, "server", bad=answer.status != 101)
        if answer.status != 101:
            self._tell("problem", f"no WebSocket here: {answer.status}, not 101", bad=True)
            return False
        expected, got = accept_for(key), answer.get("Sec-WebSocket-Accept")
        if got != expected:
            text = f"Sec-WebSocket-Accept should be {expected}: this is no WebSocket server"
            self._tell("problem", text, bad=True)
        return got == expected

    async def _send(self, writes: Sequence[bytes]) -> None:
        """Send the bytes, each lot in a write of its own, and say what they are."""
        frames = FrameReader(masked=True, lenient=True)
        for data in writes:
            items = frames.feed(data)
            lines = [f"{_hex(data)} ({plural(len(data))})", *map(describe, items)]
            bad = any(map(is_bad, items))
            self._tell("bytes", "\n".join(lines), "client", bad=bad)
            if not await self._write(data):
                return
        for item in frames.eof():
            self._tell("bytes", describe(item), "client", bad=True)

    async def _write(self, data: bytes) -> bool:
        try:
            async with asyncio.timeout(self.wait):
                self.writer.write(data)
                await self.writer.drain()
        except TimeoutError:
            self._tell("problem", f"the server took no bytes for {self.wait:g} s", bad=True)
            return False
        except OSError:
            self._tell("problem", "the connection was gone before all was sent", bad=True)
            return False
        return True

    async def _next(self) -> Item | None:
        """What the server sends next; None, and said why, when there will be nothing more."""
        while not self.waiting:
            try:
                async with asyncio.timeout(self.wait):
                    data = await self.stream.read(READ_BYTES)
            except TimeoutError:
                self._tell("ended", f"quiet for {self.wait:g} s: hanging up")
                return None
            except OSError:
                self._tell("ended", "the server reset the connection (RST)", "server", bad=True)
                return None
            self.waiting = self.reader.feed(data) if data else self.reader.eof()
            if not data and not self.waiting:
                self._tell("ended", "the server ended the connection (FIN)", "server")
                return None
        return self.waiting.pop(0)

    def _tell_item(self, item: Item) -> None:
        """Print a frame of the server: what it is, then its first bytes."""
        text = hide(describe(item))
        kind: Kind = "bytes"
        if isinstance(item, Frame):
            kind = "frame"
            if not item.masked:
                text += f"\n{_hex(item.header + item.payload)}"
        self._tell(kind, text, "server", item, bad=is_bad(item))

    def _tell(
        self,
        kind: Kind,
        text: str,
        side: Side | None = None,
        item: Item | None = None,
        *,
        bad: bool = False,
    ) -> None:
        at = asyncio.get_running_loop().time() - self.began
        number = 0
        if isinstance(item, Frame) and side:
            self.counts[side] += 1
            number = self.counts[side]
        event = Event(at, 0, kind, text, side=side, item=item, number=number, bad=bad)
        print(show(event), flush=True)


def _hex(data: bytes) -> str:
    return data[:SHOWN_BYTES].hex(" ") + (" …" if len(data) > SHOWN_BYTES else "")
