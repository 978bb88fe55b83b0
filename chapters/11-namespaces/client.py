"""A Socket.IO client in a terminal: it logs in, comes back with a new token, and catches up.

Run: python client.py        (URL=http://… for another server, LOGIN=bob:builder for another user;
type what follows `42` on the wire, for example ["session:whoami"]; the end of the input closes)
"""

import asyncio
import json
import os
import sys
import urllib.request
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import socketio
from socketio.exceptions import ConnectionError, SocketIOError

from catching_up import Places
from typing_in import read_event, report, typed_lines

URL = os.environ.get("URL", "") or "http://127.0.0.1:8080"
LOGIN = os.environ.get("LOGIN", "") or "alice:wonderland"
ACK_SECONDS = 5.0  # to wait for an ack: a server that fails may never send one
TERMINAL = ("unauthorized", "forbidden", "bad_request")  # refusals that time does not heal
SCHEMES = {"ws": "http", "wss": "https"}
PLACE = f"{SCHEMES.get(urlsplit(URL).scheme, urlsplit(URL).scheme)}://{urlsplit(URL).netloc}"


def log_in() -> str:
    """A fresh token. Raises URLError."""
    name, _, password = LOGIN.partition(":")
    body = json.dumps({"user": name, "password": password}).encode()
    with urllib.request.urlopen(f"{PLACE}/api/login", body, timeout=ACK_SECONDS) as answer:
        return str(json.load(answer)["accessToken"])


class Client:
    """The library reconnects by itself, and asks `auth` anew each time: token and positions."""

    def __init__(self) -> None:
        # handle_sigint: the library would take Ctrl-C for itself.
        self.sio = socketio.AsyncClient(handle_sigint=False)
        self.places = Places(self.catch_up, lambda said: report("message", data=said))
        self.opened = self.stopped = False
        self.lines = typed_lines()
        self.sio.on("connect", self.connected)
        self.sio.on("disconnect", self.disconnected)
        self.sio.on("connect_error", self.refused)
        self.sio.on("*", self.heard)

    async def auth(self) -> dict[str, Any]:
        """Asked on every attempt: a token lives for minutes, a position until the next event."""
        return {"token": await asyncio.to_thread(log_in), "since": self.places.at}

    async def connected(self) -> None:
        self.opened = True
        report("open")

    async def disconnected(self, reason: str) -> None:
        report("close", code=None, reason=reason)
        if reason == self.sio.reason.SERVER_DISCONNECT:  # `41`: kicked, or logged out
            self.stop(reason)

    async def refused(self, problem: Any) -> None:
        """A refusal, or nobody there. After the first time the library would try both for ever."""
        data = problem.get("data") if isinstance(problem, dict) else None
        if self.opened or data:
            report("refused", data=problem)
        if isinstance(data, dict) and data.get("code") in TERMINAL:
            self.stop(data["code"])

    def stop(self, why: str) -> None:
        report("stopped", why=why)
        self.stopped = True
        self.lines.put_nowait(None)

    async def heard(self, event: str, *data: Any) -> None:
        """An event. Those with a number are shown in their order, each of them once."""
        self.places.heard(event, data[0] if data else None)

    async def catch_up(self, channel: str, since: dict[str, Any]) -> Any:
        data = {"channel": channel, "since": since}
        try:
            answer = await self.sio.call("subscribe", data, timeout=ACK_SECONDS)
        except SocketIOError:
            return None
        return answer.get("data")

    async def ask(self, event: str, *data: Any) -> None:
        """Emit, and report the ack."""
        try:
            answer = await self.sio.call(event, data or None, timeout=ACK_SECONDS)
        except SocketIOError as error:  # no ack in time, or no connection now
            report("refused", data=[event, *data], why=f"{type(error).__name__}: {error}")
            return
        report("message", data=answer)
        if event in ("subscribe", "unsubscribe") and answer.get("ok"):
            note = self.places.subscribed if event == "subscribe" else self.places.unsubscribed
            note(answer["data"])

    async def say(self, line: str) -> None:
        """One typed line: a JSON array, the event's name first."""
        if typed := read_event(line):
            await self.ask(str(typed[0]), *typed[1:])


async def main() -> int:
    client = Client()
    try:
        await asyncio.to_thread(log_in)  # a wrong password is said once, and not for ever
        await client.sio.connect(PLACE, auth=client.auth, retry=False)
    except (ConnectionError, URLError, OSError) as error:
        print(f"cannot connect to {URL}: {error}", file=sys.stderr)
        return 1
    while (line := await client.lines.get()) is not None:
        await client.say(line)
    await client.sio.shutdown()  # ends a connection, and the attempts to get one back
    return 1 if client.stopped else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
