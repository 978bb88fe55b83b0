"""What the pages show of the repository, as Markdown for both languages.

Each partial is one file under `build/generated/LANGUAGE/`; a page includes it as a snippet. Nothing
here is typed twice: programs, checks and close codes are read where they are defined, and the
tables of `site/data/` hold only what no program can say: a sentence in each language.

    NN-slug/run.md  try.md  files.md  diff.md  checks.md  transcript.md
    map.md  settings.md  programs.md  close-codes.md  glossary.md  source-defects.md  broken.md
    balance.md  storm.md  ladder.md  hook-counts.md
    rollout.md  choices.md
    bench-fanout.md  bench-memory.md  bench-emit.md
    capacity-measured.md  capacity-bus.md  capacity-limits.md
    capacity-traffic.md  capacity-instances.md
    labs.md  findings.md  diagnosis.md
"""

from __future__ import annotations

import ast
import html
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

from course import capacity_page, catalogue, diff, frames, plots, rollout, storm
from course.doctor import report
from course.labs import catalogue as labs
from course.manifest import LANGUAGES, ROOT, Chapter, Course, load
from course.run import over_tls, second_instance

GENERATED = ROOT / "build" / "generated"
DATA = ROOT / "site" / "data"
ADDRESS = {"http": "http://127.0.0.1:8080/", "ws": "ws://127.0.0.1:8080/ws"}
ADDRESS |= second_instance("8080") | over_tls("8443")
# A diff is no answer to a search, and all of them would be half of what a reader's browser indexes.
UNSEARCHED = '.diff data-search-exclude=""'
FOLD_ABOVE = 120  # lines of one file's diff: a longer one is folded, and so is a whole new file
HOOKS = ("source", "ours")  # as `make hooks` names them
COMPACT: dict[str, Any] = {"separators": (",", ":")}
RFC = "https://www.rfc-editor.org/rfc/rfc"


class DataError(Exception):
    """A table in `site/data/` and the program it describes have drifted apart."""


def generate() -> None:
    """Write every partial of both languages. Raises DataError, CatalogueError."""
    course = load()
    for language in LANGUAGES:
        for chapter in course.chapters:
            for name, made in PER_CHAPTER.items():
                write(language, f"{chapter.slug}/{name}.md", made(course, chapter, language))
        for name, whole in WHOLE.items():
            write(language, f"{name}.md", whole(course, language))


def write(language: str, name: str, text: str) -> None:
    """Write one partial, only if it changed: what watches the files need not build again."""
    path = GENERATED / language / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = text.strip("\n") + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


