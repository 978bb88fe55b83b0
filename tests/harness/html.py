"""The report as a page: one file without a script, which asks for nothing from anywhere.

What the program under check sent or printed goes through `markup` before it stands here.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from course.frames import plural
from course.manifest import ROOT, load
from tests.harness import markup, sequence
from tests.harness.exchange import Exchange, folded
from tests.harness.report import ONLY_STARTED, Result, address, by_hand

STYLE = Path(__file__).with_name("html.css")
MARK = ROOT / "site" / "assets" / "mark.svg"
RFC = "https://www.rfc-editor.org/rfc/rfc"
SIGNS = {"passed": "✓", "failed": "✗", "not asked": "○"}
LISTED = 200  # lines of an exchange as text; of a longer one, the last
SHOWN_BYTES = 48  # of a frame, in hex
# Nothing is loaded and nothing runs, whatever a payload might manage to put into the page.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
WAYS = {"→": "to the server", "←": "to the client", "·": "event"}


def page(task: dict[str, Any], results: list[Result]) -> str:
    """The whole report of one run."""
    number = int(task["chapter"])
    title = f"Chapter {number} · {load().chapter(number).title['en']}"
    failed = [result for result in results if result.outcome == "failed"]
    parts = [
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        f"<title>{score(results)} · {markup.line(title)}</title>\n",
        f'<link rel="icon" href="data:,">\n<style>\n{STYLE.read_text(encoding="utf-8")}</style>\n',
        header(task, title, results),
        "<main>\n",
    ]
    if failed:
        parts.append(f'<section aria-labelledby="failed"><h2 id="failed">{sum_up(failed)}</h2>\n')
        parts += [*(card(task, result) for result in failed), "</section>\n"]
    for name, of_module in by_module(results).items():
        others = [result for result in of_module if result.outcome != "failed"]
        if others:
            heading = f'<h2 id="m-{name}">{markup.line(name)}</h2>\n'
            parts.append(f'<section aria-labelledby="m-{name}">{heading}')
            parts += [*(card(task, result) for result in others), "</section>\n"]
    return "".join([*parts, "</main>\n</html>\n"])


def by_module(results: list[Result]) -> dict[str, list[Result]]:
    """The results of each module together; they ran in another order."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.check.module, []).append(result)
    return found


def score(results: list[Result]) -> str:
    """`35 of 49 checks pass`, as the terminal says it."""
    tally = Counter(result.outcome for result in results)
    return f"{tally['passed']} of {len(results) - tally['not asked']} checks pass"


def sum_up(failed: list[Result]) -> str:
    """How many failed; that the server died is another thing than a wrong answer."""
    died = sum(result.exchange.death is not None for result in failed)
    where = "all" if died == len(failed) > 1 else f"{died}"
    return f"{len(failed)} failed" + (f"; the server died in {where} of them" if died else "")


# The top of the page


def header(task: dict[str, Any], title: str, results: list[Result]) -> str:
    now = datetime.now().astimezone()
    count, rest = score(results).split(" ", 1)
    not_asked = sum(result.outcome == "not asked" for result in results)
    aside = f"<p>{not_asked} not asked: {ONLY_STARTED}</p>" if not_asked else ""
    modules = by_module(results).items()
    return (
        f'<header>\n<p class="course">{MARK.read_text(encoding="utf-8").strip()} Frame by Frame</p>'
        f"\n<h1>{markup.line(title)}</h1>\n"
        f'<p class="subject"><code>{markup.line(str(task["name"]))}</code> '
        f'<time datetime="{now:%Y-%m-%dT%H:%M:%S%z}">{now:%Y-%m-%d %H:%M}</time></p>\n'
        f'<div class="score"><p class="sum"><b>{count}</b> {rest}</p>{aside}</div>\n'
        f'<ul class="overview">\n{"".join(tiles(*module) for module in modules)}</ul>\n'
        '<ul class="legend"><li class="to-server">→ to the server</li>'
        '<li class="to-client">← to the client</li>'
        '<li class="control">→← control frames: ping, pong, close</li>'
        '<li class="problem">✗ a problem</li></ul>\n</header>\n'
    )


def tiles(module: str, results: list[Result]) -> str:
    """One module in the overview: a tile for each check, which leads to it."""
    links = "".join(
        f'<a class="{outcome(result)}" href="#{anchor(result)}" '
        f'title="{markup.line(result.check.behaviour)}">'
        f'{SIGNS[result.outcome]}<span class="unseen"> {result.outcome}: '
        f"{markup.line(result.check.name)}</span></a>"
        for result in results
    )
    passed = sum(result.outcome == "passed" for result in results)
    return (
        f"<li><b>{markup.line(module)}</b> <small>{passed}/{len(results)}</small> "
        f"<span>{links}</span></li>\n"
    )


def outcome(result: Result) -> str:
    """The outcome as the name of a class."""
    return result.outcome.replace(" ", "-")


def anchor(result: Result) -> str:
    return markup.line(result.check.id.replace("::", "-"))


# A check


