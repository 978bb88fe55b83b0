"""Which labs there are, in the order of the table, and what is said about each."""

from __future__ import annotations

import importlib
import shlex
import tomllib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from course.doctor.visit import Options
from course.labs.stage import Scene

WORDS = Path(__file__).with_name("labs.toml")


@dataclass(frozen=True)
class Lab:
    """One lab. `finds` is what the doctor names, `also` what else it rightly finds there."""

    name: str
    title: dict[str, str]
    symptom: dict[str, str]
    finds: str
    also: tuple[str, ...]
    shows: str
    scene: Callable[[bool], AbstractAsyncContextManager[Scene]]


def names() -> list[str]:
    return list(_words())


@cache
def _words() -> dict[str, Any]:
    return cast(dict[str, Any], tomllib.loads(WORDS.read_text(encoding="utf-8"))["lab"])


@cache
def lab(name: str) -> Lab:
    """A lab by its name. Raises KeyError."""
    words = _words()[name]
    module = importlib.import_module(f"course.labs.{name.replace('-', '_')}")
    return Lab(
        name,
        words["title"],
        words["symptom"],
        finds=module.FINDS,
        also=getattr(module, "ALSO", ()),
        shows=module.SHOWS,
        scene=module.scene,
    )


def doctor_words(scene: Scene) -> str:
    """What to type so that the doctor is told the same."""
    options, usual = scene.options, Options()
    words = ["python3", "-m", "course", "doctor", scene.url]
    words += (
        ["--quick"] if not options.heartbeat else ["--heartbeat-wait", f"{options.heartbeat:g}"]
    )
    for name in ("origin", "ca", "expect", "channel"):
        value = getattr(options, name)
        words += [f"--{name}", value] if value else []
    words += ["--size", str(options.size)] if options.size else []
    words += ["--timeout", f"{options.patience:g}"] if options.patience != usual.patience else []
    return shlex.join(words)
