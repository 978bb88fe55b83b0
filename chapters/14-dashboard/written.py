"""Written: an event as each dialect has it on the wire.

It is written once for a whole room, and in a dialect that nobody in the room speaks, never.
"""

from functools import cached_property
from typing import Any

from envelope import encode
from framing import frame
from packets import dumps


class Written:
    def __init__(self, message: dict[str, Any]) -> None:
        self.message = message  # an envelope: type, data, channel, ts …

    @cached_property
    def frame(self) -> bytes:
        """For a native client: the envelope, in a text frame."""
        return frame(encode(**self.message))

    @cached_property
    def packet(self) -> str:
        """For a Socket.IO client: an event under its own name, with the rest as its argument."""
        rest = {name: value for name, value in self.message.items() if name != "type"}
        event = [self.message["type"], rest]
        return "2" + dumps(event, ensure_ascii=False, separators=(",", ":"))
