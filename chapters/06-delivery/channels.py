"""Channels: each event applied once and in order, whatever became of the connection meanwhile.

The client remembers how far it has read in each channel it follows. An event is applied if it is
the next one, dropped if it came already; anything else is a gap, and the server is asked for it.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

Read = Callable[[str], Awaitable[dict[str, Any]]]


@dataclass(slots=True)
class Channel:
    name: str
    request_id: str
    position: tuple[str, int] | None = None  # epoch and seq of what was applied last
    asked: bool = False  # a subscribe is under way; whatever comes before its answer is in it

    def ask(self) -> str:
        """The message that asks for everything after our position."""
        data: dict[str, Any] = {"channel": self.name}
        if self.position is not None:
            data["since"] = {"epoch": self.position[0], "seq": self.position[1]}
        self.asked = True
        return json.dumps({"type": "subscribe", "requestId": self.request_id, "data": data})


class Channels:
    """All channels that are followed. `report` hears what is applied."""

    def __init__(self, report: Callable[..., None], read_snapshot: Read) -> None:
        self.report = report
        self.read_snapshot = read_snapshot
        self.followed: dict[str, Channel] = {}
        self.count = 0

    def follow(self, name: str, request_id: Any) -> Channel:
        """From now on, also after the next connection and the one after that."""
        self.count += 1
        channel = self.followed.setdefault(name, Channel(name, f"follow-{self.count}"))
        if isinstance(request_id, str):
            channel.request_id = request_id
        return channel

    async def take(self, message: Any) -> str | None:
        """Look at a message that has come; returns what has to be asked because of it."""
        match message:
            case {"type": "subscribed", "data": {"channel": str(name), **answer}} if (
                name in self.followed
            ):
                await self.subscribed(self.followed[name], answer)
            case {"type": "error", "requestId": str(request_id)}:
                for channel in list(self.followed.values()):
                    if channel.asked and channel.request_id == request_id:
                        del self.followed[channel.name]  # we may not: do not ask for ever
            case {"channel": str(name), "epoch": str(), "seq": int()} if name in self.followed:
                channel = self.followed[name]
                if not channel.asked and not self.applied(channel, message):
                    return channel.ask()
        return None

    def applied(self, channel: Channel, event: Any) -> bool:
        """Apply the event if it is the next one; False if something is missing before it."""
        epoch, last = channel.position or ("", 0)
        match event:
            case {"epoch": str(its), "seq": int(seq)} if its == epoch and seq <= last:
                return True  # it came already
            case {"epoch": str(its), "seq": int(seq)} if its == epoch and seq == last + 1:
                channel.position = epoch, seq
                fields = {name: event.get(name) for name in ("type", "data")}
                self.report("applied", channel=channel.name, epoch=epoch, seq=seq, **fields)
                return True
        return False

    async def subscribed(self, channel: Channel, answer: Mapping[Any, Any]) -> None:
        """Apply what was missed; if that cannot be had, begin again from the state."""
        channel.asked = False
        match answer:
            case {"recovered": True, "missed": list(missed)}:
                if all(self.applied(channel, event) for event in missed):
                    return
        # Nothing is read while the state is on its way: what comes meanwhile waits in the socket.
        # What the state contains already is dropped then, as anything that came before.
        state = await self.read_snapshot(channel.name)
        channel.position = state["epoch"], state["seq"]
        self.report("snapshot", channel=channel.name, **state)