@cache
def data(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8"))


def vocabulary(language: str) -> dict[str, str]:
    """The words that the partials themselves say."""
    return {name: word[language] for name, word in data("words").items()}


# One chapter


def run(course: Course, chapter: Chapter, language: str) -> str:
    by_hand = f"cd chapters/{chapter.slug} && {chapter.secrets_by_hand}{chapter.launch}"
    return fence(f"make chapter-{chapter.number}", "sh") + "\n" + fence(by_hand, "sh")


def suggestions(course: Course, chapter: Chapter, language: str) -> str:
    lines = (suggestion[language].format(**ADDRESS) for suggestion in chapter.suggestions)
    return fence("\n".join(re.sub(r" {2,}", "   ", line) for line in lines), ".text .wrap")


def files(course: Course, chapter: Chapter, language: str) -> str:
    """The chapter's files, each with the first sentence it says about itself."""
    words = vocabulary(language)
    rows = []
    for name in diff.files(chapter.folder):
        text = (chapter.folder / name).read_text(encoding="utf-8")
        rows.append((f"`{name}`", escape(first_sentence(name, text)), str(text.count("\n"))))
    return table((words["file"], words["about"], words["lines"]), rows, "<<:")


def first_sentence(name: str, text: str) -> str:
    """What a file says first: of a Python file the docstring, of a page its title."""
    if name.endswith(".py"):
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    title = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
    return html.unescape(title[1]).strip() if title else ""


def changes(course: Course, chapter: Chapter, language: str) -> str:
    """The lesson as a diff: what changed, what is new, and what was carried over untouched."""
    words = vocabulary(language)
    base = course.base(chapter)
    if base is None:
        return f"{words['base']}\n\n{files(course, chapter, language)}"
    others = [course.chapter(number) for number in chapter.also]
    found = diff.changes(chapter, base.folder, [other.folder for other in others])
    after = diff.files(chapter.folder)
    before = {name for origin in (base, *others) for name in diff.files(origin.folder)}
    before -= {name for name in before - set(diff.files(base.folder)) if name not in after}

    def kind_of(name: str) -> str:
        return "new" if name not in before else "gone" if name not in after else "changed"

    def reading_order(name: str) -> tuple[bool, int, bool, str]:
        """The program first, its page last; what changed, what is new, what is gone."""
        kind = ("changed", "new", "gone").index(kind_of(name))
        return name.endswith(".html"), kind, name != "server.py", name

    def block_of(name: str) -> str:
        kind, text = kind_of(name), found[name]
        lines = text.splitlines()[2:]  # without the two names, which the title says
        added, removed = (sum(line[:1] == sign for line in lines) for sign in "+-")
        opening = "???+" if kind == "changed" and len(lines) <= FOLD_ABOVE else "???"
        title = f"`{name}` · {words[kind]} · +{added} −{removed}"
        block = fence("\n".join(lines), UNSEARCHED).replace("\n", "\n    ").rstrip(" ")
        return f'{opening} change "{title}"\n\n    {block}'

    parts, rest = [], dict(found)
    for number, step in enumerate(chapter.steps, 1):
        lines = [line for name in step.files for line in rest.pop(name).splitlines()[2:]]
        added = sum(line[:1] == "+" for line in lines)
        title = words["step"].format(number, len(chapter.steps), step.title[language], added)
        parts += [title, *map(block_of, step.files)]
    if chapter.steps and rest:
        parts.append(words["besides"])
    parts += map(block_of, sorted(rest, key=reading_order))
    same = [name for name in after if name in before and name not in found]
    for origin in (base, *others):
        here = [name for name in same if _alike(chapter, origin, name)]
        same = [name for name in same if name not in here]
        if here:
            parts.append(words["as_before"].format(origin.number, joined(here, language)))
    return "\n\n".join(parts)


def _alike(chapter: Chapter, other: Chapter, name: str) -> bool:
    theirs = other.folder / name
    return theirs.exists() and theirs.read_bytes() == (chapter.folder / name).read_bytes()


def checks(course: Course, chapter: Chapter, language: str) -> str:
    """The behaviours the grader asks of this chapter, new ones in full."""
    words = vocabulary(language)
    modules = catalogue.modules()
    parts = []
    for name in chapter.adds:
        found = modules[name].checks
        count = words["check"] if len(found) == 1 else words["checks"].format(len(found))
        lines = [f"**`{name}`** · {count}", ""]
        for check in found:
            sentence = catalogue.behaviour(check.id, language)
            source = source_link(check.source, language)
            lines.append(f"- {escape(sentence)} `{check.name}` · {source}")
        parts.append("\n".join(lines))
    kept = [name for name in course.checks(chapter) if name not in chapter.adds]
    if kept:
        parts.append(words["kept"].format(joined(kept, language)))
    if chapter.retires:
        parts.append(words["retired"].format(joined(chapter.retires, language)))
    return "\n\n".join(parts)


def source_link(source: str, language: str) -> str:
    """Where a check comes from, with its RFC sections and the wire contract as links."""
    contract = vocabulary(language)["contract"]

    def to_contract(found: re.Match[str]) -> str:
        part = f"#chapter-{found['chapter']}" if found["chapter"] else "#everywhere"
        # What follows the name is written in English only; the link leads to it in either language.
        said = found[0] if language == "en" else contract
        return f"[{said}](../reference/wire-contract.md{part})"

    source = re.sub(r"RFC (\d+) §([\d.]*\d)", rf"[\g<0>]({RFC}\1#section-\2)", source)
    return re.sub(r"[Ww]ire contract(, chapter (?P<chapter>\d+)|: [^·]+)?", to_contract, source)


def transcript(course: Course, chapter: Chapter, language: str) -> str:
    """What was recorded, each line in the colour of its direction."""
    path = chapter.folder / "transcript.txt"
    if not path.exists():
        raise DataError(f"chapters/{chapter.slug} has no transcript: make record-{chapter.number}")
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    return wire(lines)


def wire(lines: Iterable[str]) -> str:
    """Terminal output in which → (to the server), ← (to the client) and $ (typed) stand out."""
    kinds = {"→": "to-server", "←": "to-client", "$": "typed"}
    marked = []
    for line in lines:
        found = re.match(r"(?:[\d.]+ s)? *([→←$]) *(?:(ping|pong|close)\b)?", line)
        kind = found and ("control" if found[2] else kinds[found[1]])
        text = html.escape(line, quote=False)
        marked.append(f'<span class="{kind}">{text}</span>' if kind else text)
    body = "\n".join(marked).replace("--8<--", "-&#45;8<--")
    return f'<pre class="wire" tabindex="0"><code>{body}\n</code></pre>'


# The whole course


def road(course: Course, language: str) -> str:
    """The map: every chapter, with its goal, in the order of the road."""
    minutes = vocabulary(language)["minutes"]
    lines = [
        f"{chapter.number}.  **[{chapter.title[language]}](chapters/{chapter.slug}.md)** "
        f"<small>{minutes.format(chapter.minutes)}</small>\n"
        f"    <span>{chapter.goal[language]}</span>"
        for chapter in course.chapters
    ]
    return '<div class="road" markdown>\n\n' + "\n".join(lines) + "\n\n</div>"


def balance(course: Course, language: str) -> str:
    """What Socket.IO saves and costs: lines of Python, and bytes of the same conversation."""
    words = data("balance")
    for chapter in course.chapters:
        base = course.base(chapter)
        if chapter.dialect == "socketio" and base and base.dialect == "native":
            break
    else:
        return ""
    changed = {
        name: text.splitlines()
        for name, text in diff.changes(chapter, base.folder).items()
        if name.endswith(".py")
    }

    def count(sign: str, without: tuple[str, ...] = ()) -> str:
        lines = (line for name in changed if name not in without for line in changed[name])
        return str(sum(line[:1] == sign and line[:3] != sign * 3 for line in lines))

    clients = ("client.py", "raw.py")
    before, after = conversation(base), conversation(chapter)
    rows = [
        (words["lines_gone"][language], count("-"), ""),
        (words["server_gone"][language], count("-", clients), ""),
        (words["lines_new"][language], "", count("+")),
        (words["server_new"][language], "", count("+", clients)),
    ]
    for key, index in (("sent", 0), ("received", 1)):
        rows.append((words[key][language], *(str(sum(said[index])) for said in (before, after))))
    heading = (words["what"][language], base.title[language], chapter.title[language])
    features = [(entry[language], words["who"][entry["who"]][language]) for entry in words["row"]]
    second = (words["feature"][language], words["whose"][language])
    return table(heading, rows, "<::") + "\n\n" + table(second, features, "<<")


def conversation(chapter: Chapter) -> tuple[list[int], list[int]]:
    """The bytes of each message sent and received in the transcript's talk with client.py.

    Both chapters are told the same five things; what is said before them does not count. An ack is
    told from an event by being an object.
    """
    demo = next(demo for demo in chapter.demos if demo.command == "python client.py" and demo.say)
    printed = (chapter.folder / "transcript.txt").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in printed if line.startswith('{"event": "message"')]
    received = [event["data"] for event in events]
    if chapter.dialect == "native":
        received = [message for message in received if message["type"] != "welcome"]
        texts = [json.dumps(message, ensure_ascii=False, **COMPACT) for message in received]
        return [len(line.encode()) for line in demo.say], [len(text.encode()) for text in texts]
    sent = [f"42{number}{line}" for number, line in enumerate(demo.say)]
    acks = iter(range(len(demo.say)))
    texts = [
        f"42{json.dumps(message, **COMPACT)}"
        if isinstance(message, list)
        else f"43{next(acks)}[{json.dumps(message, **COMPACT)}]"
        for message in received
    ]
    return [len(text.encode()) for text in sent], [len(text.encode()) for text in texts]


