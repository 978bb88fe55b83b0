"""One patient: a broken deployment, the causes to choose from, and what was guessed."""

from dataclasses import dataclass, field
from typing import Any

from the_course import Deployment

BEST, WITH_DOCTOR = 3, 1  # points: for a first guess that is right; at most, once the doctor told


class Refused(Exception):
    """What was asked for cannot be done now; the message says why."""


@dataclass
class Patient:
    """What it is called is not told before the round is over."""

    number: int
    name: str
    deployment: Deployment
    choices: dict[str, dict[str, Any]]  # name → what the course says of it
    wrong: list[str] = field(default_factory=list)  # guesses
    points: int | None = None  # once the round is over
    asked: bool = False  # the doctor, before it was over
    cured: bool = False

    def guess(self, choice: str) -> bool:
        """Whether that is it. Three guesses end a round. Raises Refused."""
        if self.points is not None or choice not in self.choices or choice in self.wrong:
            raise Refused("this is no guess that is left")
        if choice == self.name:
            most = WITH_DOCTOR if self.asked else BEST
            self.points = max(0, min(BEST - len(self.wrong), most))
            return True
        self.wrong.append(choice)
        if len(self.wrong) == BEST:
            self.points = 0
        return False

    def told(self, language: str) -> dict[str, Any]:
        """What the page may know."""
        titles = {name: lab["title"][language] for name, lab in self.choices.items()}
        told: dict[str, Any] = {
            **{"number": self.number, "url": self.deployment.url, "seen": self.deployment.seen},
            **{"doctor": self.deployment.doctor, "cured": self.cured},
            **{"wrong": self.wrong, "points": self.points},
            "choices": [{"name": name, "title": title} for name, title in titles.items()],
        }
        if self.points is not None:
            told["name"] = self.name
            told |= {part: self.choices[self.name][part][language] for part in ("cause", "cure")}
        return told
