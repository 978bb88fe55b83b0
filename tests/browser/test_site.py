"""The lessons' site as its readers use it: both languages, in a real browser, offline."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, Page, expect

from course.manifest import ROOT, load
from tests.browser.browsing import NARROW
from tests.browser.built_site import PAGES, PREFIX, drawn
from tests.browser.conftest import NewPage
from tests.browser.looks import faint, overflow

pytestmark = pytest.mark.xdist_group("site")

LESSONS = [page for page in PAGES if page.startswith("chapters/")]
NAMES = {"en": "Frame by Frame", "zh": "逐帧"}
UNFOLD = "for (const box of document.querySelectorAll('details')) box.open = true"

both_languages = pytest.mark.parametrize("language", ["en", "zh"])


def address(site: str, language: str, page: str) -> str:
    return site + PREFIX[language] + page


# Every page


@both_languages
async def test_every_page_is_whole_and_fits_a_small_telephone(
    language: str, site: str, new_page: NewPage
) -> None:
    page = await new_page(viewport=NARROW)
    titles = set()

    for name in PAGES:
        response = await page.goto(address(site, language, name))
        await drawn(page)
        await page.evaluate(UNFOLD)

        assert response and response.ok, name
        assert await overflow(page) == "", name
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await expect(page.locator("article h1")).to_have_count(1)
        text = await page.locator("article").inner_text()
        assert re.findall(r"--8<--|\{ *#[\w-]+ *\}|\{ *\.\w+ *\}|\]\(\S+\.md", text) == [], name
        assert re.search(r"[\u4e00-\u9fff]{4}", text) or language == "en", name
        titles.add(await page.title())

    assert len(titles) == len(PAGES) >= 11
    assert all(title.endswith(NAMES[language]) for title in titles)


async def test_every_text_can_be_read_in_light_and_dark(site: str, new_page: NewPage) -> None:
    page = await new_page()

    for name in PAGES:
        await page.goto(address(site, "en", name))
        await page.evaluate(UNFOLD)
        for _ in range(2):
            scheme = "dark" if await is_dark(page) else "light"
            assert await faint(page) == [], (name, scheme)
            await page.locator("label[for^=__palette]:visible").click()


@both_languages
async def test_the_home_page_leads_to_every_chapter(
    language: str, site: str, new_page: NewPage
) -> None:
    page = await new_page()
    await page.goto(address(site, language, ""))
    course = load()

    await expect(page).to_have_title(NAMES[language])
    await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(NAMES[language]))
    road = page.locator(".road > ol > li")
    await expect(road).to_have_count(len(course.chapters) + len(course.planned))
    await expect(page.locator(".road > ol > li.planned")).to_have_count(len(course.planned))
    for chapter in course.chapters:
        await expect(road.nth(chapter.number - 1)).to_contain_text(chapter.title[language])

    await road.first.get_by_role("link").click()
    await expect(page).to_have_url(address(site, language, LESSONS[0]))
    await expect(page.get_by_role("heading", level=1)).to_contain_text(
        course.chapter(1).title[language]
    )


@both_languages
async def test_the_navigation_names_every_page_and_marks_this_one(
    language: str, site: str, new_page: NewPage
) -> None:
    page = await new_page()
    await page.goto(address(site, language, "chapters/02-echo/"))

    links = page.locator(".md-sidebar--primary nav a.md-nav__link:not([href^='#'])")
    targets = await links.evaluate_all("(links) => links.map((link) => link.href)")
    assert sorted(targets) == sorted(address(site, language, name) for name in PAGES)
    here = page.locator(".md-sidebar--primary a.md-nav__link--active:visible")
    assert await here.evaluate("(link) => link.href") == page.url

    contents = page.locator(".md-sidebar--secondary nav a")
    for heading in ("goal", "run", "see", "predict", "change", "how", "break", "check", "next"):
        await expect(contents.and_(page.locator(f'[href="#{heading}"]'))).to_have_count(1)


@pytest.mark.parametrize("lesson", LESSONS)
@both_languages
async def test_a_lesson_shows_code_diagrams_and_folded_answers(
    language: str, lesson: str, site: str, new_page: NewPage
) -> None:
    page = await new_page()
    await page.goto(address(site, language, lesson))
    source = (ROOT / "site" / language / f"{lesson.rstrip('/')}.md").read_text(encoding="utf-8")

    assert await page.locator(".highlight code").count() >= 8
    assert await page.locator(".highlight code .k").count() > 50  # keywords, in their colour
    await expect(page.locator("pre.wire").first).to_contain_text("$ ")  # a transcript

    await drawn(page)
    diagrams = page.locator("div.mermaid svg, svg.timeline")
    written = re.findall(r"^```mermaid", source, flags=re.MULTILINE)
    assert await diagrams.count() >= max(len(written), 1)
    for diagram in await diagrams.all():
        box = await diagram.bounding_box()
        assert box and box["width"] > 200 and box["height"] > 100
        words = await diagram.locator("text, foreignObject").all_text_contents()
        assert len(words) > 3
        assert "Syntax error" not in " ".join(words)

    question = page.locator("details.question").first
    answer = question.locator("> :not(summary)").first
    await expect(answer).to_be_hidden()
    await question.locator("summary").click()
    await expect(answer).to_be_visible()


# From one language to the other


@pytest.mark.parametrize("name", ["", "chapters/03-heartbeat/", "reference/source-defects/"])
async def test_the_language_switch_stays_on_the_page(
    name: str, site: str, new_page: NewPage
) -> None:
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
    await page.keyboard.type(words)
    results = page.locator(".md-search-result__item")
    await results.first.wait_for()
    return results


async def test_search_finds_english(site: str, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(address(site, "en", ""))

    results = await look_for(page, "handshake")
    await expect(results.first).to_contain_text("handshake")
    assert await results.count() >= 3
    await page.keyboard.press("Enter")

    await expect(page).to_have_url(re.compile(r"chapters/01-browser/\?h=handshake"))
    await expect(page.locator("article mark").first).to_have_text(re.compile("handshake", re.I))


async def test_search_finds_chinese(site: str, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(address(site, "zh", ""))

    results = await look_for(page, "心跳")
    await expect(results.locator("mark").first).to_have_text("心跳")
    assert await results.count() >= 3
    await page.keyboard.press("Enter")

    await expect(page).to_have_url(re.compile("zh/chapters/03-heartbeat/"))


@both_languages
async def test_search_finds_what_code_calls_it(language: str, site: str, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(address(site, language, ""))

    results = await look_for(page, "HEARTBEAT_SECONDS")

    targets = await results.locator("a").evaluate_all("(links) => links.map((link) => link.href)")
    assert any("reference/settings" in target for target in targets)
    assert all(target.startswith(address(site, language, "")) for target in targets)


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
    await page.goto(address(site, "zh", "chapters/01-browser/"))
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


@both_languages
async def test_the_dissector_of_a_lesson_works_as_well(
    language: str, site: str, new_page: NewPage
) -> None:
    page = await new_page()
    await page.goto(address(site, language, "chapters/01-browser/"))
    dissector = Dissector(page, language)

    await dissector.example("masked")

    await expect(dissector.verdicts).to_have_text([dissector.words["to server"]])


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