def settings(course: Course, language: str) -> str:
    """Every variable a chapter's settings.py reads, with the default that program really has."""
    words, known = vocabulary(language), data("settings")["setting"]
    first: dict[str, tuple[int, Any]] = {}
    for chapter in course.chapters:
        for name, value in defaults(chapter.folder / "settings.py").items():
            first.setdefault(name, (chapter.number, value))
    keep_step("settings.toml [setting]", known, first)
    rows = []
    for name, (number, value) in first.items():
        parts = value if isinstance(value, list) else [value]
        shown = " ".join(f"`{part}`" for part in parts if part != "") or "–"
        rows.append((f"`{name}`", shown, str(number), known[name][language]))
    return table(
        (words["setting"], words["default"], words["from"], words["meaning"]), rows, "<<-<"
    )


@cache
def defaults(path: Path) -> dict[str, Any]:
    """The settings of one program, when nothing is set: run as the program would be, then asked."""
    code = (
        "import json, runpy, sys\n"
        "found = runpy.run_path(sys.argv[1])\n"
        "print(json.dumps({n: v for n, v in found.items() if n.isupper()}))"
    )
    names = re.findall(r"\b[A-Z][A-Z_]+\b", path.read_text(encoding="utf-8"))
    clean = {name: value for name, value in os.environ.items() if name not in names}
    asked = subprocess.run(
        [sys.executable, "-c", code, path.name],
        cwd=path.parent,
        env={**clean, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(asked.stdout))


def programs(course: Course, language: str) -> str:
    """The variables that single programs read for themselves, such as a client's URL."""
    words, known = vocabulary(language), data("settings")["program"]
    found: dict[str, dict[str, None]] = {}
    for chapter in course.chapters:
        for path in sorted(chapter.folder.glob("*.py")):
            if path.name != "settings.py":
                text = path.read_text(encoding="utf-8")
                for name in re.findall(r'environ\.get\("([A-Z_]+)"', text):
                    found.setdefault(name, {})[path.name] = None
    keep_step("settings.toml [program]", known, found)
    rows = [
        (f"`{name}`", joined(names, language), known[name][language])
        for name, names in found.items()
    ]
    return table((words["setting"], words["file"], words["meaning"]), rows, "<<<")


def close_codes(course: Course, language: str) -> str:
    """Two tables: codes that travel, and those that an end only writes into its own event."""
    words = vocabulary(language)
    heading = (words["code"], words["name"], words["when"], words["client"])
    rows: dict[str, list[tuple[str, ...]]] = {"wire": [], "never": []}
    for code, entry in close_code_table().items():
        says = (entry["when"][language], entry["client"][language])
        rows[entry["sent"]].append((f"`{code}`", entry["name"][language], *says))
    return "\n\n".join(
        f"## {words[sent]} {{#{sent}}}\n\n{table(heading, rows[sent], '<<<<')}" for sent in rows
    )


def close_code_table() -> dict[int, dict[str, Any]]:
    """Every close code with its names, in order. Raises DataError."""
    known = data("close_codes")["code"]
    keep_step("close_codes.toml", known, {str(code) for code in frames.CLOSE_CODES})
    for code, name in frames.CLOSE_CODES.items():
        known[str(code)]["name"]["en"] = name
    return {code: known[str(code)] for code in sorted(frames.CLOSE_CODES)}


def close_code_script(language: str) -> str:
    """The same names for the frame dissector."""
    names = {code: entry["name"][language] for code, entry in close_code_table().items()}
    return f"window.CLOSE_CODES = {json.dumps(names, ensure_ascii=False, indent=1)};\n"


def glossary(course: Course, language: str) -> str:
    """The terms, each with the other language's word below it, in one order for both languages."""
    words, terms = vocabulary(language), data("glossary")["term"]
    other = {"en": "zh", "zh": "en"}[language]
    rows = []
    for term in sorted(terms, key=lambda term: str(term["en"]).casefold()):
        name = f"**{escape(term[language])}**{{ #{term['id']} }}"
        rows.append((f"{name}<br><small>{escape(term[other])}</small>", term["is"][language]))
    return table((words["term"], words["sentence"]), rows, "<<")


def source_defects(course: Course, language: str) -> str:
    """What the source got wrong: one heading a defect, in the groups the audit made."""
    tables = data("source_defects")
    numbers = [defect["n"] for defect in tables["defect"]]
    if numbers != list(range(1, len(numbers) + 1)):
        raise DataError("source_defects.toml: the numbers are not 1, 2, 3 …, each once, in order")
    parts = ['<div class="defects" markdown>']
    for group in tables["group"]:
        parts.append(f"## {group['title'][language]} {{#{group['id']}}}")
        parts.append(group["about"][language])
        members = (d for d in tables["defect"] if d["group"] == group["id"])
        parts.extend(source_defect(defect, language) for defect in members)
    return "\n\n".join([*parts, "</div>"])


def source_defect(defect: dict[str, Any], language: str) -> str:
    words, number, severity = vocabulary(language), defect["n"], defect["severity"]
    chapters = [str(chapter) for chapter in defect["chapters"]]
    where = words[("no_chapter", "one_chapter", "many_chapters")[min(len(chapters), 2)]]
    facts = [
        f'<span class="grade grade-{severity}">{words[severity]}</span>',
        where.format(words["comma"].join(chapters)),
        words[defect["evidence"]],
        f"{words['source']} {defect['lines']}",
    ]
    colon = words["colon"]
    return "\n\n".join(
        (
            f'<div class="defect" data-chapters="{" ".join(chapters)}" markdown>',
            f"### S{number} · {defect['title'][language]} {{#s{number}}}",
            " · ".join(facts) + "\n{ .facts }",
            f"**{words['wrong']}**{colon}{defect['wrong'][language].strip()}",
            f"**{words['right']}**{colon}{defect['right'][language].strip()}",
            "</div>",
        )
    )


def broken(course: Course, language: str) -> str:
    """The programs that are wrong on purpose, and the checks that must say so."""
    words = vocabulary(language)
    rows = []
    for path in sorted((ROOT / "tests" / "broken").glob("*.toml")):
        for program in tomllib.loads(path.read_text(encoding="utf-8"))["program"]:
            # Why it is wrong is written in English only, where the fault is.
            why = [escape(program["why"])] if language == "en" else []
            rows.append((f"`{program['name']}`", *why, joined(program["fails"], language)))
    about = [words["fault"]] if language == "en" else []
    heading = (words["program"], *about, words["caught"])
    return table(heading, rows, "<" * len(heading))


def ladder(course: Course, language: str) -> str:
    """What each rung of the ladder of promises lost, repeated and mixed up, as it was measured."""
    words = vocabulary(language)
    measured = json.loads((DATA / "ladder.json").read_text(encoding="utf-8"))
    counts = ("lost", "duplicated", "reordered", "connections")
    rows = []
    for rung, found in measured["rungs"].items():
        numbers = (f"**{found[name]}**" if found[name] else "0" for name in counts)
        rows.append((words[rung.replace("-", "_")], *numbers))
    heading = (words["rung"], *(words[name] for name in counts))
    return table(heading, rows, "<::::")


def hook_counts(course: Course, language: str) -> str:
    """What the source's hook and ours did in a browser, as `make hooks` counted it."""
    told = data("hooks")
    words = {name: word[language] for name, word in told["words"].items()}
    measured = json.loads((DATA / "hooks.json").read_text(encoding="utf-8"))
    keep_step("hooks.toml", told["scene"], measured["scenes"])
    how = {
        "silence": "unanswered",
        "burst": "seen",
    }  # what is told of a scene; else its connections
    rows = []
    for name, counts in measured["scenes"].items():
        scene = told["scene"][name]
        numbers = " ".join(f"[S{n}](source-defects.md#s{n})" for n in scene["defects"])
        what = scene[language].format(seconds=f"{counts['ours']['seconds']:g}")
        cells = (words[how.get(name, "connections")].format(**counts[it]) for it in HOOKS)
        rows.append((f"{what} {numbers}", *cells))
    said = words["measured"].format(measured=measured["measured"], **measured["machine"])
    return f"{table((words['scene'], *(words[it] for it in HOOKS)), rows, '<<<')}\n\n{said}"


# Markdown


def fence(text: str, language: str) -> str:
    """A fenced block, its fence longer than any inside, and its text safe from the snippets."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    marks = "`" * (longest + 1)
    opening = f"{{ {language} }}" if language.startswith(".") else language
    body = text.rstrip("\n").replace("--8<--", ";--8<--")
    return f"{marks}{opening}\n{body}\n{marks}\n"


def table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]], align: str) -> str:
    """A table; `align` has one sign a column: < left, - centre, : right."""
    rules = {"<": ":--", "-": ":-:", ":": "--:"}
    cells = [heading, tuple(rules[sign] for sign in align), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def escape(text: str) -> str:
    """Text that Markdown must not read as markup. What stands in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text.replace("|", "&#124;"))
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_\[\]<])", r"\\\1", part) for part in parts
    )


