"""Findings, and how they are told: as text in two languages, or as JSON.

What a finding says is not in the code: `findings.toml` has its verdict, evidence, cause and cure.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from course import console
from course.frames import escape, hide, plural
from course.manifest import load

Verdict = Literal["ok", "warning", "problem"]
VOCABULARY = Path(__file__).with_name("findings.toml")
SHOWN = 300  # characters of a server's own words
PROBES = (
    *("dns", "tcp", "tls", "mixed", "engine", "stickiness", "cors", "upgrade", "accept", "origin"),
    *("subprotocol", "open", "answer", "size", "messages", "heartbeat", "idle", "close"),
    "instances",
)
WORDS = {
    "en": {
        "colon": ": ",
        "problem": "problem",
        "warning": "warning",
        "ok": "ok",
        "cause": "cause",
        "cure": "cure",
        "read": "read",
        "skipped": "  (not asked: {})",
        "comma": ", ",
        "healthy": "healthy",
        "sum": "{problems}, {warnings}",
    },
    "zh": {
        "colon": "：",
        "problem": "问题",
        "warning": "警告",
        "ok": "正常",
        "cause": "原因",
        "cure": "办法",
        "read": "参阅",
        "skipped": "（未检查：{}）",
        "comma": "、",
        "healthy": "健康",
        "sum": "{problems} 个问题，{warnings} 个警告",
    },
}


@cache
def vocabulary() -> dict[str, dict[str, Any]]:
    """What there is to find: code → verdict, said, and for what is not ok cause, cure, lesson."""
    return tomllib.loads(VOCABULARY.read_text(encoding="utf-8"))["finding"]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Finding:
    """What one probe found. `code` is a name in findings.toml; `facts` fill its sentence."""

    code: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def probe(self) -> str:
        return self.code.partition(".")[0]

    @property
    def entry(self) -> dict[str, Any]:
        return vocabulary()[self.code]

    @property
    def verdict(self) -> Verdict:
        return self.entry["verdict"]  # type: ignore[no-any-return]

    def evidence(self, language: str) -> str:
        facts = {name: safe(value) for name, value in self.facts.items()}
        return str(self.entry["said"][language]).format(**facts)

    def lesson(self, language: str) -> str:
        """The page to read."""
        return f"site/{language}/chapters/{load().chapter(self.entry['lesson']).slug}.md"

    def as_json(self, language: str) -> dict[str, Any]:
        told: dict[str, Any] = {"probe": self.probe, "verdict": self.verdict, "code": self.code}
        told["evidence"] = self.evidence(language)
        if self.verdict != "ok":
            told |= {name: self.entry[name][language] for name in ("cause", "cure")}
            told["lesson"] = self.lesson(language)
        return told


def safe(value: Any) -> Any:
    """A fact as it may be printed: a server's words cannot steer the terminal, nor tell secrets."""
    if isinstance(value, float):
        return f"{value:.1f}"
    if not isinstance(value, str):
        return value
    text = escape(hide(value))
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


@dataclass
class Report:
    """All that was found out about one URL, in order."""

    url: str
    tell: Callable[[Finding], None] = lambda finding: None
    findings: list[Finding] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unreachable: bool = False

    def add(self, code: str, /, **facts: Any) -> None:
        finding = Finding(code, facts)
        self.findings.append(finding)
        self.tell(finding)

    def skip(self, *probes: str) -> None:
        self.skipped += [probe for probe in probes if probe not in self.skipped]

    def having(self, verdict: Verdict) -> list[str]:
        """The codes with this verdict."""
        return [finding.code for finding in self.findings if finding.verdict == verdict]

    def exit_code(self, *, strict: bool = False) -> int:
        if self.unreachable:
            return 2
        return int(bool(self.having("problem") or (strict and self.having("warning"))))

    def as_json(self, language: str, *, strict: bool = False) -> str:
        told = {
            "url": safe(self.url),
            "exit": self.exit_code(strict=strict),
            "problems": len(self.having("problem")),
            "warnings": len(self.having("warning")),
            "findings": [finding.as_json(language) for finding in self.findings],
            "skipped": self.skipped,
        }
        return json.dumps(told, ensure_ascii=False, indent=2)


def show(finding: Finding, language: str) -> str:
    """A finding as text: one line, and if something is wrong its cause and its cure."""
    words, verdict = WORDS[language], finding.verdict
    sign = {"ok": console.GOOD, "warning": "!", "problem": console.PROBLEM}[verdict]
    paint = {"ok": console.good, "warning": console.to_server, "problem": console.problem}[verdict]
    said = finding.evidence(language)
    if verdict == "ok":
        return f"{paint(sign)} {finding.probe:<12} {said}"
    lines = [f"{paint(f'{sign} {finding.probe:<12} {words[verdict]}')}{words['colon']}{said}"]
    for name in ("cause", "cure"):
        text = str(finding.entry[name][language])
        gap = " " * (7 - len(words[name]))
        first, *rest = _wrapped(text, language)
        lines.append(f"    {console.bold(words[name])}{gap}{first}")
        lines += [f"           {line}" for line in rest]
    gap = " " * (7 - len(words["read"]))
    lines.append(f"    {console.bold(words['read'])}{gap}{finding.lesson(language)}")
    return "\n".join(lines)


def _wrapped(text: str, language: str) -> list[str]:
    """Lines of at most 85 columns. Chinese has no blanks to break at: the terminal does it."""
    if language == "zh":
        return text.splitlines()
    return [line for part in text.splitlines() for line in console.wrap(part, 85).splitlines()]


def summary(report: Report, language: str) -> str:
    words = WORDS[language]
    problems, warnings = len(report.having("problem")), len(report.having("warning"))
    names = words["comma"].join(report.skipped)
    skipped = words["skipped"].format(names) if names else ""
    if not problems and not warnings:
        return console.good(words["healthy"]) + skipped
    counts: dict[str, int | str] = {"problems": problems, "warnings": warnings}
    if language == "en":
        counts = {name: plural(int(count), name[:-1]) for name, count in counts.items()}
    text = words["sum"].format(**counts)
    return (console.problem(text) if problems else console.to_server(text)) + skipped
