"""The exercise: one patient after the other, five causes each, and a score.

Whoever looks at a patient may try it, guess, ask the doctor (which tells, and costs), and have it
cured. Patients are deployments of the course; which, and in which order, says ROUNDS or chance.
"""

import asyncio
import random
from typing import Any

from patient import Patient, Refused
from settings import ROUNDS, SEED
from the_course import Deployment, Unavailable, ask

CHOICES = 5


class Rounds:
    """All rounds of one learner. One thing happens at a time: a lab takes a second to stand."""

    def __init__(self) -> None:
        self.seed = SEED or random.randrange(1, 10_000)
        self.random = random.Random(self.seed)
        self.labs: dict[str, dict[str, Any]] = {}  # name → what the course says of it
        self.order: list[str] = []
        self.patients: list[Patient] = []
        self.busy = asyncio.Lock()

    def current(self) -> Patient:
        if not self.patients:
            raise Refused("there is no patient yet")
        return self.patients[-1]

    async def admit(self) -> None:
        """The next patient. Raises Unavailable, Refused."""
        if not self.labs:
            labs = {lab["name"]: lab for lab in await ask("break", "list")}
            if unknown := [name for name in ROUNDS if name not in labs]:
                raise Refused(f"ROUNDS: there is no {unknown[0]!r}; there are {', '.join(labs)}")
            self.labs, self.order = labs, list(ROUNDS) or self.random.sample([*labs], len(labs))
        if self.patients and len(self.patients) == len(self.order):
            raise Refused("that was the last one")
        if self.patients and self.patients[-1].points is None:
            self.patients[-1].points = 0  # given up
        await self.close()
        problem = Unavailable("none of the patients can be set up here")
        while len(self.patients) < len(self.order):
            name = self.order[len(self.patients)]
            try:
                deployment = await Deployment.open(name)
            except Unavailable as error:  # without nginx or openssl some cannot be had: go on
                problem = error
                del self.order[len(self.patients)]
                continue
            others = self.random.sample([lab for lab in self.labs if lab != name], CHOICES - 1)
            shuffled = self.random.sample([name, *others], CHOICES)
            choices = {choice: self.labs[choice] for choice in shuffled}
            self.patients.append(Patient(len(self.patients) + 1, name, deployment, choices))
            return
        raise problem

    async def examine(self, language: str) -> dict[str, Any]:
        """What the doctor says of the patient as it is now. Raises Refused, Unavailable."""
        patient = self.current()
        patient.asked = patient.asked or patient.points is None
        report: dict[str, Any] = await ask(*patient.deployment.doctor, "--lang", language)
        return report

    async def cure(self) -> None:
        """Put the cured deployment in the place of the broken one. Raises Refused, Unavailable."""
        patient = self.current()
        if patient.points is None:
            raise Refused("first say what it is")
        if not patient.cured:
            cured = await Deployment.open(patient.name, cured=True)
            await patient.deployment.close()
            patient.deployment, patient.cured = cured, True

    async def close(self) -> None:
        """End the deployment of the last round."""
        if self.patients:
            await self.patients[-1].deployment.close()

    def told(self, language: str) -> dict[str, Any]:
        """What the page may know."""
        score = sum(patient.points or 0 for patient in self.patients)
        told = {"number": 0, "of": len(self.order), "score": score}
        return told | self.patients[-1].told(language) if self.patients else told
