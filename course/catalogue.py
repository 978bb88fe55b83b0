"""The catalogue of checks: what `tests/checks/` asks, read without running any of it.

A check is one test function. The first line of its docstring is the behaviour in a sentence, the
rest is the hint; the decorator `@check("RFC 6455 §5.5.2")` names the source. A module that grades
clients says `ROLE = "client"`. The Chinese sentences are in `tests/checks/zh.toml`.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from course.manifest import ROOT

CHECKS = ROOT / "tests" / "checks"


class CatalogueError(Exception):
    """A check cannot be read, or lacks its docstring, hint or source; the message names it."""


@dataclass(frozen=True)
class Check:
    """One behaviour asked of a program."""

    id: str  # "echo::binary_stays_binary"
    name: str  # "binary_stays_binary"
    module: str  # "echo"
    behaviour: str  # the first line of the docstring
    hint: tuple[str, ...]  # the paragraphs after it, each a step further
    source: str  # "RFC 6455 §5.6", or what else asks for it
    costly: bool  # it takes much computing, so not every broken program is asked it
    scene: str  # what its module lets happen once for several checks, and takes seconds; or ""

    def sentence(self, language: str) -> str:
        """The behaviour in one of the course's languages."""
        return self.behaviour if language == "en" else _chinese()[self.module][self.name]


@dataclass(frozen=True)
class Module:
    """One file of checks."""

    name: str
    path: Path
    about: str  # the first line of the file's docstring
    role: str  # what it grades: "server" or "client"
    checks: tuple[Check, ...]


@cache
def modules() -> dict[str, Module]:
    """Every check module by name. Raises CatalogueError."""
    return {path.stem[5:]: _module(path) for path in sorted(CHECKS.glob("test_*.py"))}


def find(check_id: str) -> Check:
    """The check with this id. Raises KeyError."""
    module, _, name = check_id.partition("::")
    return next(check for check in modules()[module].checks if check.name == name)


def behaviour(check_id: str, language: str) -> str:
    """The sentence of one check, in one language."""
    return find(check_id).sentence(language)


def _module(path: Path) -> Module:
    name = path.stem[5:]
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), path.name)
    except SyntaxError as error:
        raise CatalogueError(f"the checks of {name} cannot be read: {error}") from error
    about = (ast.get_docstring(tree) or "").partition("\n")[0]
    functions = [
        node
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name[:5] == "test_"
    ]
    scenes = {
        node.name
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef)
        and any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    checks = tuple(_check(name, function, scenes) for function in functions)
    return Module(name, path, about, _role(name, tree), checks)


def _role(module: str, tree: ast.Module) -> str:
    """What a module says of itself: `ROLE = "client"`; a server is graded if it says nothing."""
    roles = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and [target.id for target in node.targets if isinstance(target, ast.Name)] == ["ROLE"]
    ]
    if any(role not in ("server", "client") for role in roles):
        raise CatalogueError(f'{module}: ROLE is "server" or "client", not {roles[0]!r}')
    return str(roles[0]) if roles else "server"


def _check(
    module: str, function: ast.AsyncFunctionDef | ast.FunctionDef, scenes: set[str]
) -> Check:
    name = function.name[5:]
    behaviour, _, rest = (ast.get_docstring(function) or "").partition("\n")
    hint = tuple(" ".join(part.split()) for part in rest.split("\n\n") if part.strip())
    calls = [
        decorator
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "check"
    ]
    sources = [call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)]
    costly = any(keyword.arg == "costly" for call in calls for keyword in call.keywords)
    scene = "".join({argument.arg for argument in function.args.args} & scenes)
    if not (behaviour and hint and sources):
        raise CatalogueError(f"{module}::{name} lacks a behaviour, a hint or a source")
    return Check(f"{module}::{name}", name, module, behaviour, hint, str(sources[0]), costly, scene)


@cache
def _chinese() -> dict[str, dict[str, str]]:
    return tomllib.loads((CHECKS / "zh.toml").read_text(encoding="utf-8"))