def card(task: dict[str, Any], result: Result) -> str:
    """One check: a line that opens, and below it all that is known. A failure is open."""
    died = " · the server died" if result.exchange.death else ""
    opened = " open" if result.outcome == "failed" else ""
    body = failure(task, result) if result.outcome == "failed" else ""
    if result.outcome == "not asked":
        body = f"<p>Not asked: {markup.line(result.what)}.</p>\n"
    return (
        f'<details class="check {outcome(result)}"{opened}><summary><span>'
        f'<span class="sign">{SIGNS[result.outcome]} {result.outcome}{died}</span> '
        f"<strong>{code(result.check.behaviour)}</strong> "
        f"<code>{markup.line(result.check.id)}</code></span></summary>\n"
        f'<div class="body" id="{anchor(result)}">\n{body}{figure(result)}'
        f"{advice(task, result)}</div></details>\n"
    )


def failure(task: dict[str, Any], result: Result) -> str:
    """What was wrong, expected and got; the pointer below `got` keeps its column."""
    what = markup.line(result.what[:1].upper() + result.what[1:])
    parts = [f'<p class="what">{what}.</p>\n']
    table = [
        *([f"<b>expected</b>  {markup.line(result.expected)}"] if result.expected else []),
        *([f"<b>got</b>       {markup.line(result.got)}"] if result.got else []),
        *(f"          {markup.line(note)}" for note in result.notes),
    ]
    if table:
        parts.append(f'<pre class="verdict" tabindex="0">{chr(10).join(table)}</pre>\n')
    if result.exchange.death:
        how, _, words = result.exchange.death.partition("\n")
        how = markup.line(how.removesuffix("its last words:").rstrip("; "))
        parts.append(f'<div class="died"><p>{how[:1].upper()}{how[1:]}.')
        if words.strip():
            parts.append(f' Its last words:</p><pre tabindex="0">{markup.lines(words)}</pre>')
        parts.append("</div>\n")
    return "".join(parts)


def figure(result: Result) -> str:
    """The exchange as a picture, and the same as a text."""
    exchange = result.exchange
    if not exchange.events and not exchange.death:
        return ""
    clients = len({e.peer for e in exchange.events if e.peer.startswith("client")})
    seconds = exchange.events[-1].at if exchange.events else 0.0
    who = "1 client" if clients == 1 else f"{clients} clients"
    if not clients:  # the program is the client: its connections are told apart
        connections = len({e.peer for e in exchange.events if e.peer.startswith("conn-")})
        who = f"The client on {plural(connections, 'connection')}"
    summary = (
        f"{who} and the server, {len(exchange.events)} events in {seconds:.3f} s. "
        "The same stands below as a text."
    )
    picture = sequence.Diagram(exchange, anchor(result)).draw(result.check.behaviour, summary)
    return (
        f'<figure>\n{picture}<details class="as-text"><summary>As text</summary>\n'
        f"{as_text(exchange)}</details></figure>\n"
    )


def as_text(exchange: Exchange) -> str:
    """The exchange line by line, with the bytes of what was sent."""
    every = folded(exchange.events)
    kept = every[-LISTED:]
    items = [f"<li>… {len(every) - LISTED:,} lines before</li>"] if len(every) > LISTED else []
    for event, times in kept:
        more = f" × {times:,}" if times > 1 else ""
        sent = event.raw[:SHOWN_BYTES].hex(" ") + ("…" if len(event.raw) > SHOWN_BYTES else "")
        if event.raw[:4] in (b"GET ", b"POST"):
            sent = ""  # a request is text already
        items.append(
            f"<li><time>{event.at:.3f} s</time> {markup.line(event.peer)} "
            f'<span aria-hidden="true">{event.arrow}</span>'
            f'<span class="unseen">{WAYS[event.arrow]}:</span> {markup.line(event.text)}{more}'
            + (f"<br><small>{sent}</small>" if sent else "")
            + "</li>"
        )
    if exchange.death:
        items.append(f"<li>{markup.line(exchange.death.partition(';')[0])}</li>")
    return "<ol>\n" + "\n".join(items) + "\n</ol>\n"


def advice(task: dict[str, Any], result: Result) -> str:
    """For what failed, how to see it by hand and the first hint; the source for all."""
    parts = []
    source = re.sub(
        r"RFC (\d+) §([\d.]*\d)", rf'<a href="{RFC}\1#section-\2">\g<0></a>',
        markup.line(result.check.source),
    )  # fmt: skip
    if result.outcome == "failed":
        command = by_hand(result.exchange, address(task))
        if command:
            typed = markup.lines("\n".join(command), longest=4000)
            parts.append(f'<h3>By hand</h3>\n<pre class="typed">{typed}</pre>\n')
        first, *others = (f"<p>{code(hint)}</p>" for hint in result.check.hint)
        parts.append(f"<h3>Hint</h3>\n{first}\n")
        if others:
            parts.append(f"<details><summary>More</summary>{''.join(others)}</details>\n")
        page = f"site/en/{task['lesson'].rstrip('/')}.md"
        online = markup.line(load().site + task["lesson"])
        source += f' · <a href="{online}">the lesson</a> (make site), <code>{page}</code>'
    return "".join([*parts, f'<p class="source">{source}</p>\n'])


def code(text: str) -> str:
    """The course's own words, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", markup.line(text, longest=2000))
