"""Patience: what ends by itself in a server that was told not to wait long.

Tokens, tickets and handshakes that take too long, and what the audit log says of those who come and
go. The scenes are played side by side, once; each check judges one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.harness import tokens
from tests.harness.door import ADMIN, MEMBER, VISITOR, User
from tests.harness.exchange import Exchange
from tests.harness.peer import CLOSE, Ended, Peer
from tests.harness.place import Place, ask
from tests.harness.subject import FOREIGN_ORIGIN, Subject
from tests.harness.verdict import CheckFailure, fail, require

SLACK = 2.0  # seconds for a busy machine
TOKEN, TICKET, HANDSHAKE = 4, 2, 1  # seconds, of the program whose patience is short
SHORT = {"TOKEN_SECONDS": TOKEN, "TICKET_SECONDS": TICKET, "HANDSHAKE_SECONDS": HANDSHAKE}
SECRET_TEXT = "payload-that-nobody-may-log"


@dataclass
class Scene:
    """What became of one peer; times in seconds."""

    exchange: Exchange = field(default_factory=Exchange)
    ended: Ended | None = None
    late: float = 0.0  # how long after the token's exp, or after HANDSHAKE_SECONDS
    said: list[Any] = field(default_factory=list)
    problem: CheckFailure | None = None

    def judge(self, subject: Subject) -> Scene:
        """Make this record the check's own, and pass on what went wrong."""
        subject.exchange.events = self.exchange.events
        if self.problem:
            raise self.problem
        return self


