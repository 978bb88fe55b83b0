"""Business: guests order, cooks cook, and the board moves though nobody touches it.

Chance decides, from a seed, so that a run can be run again. Of several instances one drives: it
holds a claim that it renews, and when it dies another takes over.
"""

import asyncio
import random
import time
from typing import Any

from actions import carry_out, put
from board import ACTIONS, ORDERS, RESERVATIONS, Action, Thing, seat
from commands import Refused
from event import BusUnavailable, Changed
from fanout import THE_BUS
from settings import BUSINESS_SECONDS, BUSINESS_SEED

CLAIM_SECONDS = max(3 * BUSINESS_SECONDS, 3.0)
RETRY_SECONDS = 0.5  # while the bus is away, or somebody else drives a board that stands still
AT_FIRST, MOST_OPEN = 6, 12  # of each kind
NAMES = ("Lin", "Osei", "Rossi", "王", "Haddad", "陈", "Novak", "Silva", "Kim", "Okafor")
DISHES = {"ramen": 1250, "dumplings": 890, "salad": 720, "fried rice": 980, "tea": 350, "soup": 640}
SEAT = Action(RESERVATIONS, "reservation:update", "", seat)


class Business:
    def __init__(self) -> None:
        self.chance = random.Random(BUSINESS_SEED)

    async def run(self) -> None:
        """Open, and go on for as long as the program lives, whenever it is us who drive."""
        opened = False
        while not opened or BUSINESS_SECONDS:
            await asyncio.sleep(BUSINESS_SECONDS if opened else 0)
            try:
                if await THE_BUS.claim("driver", CLAIM_SECONDS):
                    await (self.step() if opened else self.open())
                    opened = True
                elif not opened:
                    opened = bool(BUSINESS_SECONDS)  # somebody else has opened, or will
                    await asyncio.sleep(RETRY_SECONDS)
            except BusUnavailable:
                await asyncio.sleep(RETRY_SECONDS)

    async def open(self) -> None:
        """Something to look at, unless the board knows something already."""
        if not (await THE_BUS.snapshot(ORDERS))["state"]:
            for _ in range(AT_FIRST):
                await self.order()
        if not (await THE_BUS.snapshot(RESERVATIONS))["state"]:
            for number in range(AT_FIRST):
                await self.reserve(number)

    async def step(self) -> None:
        """One thing happens."""
        kind = self.chance.choices((ORDERS, RESERVATIONS), (3, 1))[0]
        state = (await THE_BUS.snapshot(kind))["state"]
        open = [thing for thing in state.values() if thing["status"] not in OVER]
        if len(open) < AT_FIRST or (len(open) < MOST_OPEN and self.chance.random() < 0.4):
            await (self.order() if kind == ORDERS else self.reserve(len(state)))
            return
        thing = self.chance.choice(sorted(open, key=lambda thing: str(thing["updatedAt"]))[:4])
        try:
            await carry_out(self.next(kind, thing), thing)
        except Refused:
            pass  # a person was faster

    def next(self, kind: str, thing: Thing) -> Action:
        what = "order" if kind == ORDERS else "reservation"
        if self.chance.random() < 0.08:
            return ACTIONS[f"{what}:cancel"]
        if kind == ORDERS:
            return ACTIONS["order:advance"]
        return SEAT if thing["status"] == "confirmed" else ACTIONS["reservation:confirm"]

    async def order(self) -> None:
        chosen = self.chance.sample(sorted(DISHES), self.chance.randint(1, 3))
        items = [{"name": name, "count": self.chance.randint(1, 2)} for name in chosen]
        total = sum(DISHES[str(item["name"])] * int(str(item["count"])) for item in items)
        wanted: dict[str, Any] = {"customer": self.chance.choice(NAMES), "items": items}
        wanted |= {"total": total, "table": str(self.chance.randint(1, 24))}
        await carry_out(ACTIONS["order:create"], wanted)

    async def reserve(self, number: int) -> None:
        hour = 3_600_000
        reservation = {
            "id": f"reservation-{self.chance.getrandbits(32):08x}",
            "name": self.chance.choice(NAMES),
            "guests": self.chance.randint(1, 8),
            "at": (int(time.time() * 1000) // hour + 1 + number % 5) * hour,
            "status": "requested",
        }
        try:
            await put(RESERVATIONS, "reservation:created", reservation, "", "")
        except Changed:
            pass  # the same id again, of four billion


OVER = ("served", "seated", "cancelled")
