"""Catching up: what a message that has come means for what we know, and what is answered to it.

Channel events go to channels.py. A direct message is handed on once and acknowledged each time: the
server sends it until it hears the ack, and an ack can be lost. State is read over HTTP.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp

from channels import Channels
from envelope import encode
from settings import CONNECT_TIMEOUT

SEEN_LIMIT = 1_000  # direct messages that are remembered, so that a repeat is known


class NoSnapshot(Exception):
    """The state could not be read; the message says why."""


def named(url: str, client: str) -> str:
    """The address with the client's name in it, unless it has one."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return urlunsplit(parts._replace(query=urlencode({"client": client, **query})))


class Catcher:
    """What is known of channels and direct messages, beyond any one connection."""

    def __init__(self, url: str, report: Callable[..., None]) -> None:
        parts = urlsplit(url)
        self.http = f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"
        self.report = report
        self.channels = Channels(report, self.read_snapshot)
        self.seen: OrderedDict[str, None] = OrderedDict()

    async def take(self, message: Any) -> str | None:
        """Look at a message; returns what has to be said because of it. Raises NoSnapshot."""
        match message:
            case {"type": str(kind), "deliveryId": str(delivery_id)}:
                if delivery_id not in self.seen:
                    self.report(
                        "delivered", deliveryId=delivery_id, type=kind, data=message.get("data")
                    )
                    self.seen[delivery_id] = None
                    if len(self.seen) > SEEN_LIMIT:
                        self.seen.popitem(last=False)
                return encode("ack", data={"deliveryId": delivery_id})  # and only now
        return await self.channels.take(message)

    async def read_snapshot(self, channel: str) -> dict[str, Any]:
        """GET the state of a channel, and the position that it is of. Raises NoSnapshot."""
        url = f"{self.http}/api/channels/{channel}/snapshot"
        timeout = aiohttp.ClientTimeout(total=CONNECT_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url) as answer,
            ):
                answer.raise_for_status()
                match await answer.json():
                    case {"epoch": str(epoch), "seq": int(seq), "state": dict(state)}:
                        return {"epoch": epoch, "seq": seq, "state": state}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise NoSnapshot(f"no snapshot of {channel}: {error or 'time ran out'}") from error
        raise NoSnapshot(f"no snapshot of {channel}: the answer is none")