class Watch:
    """Everything that ends by itself in a program whose patience is short."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.expiring, self.refreshed, self.old_ticket = Scene(), Scene(), Scene()
        self.half, self.dripping, self.patient = Scene(), Scene(), Scene()
        self.audited, self.injected = Scene(), Scene()

    async def run(self) -> None:
        scenes: tuple[tuple[Scene, Callable[[Scene, Place], Awaitable[None]]], ...] = (
            (self.expiring, self.expire),
            (self.refreshed, self.refresh),
            (self.old_ticket, self.wait_with_a_ticket),
            (self.half, self.send_half),
            (self.dripping, self.drip),
            (self.audited, self.come_and_go),
            (self.injected, self.write_lines),
        )
        await asyncio.gather(*(self._play(scene, play) for scene, play in scenes))

    async def _play(self, scene: Scene, play: Callable[[Scene, Place], Awaitable[None]]) -> None:
        place = Place(self.place.subject, self.place.port, scene.exchange)
        try:
            await play(scene, place)
        except CheckFailure as failure:
            scene.problem = failure
        finally:
            await scene.exchange.close()

    async def fresh(self, place: Place, user: User) -> tuple[str, str]:
        """A token that has all its life before it, and a ticket bought with it."""
        status, said = await place.login(user.name, user.password)
        require(status == 200, "a right password is refused", expected=200, got=status)
        token = str(said.get("accessToken"))
        status, said = await place.post("/api/ticket", token=token)
        require(status == 200, "no ticket for a new token", expected=200, got=status)
        return token, str(said.get("ticket"))

    async def expire(self, scene: Scene, place: Place) -> None:
        """Connect, and wait for the end of the token."""
        token, ticket = await self.fresh(place, MEMBER)
        peer, _ = await place.knock(f"?ticket={ticket}")
        await peer.welcome()
        await self.end_of(scene, peer, token)

    async def end_of(self, scene: Scene, peer: Peer, token: str) -> None:
        exp = tokens.read(token)["exp"]
        scene.ended = await peer.ended("close 4410 at exp", exp - time.time() + 2 * SLACK)
        scene.late = time.time() - exp

    async def refresh(self, scene: Scene, place: Place) -> None:
        """Connect, refresh in time, live on beyond the first exp, and end at the second."""
        token, ticket = await self.fresh(place, ADMIN)
        peer, _ = await place.knock(f"?ticket={ticket}")
        await peer.welcome()
        await alive(peer, 1.3)  # exp counts whole seconds: so that the two differ
        _, said = await place.post("/api/refresh", token=token)
        newer = str(said.get("accessToken"))
        scene.said.append(await ask(peer, "auth:refresh", {"token": newer}))
        await alive(peer, tokens.read(token)["exp"] - time.time() + 0.3)
        if time.time() < tokens.read(newer)["exp"] - 0.2:
            scene.said.append(await ask(peer, "ping", None))
        await self.end_of(scene, peer, newer)

    async def wait_with_a_ticket(self, scene: Scene, place: Place) -> None:
        """A ticket that is used too late, with a token that is still good."""
        _, ticket = await self.fresh(place, VISITOR)
        await asyncio.sleep(TICKET + 0.4)
        _, response = await place.knock(f"?ticket={ticket}")
        scene.said.append(response.status)

    async def send_half(self, scene: Scene, place: Place) -> None:
        """Half a request, and nothing at all, each on a connection of its own."""
        peers = [await self.silent(place), await self.silent(place)]
        await peers[0].send_raw(b"GET /ws HTTP/1.1\r\nHost:", "half a request, and then nothing")
        await asyncio.gather(*(self.cut_off(scene, peer) for peer in peers))

    async def drip(self, scene: Scene, place: Place) -> None:
        """A byte now and then: each of them is a sign of life, and none is an end."""
        peer = await self.silent(place)
        await peer.send_raw(b"GET /ws HTTP/1.1\r\nX-Slow: ", "a request that never ends")

        async def dripping() -> None:
            while True:
                await asyncio.sleep(0.2)
                peer.writer.write(b"x")

        task = asyncio.create_task(dripping())
        await self.cut_off(scene, peer)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def silent(self, place: Place) -> Peer:
        peer = Peer(place.exchange)
        peer.door = None
        await peer.dial(place.subject.host, place.port)
        return peer

    async def cut_off(self, scene: Scene, peer: Peer) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE + SLACK):
                while await peer.reader.read(4096):
                    pass
        except TimeoutError:
            fail(
                "a request that does not come to its end keeps its connection",
                expected=f"the end of TCP after HANDSHAKE_SECONDS={HANDSHAKE}",
                got=f"an open connection after {HANDSHAKE + SLACK:g} s",
            )
        except ConnectionError:
            pass  # a reset is an end too

    async def come_and_go(self, scene: Scene, place: Place) -> None:
        """Log in, connect, say something, leave with a code; then be refused in each way."""
        token, ticket = await self.fresh(place, VISITOR)
        peer, _ = await place.knock(f"?ticket={ticket}")
        await peer.welcome()
        reply = await ask(peer, "echo", SECRET_TEXT)
        require(reply.get("type") == "echo", "an echo", got=reply)
        await ask(peer, "subscribe", {"channel": "role:admin"})
        await peer.send(CLOSE, (4007).to_bytes(2) + SECRET_TEXT.encode())
        await peer.ended("the answer to close 4007")
        scene.said += [token, ticket]
        await place.knock(f"?ticket={ticket}", headers={"Origin": FOREIGN_ORIGIN})
        await place.knock(f"?ticket={ticket}")
        await place.login(VISITOR.name, "a-wrong-password-to-log")
        await place.login("a-password-typed-too-early", "x")
        broken = Peer(place.exchange)
        broken.door = None
        await broken.dial(place.subject.host, place.port)
        await broken.send_raw(
            f"GET /ws?ticket={ticket} HTP/9\r\n\r\n".encode(), "a request line that is wrong"
        )
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(SLACK):
                await broken.reader.read(4096)

    async def write_lines(self, scene: Scene, place: Place) -> None:
        """Names, origins and reasons that would each be a line of their own."""
        line = '{"event":"connect","user":"forged-line"}'
        for newline in ("\n", "\u2028"):
            await place.login(f"x{newline}{line}{newline}", "x")
        await place.knock("?ticket=%0A" + line.replace('"', "%22"))
        await place.knock("", headers={"Origin": f"http://evil.example/\\n{line}"})
        _, ticket = await self.fresh(place, ADMIN)
        peer, _ = await place.knock(f"?ticket={ticket}")
        await peer.welcome()
        await ask(peer, "subscribe", {"channel": f"role:x\n{line}\n"})
        await ask(peer, "publish", {"channel": "room:x", "event": f"a:\n{line}", "payload": 1})
        await peer.send(CLOSE, (4008).to_bytes(2) + f"\n{line}\n".encode())
        await peer.ended("the answer to close 4008")


async def alive(peer: Peer, seconds: float) -> None:
    """Wait, and answer the server's pings meanwhile: who sleeps is taken for dead.

    A close frame ends the waiting, and is there for whoever reads next.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            while (frame := await peer.next_frame()) is not None:
                if frame.opcode == CLOSE:
                    peer.waiting.appendleft(frame)
                    return
