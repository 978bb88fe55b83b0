"""The hops of an open WebSocket: does it hold, say the right thing, bear ours, beat, and end well?

Each is asked once, in this order, and takes as little as it can: a doctor is a guest.
"""

from causes import Sick
from conversation import Talk
from settings import CONNECT_TIMEOUT, HEARTBEAT_SECONDS

PATIENCE = 2.5  # heartbeats of listening


async def holds(talk: Talk, _: str) -> str:
    """The 101 proves the handshake; an answer proves that somebody is there."""
    if not talk.engine:
        talk.protocol.send_text(b'{"type":"ping","requestId":"doctor"}')
    await talk.answers("closed-at-once")
    return "a ping was answered"


async def says(talk: Talk, expected: str) -> str:
    """A message of the type that the page waits for, as text."""
    if expected:
        await talk.until(lambda: expected in talk.types or talk.binary_json, CONNECT_TIMEOUT)
    if talk.binary_json:
        raise Sick("blob-echo", "JSON in a binary frame: a page gets a Blob")
    seen = ", ".join(talk.types) or "no message"
    if expected and expected not in talk.types:
        raise Sick("wrong-type", f"waited for {expected}; what came: {seen}")
    return seen


async def bears(talk: Talk, size: str) -> str:
    """A message as big as the client's biggest."""
    if talk.ended:
        raise Sick("closed-at-once", talk.how())
    if not int(size):
        return "not asked"
    shell = '{"type":"echo","data":""}'
    padding = "x" * (int(size) - len(shell))
    talk.protocol.send_text(f"{shell[:-2]}{padding}{shell[-2:]}".encode())
    await talk.answers("oversized")
    return f"{size} bytes"


async def beats(talk: Talk, _: str) -> str:
    """A ping of the server, and a connection that outlives the silence before it."""
    within = PATIENCE * HEARTBEAT_SECONDS
    if await talk.until(lambda: talk.pinged, within):
        return "the server pings"
    if talk.ended:
        raise Sick("proxy-timeout", f"{talk.how()} while nobody spoke")
    raise Sick("no-heartbeat", f"no ping within {within:g} s")


async def closes(talk: Talk, _: str) -> str:
    await talk.leave()
    if talk.protocol.close_rcvd is None:
        raise Sick("no-close", "our close got no close in answer")
    return talk.how()


TALKING = {"open": holds, "type": says, "size": bears, "heartbeat": beats, "close": closes}
