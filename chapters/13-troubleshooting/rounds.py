"""The exercise: one patient after the other, five causes each, and a score.

A patient is a broken deployment of the course. Whoever looks at it may try it, guess, ask the
doctor (which tells, and costs), and have it cured. What it is called is not told before its time.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from settings import ROUNDS, SEED
from the_course import Deployment, Unavailable, ask

CHOICES = 5
BEST, WITH_DOCTOR = 3, 1  # points: for a first guess that is right; at most, once the doctor told


class Refused(Exception):
    """What was asked for cannot be done now; the message says why."""


@dataclass
class Round:
    """One patient."""

    number: int
    name: str
    deployment: Deployment
    choices: list[str]
    wrong: list[str] = field(default_factory=list)  # guesses
    points: int | None = None  # once it is over
    asked: bool = False  # the doctor, before it was over
    cured: bool = False


class Rounds:
    """All rounds of one learner. One thing happens at a time: a lab takes a second to stand."""

    def __init__(self) -> None:
        self.random = random.Random(SEED)
        self.labs: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []
        self.rounds: list[Round] = []
        self.busy = asyncio.Lock()

    @property
    def score(self) -> int:
        return sum(one.points or 0 for one in self.rounds)

    def current(self) -> Round:
        if not self.rounds:
            raise Refused("there is no patient yet")
        return self.rounds[-1]

    async def admit(self) -> None:
        """The next patient. Raises Unavailable, Refused."""
        if not self.labs:
            self.labs = {lab["name"]: lab for lab in await ask("break", "list")}
            self.order = [name for name in ROUNDS if name in self.labs]
            if not self.order:
                self.order = self.random.sample(list(self.labs), len(self.labs))
        if self.rounds and len(self.rounds) == len(self.order):
            raise Refused("that was the last one")
        if self.rounds and self.rounds[-1].points is None:
            self.rounds[-1].points = 0  # given up
        await self.close()
        problem = Unavailable("none of the patients can be set up here")
        while len(self.rounds) < len(self.order):
            name = self.order[len(self.rounds)]
            others = [other for other in self.labs if other != name]
            choices = [name, *self.random.sample(others, CHOICES - 1)]
            self.random.shuffle(choices)
            try:
                deployment = await Deployment.open(name)
            except Unavailable as error:  # without nginx or openssl some cannot be had: go on
                problem = error
                self.order.remove(name)
                continue
            self.rounds.append(Round(len(self.rounds) + 1, name, deployment, choices))
            return
        raise problem

    def guess(self, choice: str) -> bool:
        """Whether that is it. Three guesses end a round. Raises Refused."""
        one = self.current()
        if one.points is not None or choice not in one.choices or choice in one.wrong:
            raise Refused("this is no guess that is left")
        if choice == one.name:
            one.points = max(0, min(BEST - len(one.wrong), WITH_DOCTOR if one.asked else BEST))
            return True
        one.wrong.append(choice)
        if len(one.wrong) == BEST:
            one.points = 0
        return False

    async def examine(self, language: str) -> dict[str, Any]:
        """What the doctor says of the patient as it is now. Raises Unavailable."""
        one = self.current()
        one.asked = one.asked or one.points is None
        command, *words = one.deployment.doctor
        report: dict[str, Any] = await ask(command, *words, "--lang", language)
        return report

    async def cure(self) -> None:
        """Put the cured deployment in the place of the broken one. Raises Refused, Unavailable."""
        one = self.current()
        if one.points is None:
            raise Refused("first say what it is")
        if not one.cured:
            cured = await Deployment.open(one.name, cured=True)
            await one.deployment.close()
            one.deployment, one.cured = cured, True

    async def close(self) -> None:
        """End the deployment of the last round."""
        if self.rounds:
            await self.rounds[-1].deployment.close()

    def told(self, language: str) -> dict[str, Any]:
        """What the page may know of the round."""
        if not self.rounds:
            return {"number": 0, "of": len(self.order), "score": 0}
        one = self.current()
        titles = {name: self.labs[name]["title"][language] for name in one.choices}
        told: dict[str, Any] = {
            **{"number": one.number, "of": len(self.order), "score": self.score},
            **{"url": one.deployment.url, "seen": one.deployment.seen, "cured": one.cured},
            **{"doctor": one.deployment.doctor, "wrong": one.wrong, "points": one.points},
            "choices": [{"name": name, "title": title} for name, title in titles.items()],
        }
        if one.points is not None:
            told["name"] = one.name
            told |= {part: self.labs[one.name][part][language] for part in ("cause", "cure")}
        return told
