"""Catching up, the client's half: each channel's events in their order, each of them once.

The next number is shown; an old one has been shown; one too far ahead says that something is
missing, and the channel is asked for all that came after the last one that was shown.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Position = dict[str, Any]


class Places:
    """Where this client is in each of its channels."""

    def __init__(
        self, ask: Callable[[str, Position], Awaitable[Any]], show: Callable[[Any], None]
    ) -> None:
        self.at: dict[str, Position] = {}
        self.ask = ask  # subscribe to this channel, since this position
        self.show = show
        self.asking: dict[str, asyncio.Task[None]] = {}

    def subscribed(self, data: dict[str, Any]) -> None:
        """The ack says where the channel is now, if it was asked."""
        if "seq" in data:
            self.fill(data["channel"], data)

    def unsubscribed(self, data: dict[str, Any]) -> None:
        self.at.pop(data["channel"], None)

    def heard(self, event: str, data: Any) -> None:
        """An event has come: show it, drop it, or ask for what is missing before it."""
        if event == "session:recovered":
            for channel, found in data["channels"].items():
                self.fill(channel, found)
            return
        if event == "session:gap":
            for channel in self.at:
                self.catch_up(channel)
        at = self.at.get(data.get("channel", "")) if isinstance(data, dict) else None
        if at is None or "seq" not in data:
            self.show([event, data])
        elif data["epoch"] != at["epoch"] or data["seq"] > at["seq"] + 1:
            self.catch_up(data["channel"])
        elif data["seq"] == at["seq"] + 1:
            at["seq"] += 1
            self.show([event, data])

    def fill(self, channel: str, found: dict[str, Any]) -> None:
        """Show what was missed, less what has come meanwhile; or say that something is lost."""
        if "error" in found:
            self.at.pop(channel, None)
            self.show([channel, found["error"]])
            return
        at = self.at.setdefault(channel, {"epoch": found["epoch"], "seq": found["seq"]})
        top = {"epoch": found["epoch"], "seq": found["seq"]}
        if not found["recovered"] and at != top:
            self.show([channel, "something is lost: ask for the state"])
            at |= top
        for event in found["missed"]:
            if event["seq"] == at["seq"] + 1:
                at["seq"] += 1
                self.show([event["type"], event])

    def catch_up(self, channel: str) -> None:
        """One question at a time for each channel."""
        if channel in self.asking:
            return
        task = asyncio.get_running_loop().create_task(self._catch_up(channel))
        self.asking[channel] = task
        task.add_done_callback(lambda _: self.asking.pop(channel, None))

    async def _catch_up(self, channel: str) -> None:
        """Until nothing is missing: more may have come while we asked."""
        while channel in self.at:
            before = dict(self.at[channel])
            found = await self.ask(channel, before)
            if not found:
                return  # no connection: `auth` will say where we are
            self.fill(channel, found)
            if self.at.get(channel) == before:
                return