def joined(names: Iterable[str], language: str) -> str:
    return vocabulary(language)["comma"].join(f"`{name}`" for name in names)


def keep_step(where: str, described: Collection[str], real: Collection[str]) -> None:
    """Raise DataError unless the table describes exactly what is there."""
    missing, extra = set(real) - set(described), set(described) - set(real)
    if missing or extra:
        said = [f"lacks {', '.join(sorted(missing))}"] * bool(missing)
        said += [f"describes {', '.join(sorted(extra))}, which is not there"] * bool(extra)
        raise DataError(f"site/data/{where} {' and '.join(said)}")


def of_capacity(made: Callable[[str], str], course: Course, language: str) -> str:
    """A table of the page on capacity: it asks for no chapter."""
    return made(language)


PER_CHAPTER: dict[str, Callable[[Course, Chapter, str], str]] = {
    "run": run,
    "try": suggestions,
    "files": files,
    "diff": changes,
    "checks": checks,
    "transcript": transcript,
}


def symptoms(course: Course, language: str) -> str:
    """The labs: what is seen, what the doctor says it comes from, and what mends it."""
    words = vocabulary(language)
    rows = []
    for name in labs.names():
        lab = labs.lab(name)
        entry = report.vocabulary()[lab.finds]
        seen = f"**{escape(lab.title[language])}**<br>{escape(lab.symptom[language])}"
        told = (
            f'<span class="label">{words[part]}</span>{escape(entry[part][language])}'
            for part in ("cause", "cure")
        )
        rows.append((f"{seen}<br>`make break-{name}`", *told))
    return stacked(table((words["symptom"], words["cause"], words["cure"]), rows, "<<<"))


