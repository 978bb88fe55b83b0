"""The lessons' site as its readers use it: both languages, in a real browser, offline."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pytest
from playwright.async_api import Locator, Page, expect

from course.manifest import LANGUAGES, ROOT, load
from tests.browser.browsing import NARROW, WIDE, Visitors
from tests.browser.built_site import (
    PAGES,
    PREFIX,
    UNSEARCHABLE,
    WITHOUT_THEME,
    drawn,
    serving,
)
from tests.browser.conftest import NewPage
from tests.browser.looks import faint, overflow
from tests.browser.watch import Watch

LESSONS = [page for page in PAGES if page.startswith("chapters/")]
NAMES = {"en": "Frame by Frame", "zh": "逐帧"}
both_languages = pytest.mark.parametrize("language", ["en", "zh"])


def address(site: str, language: str, page: str) -> str:
    return site + PREFIX[language] + page


# Every page


class Drawing(TypedDict):
    """What is seen of one diagram; sizes in CSS pixels."""

    width: float
    height: float
    words: list[str]


@dataclass
class Seen:
    """What one page showed on a small telephone, with everything unfolded."""

    ok: bool
    title: str
    language: str
    headings: int  # of the first level
    text: str
    too_wide: str
    faint: list[str]  # in light or in dark
    code_blocks: int
    keywords: int  # in code, in their colour
    transcripts: list[str]
    timelines: list[Drawing]
    undrawn: list[str]  # the sources of the diagrams that the theme draws
    dissected: int  # fields that a frame dissector shows
    navigation: list[str]  # addresses, in order
    here: list[str]  # those that are marked as this page
    contents: list[str]  # headings that the table of contents leads to


DRAWINGS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const drawings = [...all("div.mermaid").map((host) => host.shadowRoot.querySelector("svg")),
                    ...all("svg.timeline")];
  return drawings.map((drawing) => ({
    width: drawing.getBoundingClientRect().width,
    height: drawing.getBoundingClientRect().height,
    words: [...drawing.querySelectorAll("text, foreignObject")].map((it) => it.textContent),
  }));
}"""
FACTS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  return {
    title: document.title,
    language: document.documentElement.lang,
    headings: all("article h1").length,
    text: document.querySelector("article").innerText,
    code_blocks: all(".highlight pre").length,
    keywords: all(".highlight code .k").length,
    transcripts: all("pre.wire").map((block) => block.textContent),
    undrawn: all("pre.mermaid").map((block) => block.outerHTML),
    dissected: all(".dissector .fields > div").length,
    navigation: all(".md-nav--primary a.md-nav__link:not([href^='#'])").map((link) => link.href),
    here: all(".md-nav--primary a.md-nav__link--active").map((link) => link.href),
    contents: all(".md-nav--secondary a").map((link) => link.hash),
  };
}"""


# The header is laid out by the theme's script; other tests use it.
READY = """() => {
  document.querySelector(".md-header").remove();
  for (const box of document.querySelectorAll("details")) box.open = true;
}"""
# A page that is light in one language is dark in the other, and its neighbour the other way.
SCHEME = {"en": ("default", "slate"), "zh": ("slate", "default")}


async def look_at(page: Page, where: str, scheme: str) -> Seen:
    response = await page.goto(where)
    await page.evaluate(READY)
    await page.evaluate("(name) => { document.body.dataset.mdColorScheme = name; }", scheme)
    pale = await faint(page)
    return Seen(
        ok=bool(response and response.ok),
        too_wide=await overflow(page),
        faint=pale,
        timelines=await page.evaluate(DRAWINGS),
        **await page.evaluate(FACTS),
    )


@dataclass
class Survey:
    site: str
    pages: dict[str, dict[str, Seen]]  # language → page → what was seen
    watch: Watch

    def all(self) -> Iterator[tuple[str, str, Seen]]:
        """Language, page and what was seen, for every page in both languages."""
        for language, pages in self.pages.items():
            for name, seen in pages.items():
                yield language, name, seen


@pytest.fixture(scope="module")
async def survey(visitors: Visitors, site_folder: Path) -> Survey:
    """A look at every page, once, without the theme's script, which is most of a visit's work.

    It is the same on every page: the tests of the home page, of search and of diagrams have it.
    """
    watch = Watch()
    page = await visitors.arrive(viewport=NARROW)
    watch.begin(page)
    with serving(site_folder, WITHOUT_THEME) as site:
        pages = {
            language: {
                name: await look_at(
                    page, address(site, language, name), SCHEME[language][number % 2]
                )
                for number, name in enumerate(PAGES)
            }
            for language in LANGUAGES
        }
        watch.end(page)
        await visitors.leave(page)
    return Survey(site, pages, watch)


async def test_no_page_complains_or_asks_elsewhere(survey: Survey) -> None:
    assert survey.watch.problems() == []
    assert len(survey.watch.addresses) > 10 * len(PAGES)


async def test_every_page_is_there_in_its_language(survey: Survey) -> None:
    for language, name, seen in survey.all():
        assert seen.ok, (language, name)
        assert seen.language == language, (language, name)
        assert seen.headings == 1, (language, name)
        assert seen.title.endswith(NAMES[language]), (language, name)
        assert re.search(r"[\u4e00-\u9fff]{4}", seen.text) or language == "en", (language, name)
    for pages in survey.pages.values():
        assert len({seen.title for seen in pages.values()}) == len(PAGES) >= 11


async def test_no_page_scrolls_sideways_on_a_small_telephone(survey: Survey) -> None:
    assert [(it, name, seen.too_wide) for it, name, seen in survey.all() if seen.too_wide] == []


async def test_the_table_of_symptoms_is_stacked_on_a_small_telephone(
    site: str, new_page: NewPage
) -> None:
    """Sentences in three columns would have to be pushed to and fro; a card is read downwards."""
    page = await new_page(viewport=NARROW)
    await page.goto(f"{site}/reference/troubleshooting/")
    table = page.locator(".stacked table").first
    await expect(table.locator("tbody tr")).to_have_count(16)

    hidden = await table.evaluate(
        "(it) => it.parentElement.scrollWidth - it.parentElement.clientWidth"
    )
    cells = await table.locator("tbody tr").first.locator("td").all()
    boxes = [await cell.bounding_box() for cell in cells]

    assert hidden <= 0
    assert len({box["x"] for box in boxes if box}) == 1
    await expect(cells[1].locator(".label")).to_be_visible()
    await page.set_viewport_size(WIDE)
    await expect(cells[1].locator(".label")).to_be_hidden()


async def test_every_text_can_be_read_in_light_and_dark(survey: Survey) -> None:
    assert [(it, name, seen.faint) for it, name, seen in survey.all() if seen.faint] == []


async def test_no_markdown_is_left_as_it_was_written(survey: Survey) -> None:
    marks = re.compile(r"--8<--|\{ *#[\w-]+ *\}|\{ *\.\w+ *\}|\]\(\S+\.md|^(```|\?\?\?|!!!)", re.M)
    assert [
        (it, name, marks.findall(seen.text))
        for it, name, seen in survey.all()
        if marks.search(seen.text)
    ] == []


async def test_every_lesson_shows_programs_and_a_transcript(survey: Survey) -> None:
    for language, name, seen in survey.all():
        if name in LESSONS:
            assert seen.code_blocks >= 8, (language, name)
            assert seen.keywords > 50, (language, name)
            assert seen.transcripts, (language, name)
            assert all("$ " in transcript for transcript in seen.transcripts), (language, name)


async def test_every_lesson_has_a_picture(survey: Survey) -> None:
    for language, name, seen in survey.all():
        source = ROOT / "site" / language / f"{name.rstrip('/') or 'index'}.md"
        written = len(re.findall(r"^```mermaid", source.read_text(encoding="utf-8"), re.M))
        assert len(seen.undrawn) >= written, (language, name)
        assert seen.timelines or seen.undrawn or name not in LESSONS, (language, name)
        assert_shown(seen.timelines)


@both_languages
async def test_every_diagram_is_drawn(
    language: str, survey: Survey, site_folder: Path, new_page: NewPage
) -> None:
    """All diagrams of a language, put on one page, which the theme draws as any other."""
    undrawn = [it for seen in survey.pages[language].values() for it in seen.undrawn]

    def diagrams(html: bytes) -> bytes:
        article = re.compile(rb"(<article[^>]*>).*?(</article>)", re.DOTALL)
        return article.sub(lambda it: it[1] + "\n".join(undrawn).encode() + it[2], html)

    page = await new_page(viewport=NARROW)
    with serving(site_folder, {**UNSEARCHABLE, "grading/index.html": diagrams}) as site:
        await page.goto(address(site, language, "reference/grading/"))
        await drawn(page)

    drawings = await page.evaluate(DRAWINGS)
    assert len(drawings) == len(undrawn) > len(LESSONS)
    assert_shown(drawings)
    assert await overflow(page) == ""


def assert_shown(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        assert drawing["width"] > 200
        assert drawing["height"] > 100
        assert len(drawing["words"]) > 3, drawing["words"]
        assert "Syntax error" not in " ".join(drawing["words"]), drawing["words"]


async def test_a_dissector_stands_where_frames_are_taught(survey: Survey) -> None:
    having = {(language, name) for language, name, seen in survey.all() if seen.dissected}
    pages = ("chapters/01-browser/", "reference/frame-dissector/")
    assert having == {(language, name) for language in LANGUAGES for name in pages}


async def test_the_navigation_names_every_page_and_marks_this_one(survey: Survey) -> None:
    for language, name, seen in survey.all():
        everywhere = [address(survey.site, language, other) for other in PAGES]
        assert sorted(seen.navigation) == sorted(everywhere), (language, name)
        assert set(seen.here) == {address(survey.site, language, name)}, (language, name)


async def test_every_lesson_has_the_same_table_of_contents(survey: Survey) -> None:
    steps = ["goal", "run", "see", "predict", "change", "how", "break", "check", "next"]
    for language, name, seen in survey.all():
        if name in LESSONS:
            contents = dict.fromkeys(heading.removeprefix("#") for heading in seen.contents)
            assert [step for step in contents if step in steps] == steps, (language, name)


# Getting about


@both_languages
async def test_the_home_page_leads_to_every_chapter(
    language: str, site: str, new_page: NewPage
) -> None:
    page = await new_page()
    await page.goto(address(site, language, ""))
    course = load()

    await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(NAMES[language]))
    road = page.locator(".road > ol > li")
    await expect(road).to_have_count(len(course.chapters))
    for chapter in course.chapters:
        await expect(road.nth(chapter.number - 1)).to_contain_text(chapter.title[language])

    await road.nth(2).get_by_role("link").click()
    await expect(page).to_have_url(address(site, language, LESSONS[2]))
    await expect(page.get_by_role("heading", level=1)).to_contain_text(
        course.chapter(3).title[language]
    )


async def test_an_answer_is_folded_until_you_ask(site: str, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(address(site, "en", "chapters/03-heartbeat/"))
    question = page.locator("details.question").first
    answer = question.locator("> :not(summary)").first
    await expect(answer).to_be_hidden()

    await question.locator("summary").press("Enter")

    await expect(answer).to_be_visible()


# From one language to the other


async def test_the_language_switch_stays_on_the_page(site: str, new_page: NewPage) -> None:
    name = "reference/settings/"
    page = await new_page()
    await page.goto(address(site, "en", name))

    await page.get_by_role("button", name="Select language").hover()
    await page.get_by_role("link", name="中文", exact=True).click()
    await expect(page).to_have_url(address(site, "zh", name))
    await expect(page.locator("html")).to_have_attribute("lang", "zh")

    await page.get_by_role("button", name="选择当前语言").hover()
    await page.get_by_role("link", name="English", exact=True).click()
    await expect(page).to_have_url(address(site, "en", name))
    await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_the_language_switch_stays_at_the_heading(site: str, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(address(site, "en", "chapters/03-heartbeat/"))
    await page.locator(".md-sidebar--secondary a[href='#check']").click()
    await expect(page).to_have_url(re.compile("#check$"))

    await page.get_by_role("button", name="Select language").hover()
    await page.get_by_role("link", name="中文", exact=True).click()

    await expect(page).to_have_url(address(site, "zh", "chapters/03-heartbeat/") + "#check")
    await expect(page.locator("h2#check")).to_be_in_viewport()


# Search


async def look_for(page: Page, words: str) -> Locator:
    """Search as a reader does, with the keyboard; the results, when there are some."""
    await page.keyboard.press("/")
    await expect(page.locator(".md-search__input")).to_be_focused()
    await page.keyboard.insert_text(words)  # all at once, as from an input method
    await page.keyboard.press("End")  # the theme looks when a key comes up
    results = page.locator(".md-search-result__item")
    await results.first.wait_for()
    return results


async def test_search_finds_english(whole_site: str, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(address(whole_site, "en", ""))

    results = await look_for(page, "handshake")
    await expect(results.first).to_contain_text("handshake")
    assert await results.count() >= 3
    await page.keyboard.press("Enter")

    await expect(page).to_have_url(re.compile(r"chapters/01-browser/\?h=handshake"))
    await expect(page.locator("article mark").first).to_have_text(re.compile("handshake", re.I))


async def test_search_finds_chinese(whole_site: str, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(address(whole_site, "zh", ""))

    results = await look_for(page, "心跳")
    await expect(results.locator("mark").first).to_have_text("心跳")
    assert await results.count() >= 3
    await page.keyboard.press("Enter")

    await expect(page).to_have_url(re.compile("zh/chapters/03-heartbeat/"))


TO_ITS_END = "(box) => box.scrollTo(0, box.scrollHeight)"
AT_ONCE = 10  # results that the search of the theme shows at first
WORDS = {"en": ("masking", "HEARTBEAT_SECONDS"), "zh": ("掩码", "masking", "HEARTBEAT_SECONDS")}


@both_languages
async def test_search_finds_every_page_that_says_a_word(
    language: str, whole_site: str, site_folder: Path, new_page: NewPage
) -> None:
    page = await new_page()
    index = site_folder / PREFIX[language] / "search" / "search_index.json"
    sections = json.loads(index.read_text(encoding="utf-8"))["docs"]

    for word in WORDS[language]:
        saying = {
            address(whole_site, language, section["location"].partition("#")[0])
            for section in sections
            if word.lower() in re.sub("\\u200b", "", section["title"] + section["text"]).lower()
        }
        await page.goto(address(whole_site, language, ""))
        results = await look_for(page, word)

        for shown in range(AT_ONCE, len(saying), AT_ONCE):  # more of them when you come to the end
            await expect(results).to_have_count(shown)
            await page.locator(".md-search__scrollwrap").evaluate(TO_ITS_END)
        await expect(results).to_have_count(len(saying))
        links = await results.locator("a").evaluate_all("(all) => all.map((link) => link.href)")
        assert {re.sub(r"[?#].*", "", link) for link in links} == saying, word


# The two palettes


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_the_palette_follows_the_system_until_you_choose(
    dark: bool, site: str, new_page: NewPage
) -> None:
    page = await new_page(dark=dark)
    await page.goto(address(site, "en", ""))

    assert await is_dark(page) == dark

    await page.locator(f"label[title='Switch to {'light' if dark else 'dark'}']").click()
    assert await is_dark(page) != dark
    await page.goto(address(site, "zh", "reference/settings/"))
    assert await is_dark(page) != dark  # both languages remember it


async def is_dark(page: Page) -> bool:
    """Whether the page is light text on dark paper, and says so."""
    scheme = await page.locator("body").get_attribute("data-md-color-scheme")
    brightness: float = await page.evaluate(
        """() => {
          const style = getComputedStyle(document.body);
          const sum = (color) => color.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0);
          return sum(style.backgroundColor) - sum(style.color);
        }"""
    )
    assert (scheme == "slate") == (brightness < 0)
    return brightness < 0


# The frame dissector


DISSECTOR = {
    "en": {
        "label": "The bytes of one or more frames, in hexadecimal",
        "masked": "text, from a client",
        "close": "close 1000",
        "fragments": "fragments, a ping between",
        "to server": "→ client to server · text · 5 bytes",
        "unmasked": "unmasked",
        "quoted": "as text; “Hello”",
        "code": "close code 1000 · ",
        "not hex": "“zz” is no hexadecimal byte",
        "odd": "hexadecimal digits come in pairs; one is missing",
        "short": "incomplete: 1 byte is missing",
    },
    "zh": {
        "label": "一个或几个帧的字节，十六进制",
        "masked": "文本，来自客户端",
        "close": "关闭 1000",
        "fragments": "分片，中间插一个 ping",
        "to server": "→ 客户端到服务器 · 文本 · 5 字节",
        "unmasked": "去掉掩码",
        "quoted": "文本；“Hello”",
        "code": "关闭码 1000 · ",
        "not hex": "“zz”不是十六进制字节",
        "odd": "十六进制数字成对出现，这里少了一个",
        "short": "不完整，还差 1 字节",
    },
}


class Dissector:
    def __init__(self, page: Page, language: str) -> None:
        self.page = page
        self.words = DISSECTOR[language]
        self.box = page.locator(".dissector")
        self.input = page.get_by_role("textbox", name=self.words["label"])
        self.verdicts = self.box.locator(".verdict")
        self.problems = self.box.locator(".problem")
        self.fields = self.box.locator(".fields > div")

    async def example(self, name: str) -> None:
        await self.box.get_by_role("button", name=self.words[name], exact=True).click()

    async def labelled(self) -> str:
        """All bytes that a label stands beside, in order: those that are on the wire."""
        labelled = self.box.locator(".fields dt:is(.to-server, .to-client) code")
        return " ".join(await labelled.all_text_contents())


@pytest.fixture
async def dissector(language: str, site: str, new_page: NewPage) -> Dissector:
    page = await new_page()
    await page.goto(address(site, language, "reference/frame-dissector/"))
    return Dissector(page, language)


@both_languages
async def test_the_dissector_names_every_byte_of_an_example(
    language: str, dissector: Dissector
) -> None:
    words = dissector.words

    await dissector.example("masked")
    await expect(dissector.verdicts).to_have_text([words["to server"]])
    rows = await dissector.fields.all_inner_texts()
    assert [row.split()[0] for row in rows[:2]] == ["81", "85"]
    assert any("37 fa 21 3d" in row for row in rows)
    assert any("48 65 6c 6c 6f" in row and words["unmasked"] in row for row in rows)
    await expect(dissector.fields.last).to_contain_text(words["quoted"])

    await dissector.example("close")
    await expect(dissector.fields.filter(has_text=words["code"])).to_have_count(1)

    await dissector.example("fragments")
    await expect(dissector.verdicts).to_have_count(3)
    await expect(dissector.problems).to_have_count(0)


@pytest.mark.parametrize("language", ["en"])
async def test_no_byte_of_any_example_goes_without_a_label(dissector: Dissector) -> None:
    examples = dissector.box.get_by_role("group", name="Examples").get_by_role("button")
    assert await examples.count() >= 8

    for example in await examples.all():
        await example.click()
        bytes_given = (await dissector.input.input_value()).split()
        labelled = await dissector.labelled()
        labelled = re.sub(r"… and (\d+) more", lambda more: "xx " * int(more[1]), labelled)
        name = await example.text_content()
        assert len(labelled.split()) == len(bytes_given), name
        assert await dissector.problems.count() == (1 if (name or "").startswith("wrong") else 0)


@both_languages
async def test_the_dissector_says_what_it_cannot_read(language: str, dissector: Dissector) -> None:
    words = dissector.words

    for typed, problem in (("81 zz", "not hex"), ("81 8", "odd"), ("81 05 48 65 6c 6c", "short")):
        await dissector.input.fill(typed)
        await expect(dissector.problems).to_have_text([words[problem]])

    await dissector.input.fill("81 05 48 65 6c 6c 6f")
    await expect(dissector.problems).to_have_count(0)


@pytest.mark.parametrize("language", ["en"])
async def test_a_bit_can_be_flipped(dissector: Dissector) -> None:
    await dissector.input.fill("81 05 48 65 6c 6c 6f")
    fin = dissector.box.get_by_role("button", name=re.compile("FIN"))
    await expect(fin).to_have_attribute("aria-pressed", "true")

    await fin.click()

    await expect(dissector.input).to_have_value("01 05 48 65 6c 6c 6f")
    await expect(fin).to_have_attribute("aria-pressed", "false")
    await expect(dissector.fields.first).to_contain_text("FIN = 0")


@pytest.mark.parametrize("language", ["en"])
async def test_what_is_pasted_into_the_dissector_stays_text(dissector: Dissector) -> None:
    markup = "<img src=x onerror='window.evil=1'>"

    await dissector.input.fill(markup)
    await expect(dissector.problems).to_contain_text("<img")
    await dissector.input.fill(f"81 {len(markup):02x} {markup.encode().hex(' ')}")
    await expect(dissector.fields.last).to_contain_text(markup)

    assert await dissector.box.locator("img").count() == 0
    assert await dissector.page.evaluate("window.evil") is None


# What the source got wrong


@pytest.mark.parametrize(
    ("language", "label", "count"), [("en", "chapter 3", "shown"), ("zh", "第 3 章", "共 ")]
)
async def test_defects_can_be_filtered_by_chapter(
    language: str, label: str, count: str, site: str, new_page: NewPage
) -> None:
    page = await new_page()
    await page.goto(address(site, language, "reference/source-defects/"))
    shown, bar = page.locator(".defect:visible"), page.locator(".filter")
    everything = await page.locator(".defect").count()
    assert everything == await shown.count() == 87

    button = bar.get_by_role("button", name=label, exact=True)
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true")
    await expect(bar.locator("output")).to_contain_text(count)
    some = await shown.count()
    assert 0 < some < everything
    assert str(some) in (await bar.locator("output").text_content() or "")
    assert await shown.evaluate_all(
        "(entries) => entries.every((entry) => entry.dataset.chapters.split(' ').includes('3'))"
    )

    await page.evaluate("location.hash = 's1'")  # a link to one that is filtered out
    await expect(page.locator("#s1")).to_be_visible()
