"""The lessons' site: it builds strictly, alike in both languages, and loads nothing from afar."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from course import frames, partials, site
from course.manifest import LANGUAGES, ROOT, load
from tests.site.building import build_once

BUILD_SECONDS = 120  # on a busy machine; a build takes about two
TRACKED = (
    "site",
    "chapters",
    "nginx",
    "vite-proxy/src",
    "course/capacity.py",
    "build/generated",
    "course.toml",
)
CONFIGURATIONS = ("mkdocs.base.yml", "mkdocs.yml", "mkdocs.zh.yml")


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both languages, built strictly as `make site-build` does. Chinese lies in zh/."""
    return build_once(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def zensical(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same by Zensical, in a copy: it leaves a cache beside its configuration."""
    copy = tmp_path_factory.mktemp("zensical")
    for name in TRACKED:
        source = ROOT / name
        copying = shutil.copytree if source.is_dir() else shutil.copy
        (copy / name).parent.mkdir(exist_ok=True)
        copying(source, copy / name)
    for name in CONFIGURATIONS:
        shutil.copy(ROOT / name, copy)
    for configuration in site.CONFIGS.values():
        command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", configuration]
        done = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, timeout=BUILD_SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return copy / "build" / "site"


# Pages as their authors write them


def pages(language_folder: Path) -> dict[str, str]:
    """The Markdown pages of one language: path → text."""
    return {
        path.relative_to(language_folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(language_folder.rglob("*.md"))
    }


def without_language(text: str) -> str:
    """A path with the language taken out of it: what the two languages have in common."""
    text = re.sub(r"\bbuild/generated/(en|zh)/", "build/generated/…/", text)
    return re.sub(r"\.(en|zh)\.md\b", ".….md", text)


def outside_fences(text: str) -> str:
    return re.sub(r"^( *)(`{3,}).*?^\1\2 *$", "", text, flags=re.DOTALL | re.MULTILINE)


def skeleton(text: str) -> dict[str, list[str]]:
    """What must be the same in both languages: everything of a page but its words."""
    prose = outside_fences(text)
    headings = re.findall(r"^(#+) .*?(?:\{ *#([\w-]+) *\})?$", prose, flags=re.MULTILINE)
    return {
        "headings": [f"{marks} {name}" for marks, name in headings],
        "snippets": [without_language(path) for path in re.findall(r'--8<-- "([^"]+)"', text)],
        "links": sorted(re.findall(r"(?<=\]\()[^)\s]+(?=\))|(?<=<)https?://[^>]+(?=>)", prose)),
        "blocks": re.findall(r"^ *`{3,}([\w.{} ]+)$", text, flags=re.MULTILINE),
        "boxes": re.findall(r'^ *((?:\?\?\?\+?|!!!) \w+)', prose, flags=re.MULTILINE),
        "live parts": re.findall(r'<div class="([^"]+)"', prose),
    }  # fmt: skip


def differences(site_folder: Path) -> list[str]:
    """Where the Chinese pages are not the English ones in other words; one line each."""
    english, chinese = (pages(site_folder / language) for language in LANGUAGES)
    found = [f"{path}: there is no Chinese page" for path in english.keys() - chinese.keys()]
    found += [f"{path}: there is no English page" for path in chinese.keys() - english.keys()]
    for path in english.keys() & chinese.keys():
        ours, theirs = skeleton(english[path]), skeleton(chinese[path])
        for part in ours:
            if ours[part] != theirs[part]:
                only = [item for item in ours[part] if item not in theirs[part]]
                more = [item for item in theirs[part] if item not in ours[part]]
                found.append(f"{path}: {part} differ: English only {only}, Chinese only {more}")
    return sorted(found)


def test_the_two_languages_have_the_same_pages_in_other_words() -> None:
    assert differences(ROOT / "site") == []


def drop_first(pattern: str, replacement: str = "") -> Callable[[str], str]:
    def edit(text: str) -> str:
        changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
        assert changed != text, f"the page has no {pattern}"
        return changed

    return edit


WRONG = {
    "another heading id": drop_first(r"\{#frames\}", "{#zhen}"),
    "a heading less": drop_first(r"^## .*\n"),
    "a heading of another level": drop_first(r"^### ", "#### "),
    "a snippet of another file": drop_first(r"/diff\.md", "/run.md"),
    "a snippet in the wrong language": drop_first(r"build/generated/zh", "build/zh"),
    "a link elsewhere": drop_first(r"\]\([^)]+\)", "](index.md)"),
    "a diagram less": drop_first(r"^```mermaid\n[\s\S]*?^```\n"),
    "a code block of another kind": drop_first(r"```sh", "```text"),
    "a question less": drop_first(r"^\?\?\? question .*\n"),
    "no dissector": drop_first(r'<div class="dissector"></div>'),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_page_that_fell_out_of_step_is_found(mistake: str, tmp_path: Path) -> None:
    for language in LANGUAGES:
        shutil.copytree(ROOT / "site" / language / "chapters", tmp_path / language / "chapters")
    page = tmp_path / "zh" / "chapters" / "01-browser.md"
    page.write_text(WRONG[mistake](page.read_text(encoding="utf-8")), encoding="utf-8")

    found = differences(tmp_path)

    assert found
    assert all(line.startswith("chapters/01-browser.md: ") for line in found)


def test_a_page_in_one_language_only_is_found(tmp_path: Path) -> None:
    for language in LANGUAGES:
        shutil.copytree(ROOT / "site" / language / "chapters", tmp_path / language / "chapters")
    (tmp_path / "en" / "chapters" / "02-echo.md").unlink()

    assert differences(tmp_path) == ["chapters/02-echo.md: there is no English page"]


def test_every_heading_below_the_title_has_an_id_of_its_own() -> None:
    for language in LANGUAGES:
        for path, text in pages(ROOT / "site" / language).items():
            ids = [line.partition(" ")[2] for line in skeleton(text)["headings"][1:]]
            assert all(ids), f"{language}/{path}: a heading without an id"
            assert len(set(ids)) == len(ids), f"{language}/{path}: an id twice"


def test_hand_drawn_diagrams_differ_in_words_only() -> None:
    def shapes(language: str) -> dict[str, list[str]]:
        found = {}
        for path in sorted((ROOT / "site" / "diagrams").glob(f"*.{language}.md")):
            text = re.sub(r'(aria-)?label="[^"]*"', "", path.read_text(encoding="utf-8"))
            tags = re.findall(r"<[^>]+>|->>|-->>|^ *Note over", text, flags=re.MULTILINE)
            found[path.name.partition(".")[0]] = tags
        return found

    assert shapes("en") == shapes("zh")
    assert shapes("en").keys() >= {"handshake", "frame-layout", "heartbeat", "half-open"}


def test_every_snippet_is_a_file(material: Path) -> None:
    for language in LANGUAGES:
        for page, text in pages(ROOT / "site" / language).items():
            for snippet in re.findall(r'--8<-- "([^"]+)"', text):
                path = re.sub(r":[\w:-]*$", "", snippet)
                assert (ROOT / path).is_file(), f"{language}/{page}: {snippet}"


# The manifest, the pages and the navigation


def configuration(name: str) -> dict[str, Any]:
    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Reads a configuration without running what it names."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda *_: None)
    loaded = yaml.load((ROOT / name).read_text(encoding="utf-8"), Loader)
    return dict(loaded)


def leaves(nav: list[Any]) -> list[str]:
    """The pages of a navigation, in order."""
    found: list[str] = []
    for entry in nav:
        for target in entry.values():
            found += leaves(target) if isinstance(target, list) else [target]
    return found


def test_manifest_pages_and_navigation_agree() -> None:
    chapters = [f"chapters/{chapter.slug}.md" for chapter in load().chapters]
    english, chinese = (leaves(configuration(name)["nav"]) for name in site.CONFIGS.values())

    assert english == chinese
    assert [path for path in english if path.startswith("chapters/")] == chapters
    assert sorted(english) == sorted(pages(ROOT / "site" / "en"))
    assert sorted(chinese) == sorted(pages(ROOT / "site" / "zh"))


def test_no_list_is_inherited_in_part() -> None:
    """MkDocs replaces an inherited list and Zensical appends to it: neither happens without one."""

    def lists(value: Any, path: str = "") -> set[str]:
        if isinstance(value, list):
            return {path}
        if not isinstance(value, dict):
            return set()
        return set().union(*(lists(part, f"{path}.{name}") for name, part in value.items()))

    base = lists(configuration("mkdocs.base.yml"))
    for name in site.CONFIGS.values():
        assert base & lists(configuration(name)) == set()


# Pages as they were built


class Page(HTMLParser):
    """What a built page holds: the ids of its headings, its links, and what it loads."""

    LOADS = ("script", "img", "iframe", "source", "video", "audio", "embed", "object", "input")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.diagrams = 0
        self.inside = 0  # the article
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.inside += tag == "article"
        if self.inside:
            if re.fullmatch("h[2-6]", tag):
                self.ids.append(values.get("id", ""))
            if tag == "a" and values.get("class") != "headerlink":
                self.links.append(values.get("href", ""))
            self.diagrams += tag == "svg" and "timeline" in values.get("class", "")
            self.diagrams += tag == "pre" and "mermaid" in values.get("class", "")
        if tag in self.LOADS:
            self.loads += [values[name] for name in ("src", "data", "srcset") if name in values]
        if tag == "link" and values.get("rel") not in ("prev", "next", "alternate", "canonical"):
            self.loads.append(values.get("href", ""))
        self.loads += re.findall(r"url\(([^)]*)\)", values.get("style", ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside -= tag == "article"


@cache
def built(folder: Path) -> dict[str, Page]:
    """The pages of one language as built: path → page."""
    names = [re.sub(r"(index)?\.md$", "", path) for path in pages(ROOT / "site" / "en")]
    return {name: Page(folder / name / "index.html") for name in names}


@pytest.mark.parametrize("builder", ["material", "zensical"])
def test_built_pages_have_the_same_ids_links_and_diagrams(
    builder: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(builder)
    english, chinese = built(folder), built(folder / "zh")

    for name, page in english.items():
        assert page.ids == chinese[name].ids, name
        assert page.links == chinese[name].links, name
        assert page.diagrams == chinese[name].diagrams, name
    assert sum(page.diagrams for page in english.values()) >= 3


def test_both_builders_make_the_same_headings(material: Path, zensical: Path) -> None:
    for language in ("", "zh"):
        ours, theirs = built(material / language), built(zensical / language)
        assert {n: page.ids for n, page in ours.items()} == {n: p.ids for n, p in theirs.items()}


def from_elsewhere(folder: Path) -> list[str]:
    """What the pages and stylesheets below `folder` would fetch from another host."""
    loads = [address for path in folder.rglob("*.html") for address in Page(path).loads]
    for path in folder.rglob("*.css"):
        found = re.findall(r"url\(([^)]*)\)|@import\s+([^;]+)", path.read_text(encoding="utf-8"))
        loads += [first or second for first, second in found]
    return [address for address in loads if re.match(r"\s*['\"]?(https?:)?//", address)]


@pytest.mark.parametrize("builder", ["material", "zensical"])
def test_no_page_loads_anything_from_elsewhere(
    builder: str, request: pytest.FixtureRequest
) -> None:
    assert from_elsewhere(request.getfixturevalue(builder)) == []


LOADING = {
    "a script": ("page.html", '<script src="https://cdn.example/a.js"></script>'),
    "a style": ("page.html", '<link rel="stylesheet" href="//cdn.example/a.css">'),
    "a font": ("page.html", '<link rel="preconnect" href="https://fonts.example">'),
    "a picture": ("page.html", '<p><img alt="" src="http://cdn.example/a.png"></p>'),
    "a background": ("page.html", "<p style=\"background:url('https://cdn.example/a')\"></p>"),
    "a font in a style": ("page.css", "@font-face { src: url(https://fonts.example/a.woff2) }"),
    "an imported style": ("page.css", '@import "//cdn.example/a.css";'),
}


@pytest.mark.parametrize("what", LOADING)
def test_a_page_that_loads_something_from_elsewhere_is_found(what: str, tmp_path: Path) -> None:
    name, text = LOADING[what]
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert len(from_elsewhere(tmp_path)) == 1


def test_a_link_to_elsewhere_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<a href="https://www.rfc-editor.org/">RFC</a>')

    assert from_elsewhere(tmp_path) == []


@pytest.mark.parametrize("language", ["", "zh"])
def test_scripts_and_styles_are_there(material: Path, language: str) -> None:
    vendor = material / language / "assets" / "vendor"
    home = (material / language / "index.html").read_text(encoding="utf-8")

    assert (vendor / "mermaid.min.js").stat().st_size > 1_000_000
    for name in ("book.css", "book.js", "dissector.js", "close-codes.js", "mark.svg"):
        assert (vendor / name).exists()
        assert f"assets/vendor/{name}" in home


def test_every_defect_of_the_source_has_an_address(material: Path) -> None:
    for language in ("", "zh"):
        ids = built(material / language)["reference/source-defects"].ids
        assert [name for name in ids if re.fullmatch(r"s\d+", name)] == [
            f"s{number}" for number in range(1, 88)
        ]


# What the pages show of the repository


def test_a_table_that_drifted_from_its_program_stops_the_build() -> None:
    with pytest.raises(partials.DataError, match="lacks NEW and describes OLD"):
        partials.keep_step("settings.toml", ["HOST", "OLD"], ["HOST", "NEW"])


def test_a_missing_transcript_stops_the_build(tmp_path: Path) -> None:
    class Untold:
        folder, slug, number = tmp_path, "09-untold", 9

    with pytest.raises(partials.DataError, match="make record-9"):
        partials.transcript(load(), Untold(), "en")  # type: ignore[arg-type]


def test_both_languages_are_spoken_in_every_table() -> None:
    def sentences(value: Any) -> list[dict[str, str]]:
        if isinstance(value, dict) and value.keys() == {"en", "zh"}:
            return [value]
        parts = value.values() if isinstance(value, dict) else value
        return [s for p in parts if isinstance(p, dict | list) for s in sentences(p)]

    for path in sorted((ROOT / "site" / "data").glob("*.toml")):
        for sentence in sentences(tomllib.loads(path.read_text(encoding="utf-8"))):
            assert not re.search(r"[\u4e00-\u9fff]", sentence["en"].replace("帧", "")), path
            assert re.search(r"[\u3000-\u9fff：]", sentence["zh"]), f"{path}: {sentence['zh']}"


def test_a_diff_shows_each_changed_file_once_and_names_what_was_carried() -> None:
    course = load()
    for chapter in course.chapters:
        if chapter.builds_on is None:
            continue
        text = partials.changes(course, chapter, "en")
        shown = re.findall(r'^\?\?\?\+? change "`([^`]+)`', text, flags=re.MULTILINE)
        carried = text.partition("Byte for byte")[2]

        assert sorted(shown) == sorted(set(shown))
        assert all(f"`{name}`" in carried for name in chapter.carries)
        assert not set(shown) & set(chapter.carries)


def test_code_cannot_break_out_of_its_block() -> None:
    block = partials.fence('```\n--8<-- "secret"\n', "text")

    assert block == '````text\n```\n;--8<-- "secret"\n````\n'
    assert "<b>" not in partials.wire(["→ <b>bold</b>"])


def test_the_dissector_knows_every_close_code_by_its_name() -> None:
    for language in LANGUAGES:
        script = partials.close_code_script(language)
        assert all(f'"{code}":' in script for code in frames.CLOSE_CODES)


def test_a_transcript_shows_directions_control_frames_and_what_was_typed() -> None:
    said = {
        "$ python client.py": "typed",
        "→ text 5 bytes  hello": "to-server",
        "← {": "to-client",
        "0.0 s  ← {}": "to-client",
        "1.0 s  ← ping, not answered": "control",
        "closed with 1000": None,
    }

    lines = partials.wire(said).removeprefix('<pre class="wire" tabindex="0"><code>').split("\n")

    for line, (text, kind) in zip(lines, said.items(), strict=False):
        assert line == (f'<span class="{kind}">{text}</span>' if kind else text)
