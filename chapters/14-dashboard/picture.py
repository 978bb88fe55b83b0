"""The picture: what the client knows of the board, put together from snapshot and events.

An event is applied if it is the next one, passed over if it came already; anything else is a gap,
and the server is asked. Where it cannot tell, the state is read anew.
"""

import json
import sys
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from passes import Pass, Refused

ROWS = 14


class Picture:
    def __init__(self) -> None:
        self.places: dict[str, dict[str, Any]] = {}  # channel → epoch and seq of what was applied
        self.things: dict[str, dict[str, Any]] = {}  # id → the order or the reservation
        self.sample: dict[str, Any] = {}
        self.draws = sys.stdout.isatty()

    def question(self, channel: str) -> dict[str, Any]:
        """What to ask to be on this channel, from where we are."""
        since = self.places.get(channel)
        data = {"channel": channel} | ({"since": since} if since else {})
        return {"type": "subscribe", "requestId": channel, "data": data}

    async def hear(self, message: dict[str, Any], way_in: Pass) -> dict[str, Any] | None:
        """Take a message; returns what has to be asked because of it. Raises Refused."""
        self.say("message", data=message)
        match message:
            case {"type": "subscribed", "data": {"recovered": True, "missed": list(missed)}}:
                for event in missed:
                    self.apply(event)
            case {"type": "subscribed", "data": {"channel": str(channel), "seq": int()}}:
                if channel != "board:telemetry":
                    await self.load(channel, way_in)
            case {"type": "telemetry:sample", "data": dict(sample)}:
                self.sample = sample
            case {"channel": str(channel), "seq": int()} if not self.apply(message):
                return self.question(channel)
        self.draw()
        return None

    def apply(self, event: dict[str, Any]) -> bool:
        """Whether nothing is missing before it."""
        at = self.places.get(event["channel"])
        if at is None or at["epoch"] != event["epoch"] or event["seq"] > at["seq"] + 1:
            return False
        if event["seq"] == at["seq"] + 1:
            at["seq"] += 1
            self.things[event["data"]["id"]] = event["data"]
        return True

    async def load(self, channel: str, way_in: Pass) -> None:
        """The state, and the position that it is of: what comes later is applied to it."""
        url = f"{way_in.base}/api/channels/{channel}/snapshot"
        headers = {"Authorization": f"Bearer {way_in.token}"}
        try:
            async with (
                ClientSession(timeout=ClientTimeout(10)) as session,
                session.get(url, headers=headers) as response,
            ):
                response.raise_for_status()
                said = await response.json()
        except (ClientError, TimeoutError, ValueError) as error:
            raise Refused(f"no snapshot of {channel}: {error}") from error
        kind = "order" if channel == "board:orders" else "reservation"
        others = {key: it for key, it in self.things.items() if not key.startswith(kind)}
        self.things = others | said["state"]
        self.places[channel] = {"epoch": said["epoch"], "seq": said["seq"]}

    def say(self, event: str, **fields: Any) -> None:
        if not self.draws:
            print(json.dumps({"event": event, **fields}, ensure_ascii=False), flush=True)
        elif event != "message":
            print(event, fields, flush=True)

    def draw(self) -> None:
        """The newest on top. What a guest has typed as a name is text, and stays it."""
        if not self.draws:
            return
        newest = sorted(self.things.values(), key=lambda it: it["updatedAt"], reverse=True)
        rows = [f"{it['id']:22} {it['status']:10} {who(it)}" for it in newest[:ROWS]]
        seen = " · ".join(f"{name} {value}" for name, value in self.sample.items())
        print("\x1b[H\x1b[J" + "\n".join([*rows, "", seen, "> "]), end="", flush=True)


def who(thing: dict[str, Any]) -> str:
    name = str(thing.get("customer", thing.get("name", "")))
    return "".join(letter if letter.isprintable() else "?" for letter in name)
