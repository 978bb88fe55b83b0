"""Rolling: every instance restarted, one after the other, and nobody finds a closed door.

Out of nginx, goodbye, end, start, well, back into nginx. At any moment all the others serve. What
the clients see is a close frame with 1001; they come back at a moment of their own (chapter 4), to
another instance, and say how far they have read (chapter 6).
"""

import asyncio
import sys
import time
from itertools import zip_longest

from programs import Instance
from proxy import Proxy

Rolls = asyncio.Queue[None]  # what was asked for and has not begun


async def roll(proxy: Proxy) -> None:
    """Restart all: one native and one of Socket.IO at a time. Raises Failed."""
    began = time.monotonic()
    for step in zip_longest(proxy.native, proxy.socketio):
        together = [instance for instance in step if instance is not None]
        names = " and ".join(instance.name for instance in together)
        print(f"roll | {names}: out of nginx", flush=True)
        await set_down(proxy, together, True)
        await asyncio.gather(*(restart(instance) for instance in together))
        await set_down(proxy, together, False)
        print(f"roll | {names}: back", flush=True)
    print(f"rolled in {time.monotonic() - began:.1f} s", flush=True)


async def set_down(proxy: Proxy, instances: list[Instance], down: bool) -> None:
    for instance in instances:
        instance.down = down
    await proxy.reload()


async def restart(instance: Instance) -> None:
    """SIGTERM: it says 1001 to its clients and ends. The new one gets nobody until it is well."""
    await instance.stop()
    await instance.start()
    await instance.well()


def ask_to_roll(rolls: Rolls) -> None:
    if not rolls.full():
        rolls.put_nowait(None)


def read_command(rolls: Rolls) -> None:
    """One line of the terminal has come."""
    line = sys.stdin.readline()
    if line.strip() == "roll":
        ask_to_roll(rolls)
    elif line.strip():
        print("type roll", flush=True)
    else:
        asyncio.get_running_loop().remove_reader(sys.stdin)  # the input has ended
