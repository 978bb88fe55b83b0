"""Slow readers: `emit` never waits, so what a client does not read waits here, without a bound.

We look at its queue before we add to it, wait a moment, then let go of it. What stays is at most
MAX_WAITING packets in the queue, as many in the writer's hands, and the kernel's buffers.
"""

import asyncio
from collections.abc import Iterable

from engine import BEAT, let_go_of, sio

MAX_WAITING = 256  # packets in the queue of one client
PATIENCE = BEAT / 2  # seconds: meanwhile we do not read the publisher, nor its pongs
LOOK_SECONDS = 0.02  # the queue has no event for "shorter now"


async def make_room(clients: Iterable[str], namespace: str = "/") -> None:
    """Wait until each of them has room for one more packet; let go of those who take nothing."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    for sid in clients:
        while waiting(sid, namespace) >= MAX_WAITING:
            if loop.time() >= deadline:
                print("a client does not read: dropped", flush=True)
                let_go(sid, namespace)
                await sio.disconnect(sid, namespace)
                break
            await asyncio.sleep(LOOK_SECONDS)


def waiting(sid: str, namespace: str) -> int:
    """Packets that wait for this client. The library shows them nowhere: a look into its engine."""
    socket = sio.eio.sockets.get(sio.manager.eio_sid_from_sid(sid, namespace))
    return socket.queue.qsize() if socket else 0


def let_go(sid: str, namespace: str) -> None:
    let_go_of(sio.manager.eio_sid_from_sid(sid, namespace))
