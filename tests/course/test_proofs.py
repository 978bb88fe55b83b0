"""The three proofs that the checks can fail.

Ours pass. The chapter before fails something of every module a chapter adds. Every check is failed
by a broken program, and each broken program fails just what it names. Right programs in other hands
pass, so a check asks for no more than the contract.
"""

import shlex
import sys
from pathlib import Path

import pytest

from course import catalogue
from course.manifest import Chapter, load
from tests.course.grading import (
    Grade,
    asked_of_ours,
    grade_base,
    grade_broken,
    grade_forked,
    only_unless_all,
)
from tests.harness import broken
from tests.harness.broken import Broken

CHAPTERS = load().chapters
OTHERS = {
    "by_hand": (1, sys.executable),
    "node": (2, "node"),
    "node_client": (4, "node"),
    "node_delivery": (6, "node"),
    "node_doctor": (13, "node"),
    "node_socketio": (10, "node"),
}


# What fails most waits longest: begin with it.
PROGRAMS = sorted(broken.programs(), key=lambda program: -len(program.fails))


def by_slug(chapter: Chapter) -> str:
    return chapter.slug


def grade_own(folder: Path, chapter: Chapter) -> Grade:
    only = only_unless_all(asked_of_ours(chapter)) if chapter.also else []
    return grade_forked(folder, str(chapter.number), "--solution", *only)


@pytest.mark.graded(by=grade_own, computes=True)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=by_slug)
def test_our_own_chapter_passes_every_check(chapter: Chapter, result: Grade) -> None:
    assert result.failed == set(), result.output
    assert set(result.outcomes) == asked_of_ours(chapter)
    assert set(result.outcomes.values()) == {"passed"}
    assert result.code == 0


@pytest.mark.graded(by=grade_base)
@pytest.mark.parametrize(
    ("chapter", "module"),
    [(chapter, module) for chapter in CHAPTERS if chapter.builds_on for module in chapter.adds],
    ids=lambda value: value if isinstance(value, str) else value.slug,
)
def test_the_base_fails_a_check_of_every_new_module(
    chapter: Chapter, module: str, result: Grade
) -> None:
    assert any(name.startswith(f"{module}::") for name in result.failed), result.output
    base = load().base(chapter)
    assert base is not None
    if base.dialect == chapter.dialect:  # else not even the members of the rooms get in
        failed = {name.partition("::")[0] for name in result.failed}
        others = {name for other in load().bases(chapter)[1:] for name in load().checks(other)}
        assert failed <= {*chapter.adds, *others}, result.output
    assert result.code == 1


@pytest.mark.graded(by=grade_broken)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_broken_program_fails_the_checks_it_names(program: Broken, result: Grade) -> None:
    named = (program.fails | program.fails_too) & set(result.outcomes)

    assert result.failed - program.perhaps == named, result.output
    assert program.fails <= named
    assert result.code == 1


def test_every_check_is_failed_by_a_broken_program() -> None:
    every = {check.id for module in catalogue.modules().values() for check in module.checks}
    caught = set().union(*(program.fails for program in broken.programs()))

    assert every - caught == set()


def grade_other(folder: Path, name: str) -> Grade:
    number, interpreter = OTHERS[name]
    where, main_file, _ = broken.BASES[name]
    command = shlex.join([interpreter, str(where / main_file)])
    return grade_forked(folder, str(number), "--cmd", command)


@pytest.mark.graded(by=grade_other, computes=True)
@pytest.mark.parametrize("name", OTHERS)
def test_a_right_program_of_another_make_passes(name: str, result: Grade) -> None:
    assert result.failed == set(), result.output
    assert result.code == 0