def stacked(text: str) -> str:
    """A table whose rows are stacked on a telephone: book.css says how."""
    return f'<div class="stacked" markdown>\n\n{text}\n\n</div>'


def findings(course: Course, language: str) -> str:
    """All that the doctor can find wrong, probe by probe; the first lines of `--json`."""
    words = vocabulary(language)
    rows = []
    by_probe = sorted(
        report.vocabulary().items(), key=lambda item: report.PROBES.index(item[0].partition(".")[0])
    )
    for code, entry in by_probe:
        if entry["verdict"] != "ok":
            verdict = report.WORDS[language][entry["verdict"]]
            rows.append((f"`{code}`", verdict, escape(entry["cause"][language])))
    return stacked(table((words["finding"], words["verdict"], words["cause"]), rows, "<<<"))


def diagnosis(course: Course, language: str) -> str:
    """What one lab and the doctor print, as it was recorded."""
    lines = (
        (DATA / f"diagnosis.{language}.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    )
    return wire(lines)


WHOLE: dict[str, Callable[[Course, str], str]] = {
    "map": road,
    "balance": balance,
    "settings": settings,
    "programs": programs,
    "close-codes": close_codes,
    "glossary": glossary,
    "source-defects": source_defects,
    "broken": broken,
    "ladder": ladder,
    "hook-counts": hook_counts,
    "storm": lambda course, language: storm.picture(vocabulary(language)),
    "rollout": lambda course, language: rollout.picture(vocabulary(language)),
    "choices": lambda course, language: rollout.table(vocabulary(language)),
    "bench-fanout": lambda course, language: plots.fanout(plots.results("fanout"), language),
    "bench-memory": lambda course, language: plots.unread(plots.results("fanout"), language),
    "bench-emit": lambda course, language: plots.emit(plots.results("emit"), language),
    **{name: partial(of_capacity, made) for name, made in capacity_page.TABLES.items()},
    "labs": symptoms,
    "findings": findings,
    "diagnosis": diagnosis,
}
