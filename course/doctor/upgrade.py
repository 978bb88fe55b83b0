"""The handshake: what the server answers, whether it is right, and which pages it lets in.

The first attempt comes from a page that no server can know. If that is let in, it is the
conversation as well: a ticket in the URL may be good for one handshake only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from course.doctor.net import Answer, Line, Unreadable, now, token_expiry, upgrade_request
from course.doctor.talk import Talk
from course.doctor.visit import Visit

FOREIGN = "https://doctor.invalid"  # a reserved name (RFC 2606 §2): nobody's page
STICKY = {"route", "io", "awsalb", "awsalbcors", "serverid", "srv_id", "ingresscookie"}
REFUSALS = {
    400: "upgrade.no_headers",
    401: "upgrade.unauthorized",
    403: "upgrade.forbidden",
    404: "upgrade.not_found",
    426: "upgrade.no_headers",
    429: "upgrade.too_many",
    502: "upgrade.backend",
    503: "upgrade.backend",
    504: "upgrade.backend",
    505: "upgrade.no_headers",
}


async def shake(visit: Visit, url: str, origin: str | None) -> tuple[Answer, str, Line]:
    """One handshake: the answer, the Accept that it should have, the line. Raises Unreadable."""
    headers: dict[str, str | None] = {"Origin": origin, **visit.options.headers}
    if visit.options.subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(visit.options.subprotocols)
    request, accept = upgrade_request(url, headers)
    try:
        line = await visit.line()
    except OSError as error:
        raise Unreadable("ended") from error
    try:
        answer = await line.ask(request, visit.options.patience)
    except BaseException:
        line.cut()
        raise
    if answer.status != 101:
        line.cut()
    return answer, accept, line


async def upgrade(visit: Visit, url: str, cookies: Mapping[str, str] | None = None) -> Talk | None:
    """Probe the handshake; the open WebSocket, if a browser would have one too."""
    report, wanted = visit.report, visit.options.origin
    began = now()
    try:
        first, accept, line = await shake(visit, url, FOREIGN)
        if first.status == 101:
            answer = first
        else:
            answer, accept, line = await shake(visit, url, wanted or None)
            again = (400, 403) if wanted else (403,)
            if answer.status in again:
                own = f"{'https' if visit.place.secure else 'http'}://{visit.place.authority}"
                refused = answer.status
                answer, accept, line = await shake(visit, url, None if wanted else own)
                if answer.status == 101 and wanted:
                    report.add("origin.refused", origin=wanted, status=refused)
    except Unreadable as problem:
        code = f"upgrade.{problem.kind}"
        report.add(code, seconds=visit.options.patience, shown=problem.shown)
        return None
    if answer.status != 101:
        refusal(visit, answer)
        return None
    report.add("upgrade.ok", line=answer.head.line, ms=(now() - began) * 1000)
    if not _accepted(visit, answer, accept):
        line.cut()
        return None
    if first.status != 101:
        if "origin.refused" not in report.having("problem"):
            report.add("origin.ok", origin=FOREIGN, status=first.status)
    elif names := _cookies(visit, answer):
        report.add("origin.any_cookie", origin=FOREIGN, cookies=", ".join(names))
    else:
        report.add("origin.any", origin=FOREIGN)
    _subprotocol(visit, answer)
    return Talk(line)


def refusal(visit: Visit, answer: Answer) -> None:
    """Name what an answer other than 101 comes from."""
    report, status = visit.report, answer.status
    facts = {
        "status": status,
        "line": answer.head.line,
        "server": answer.head.get("Server") or "?",
        "path": visit.place.path,
        "location": answer.head.get("Location") or "?",
        "retry": answer.head.get("Retry-After") or "?",
    }
    expiry = token_expiry(visit.url)
    if status in (401, 403) and expiry is not None and expiry < time.time():
        report.add("upgrade.expired", status=status, age=time.time() - expiry)
    elif 200 <= status < 300:
        report.add("upgrade.page", **facts)
    elif 300 <= status < 400:
        report.add("upgrade.redirect", **facts)
    else:
        report.add(REFUSALS.get(status, "upgrade.other"), **facts)


def _accepted(visit: Visit, answer: Answer, accept: str) -> bool:
    """Whether the 101 is what RFC 6455 §4.1 asks for: a browser looks at this too."""
    got = answer.head.get("Sec-WebSocket-Accept")
    upgrade = (answer.head.get("Upgrade") or "").lower()
    tokens = [token.strip() for token in (answer.head.get("Connection") or "").lower().split(",")]
    if got != accept:
        visit.report.add("accept.wrong", got=got or "none", expected=accept)
    elif upgrade != "websocket" or "upgrade" not in tokens:
        visit.report.add("accept.headers", upgrade=upgrade or "none", connection=", ".join(tokens))
    elif extensions := answer.head.get("Sec-WebSocket-Extensions"):
        visit.report.add("accept.extension", extensions=extensions)
    else:
        visit.report.add("accept.ok", accept=accept)
        return True
    return False


def _cookies(visit: Visit, answer: Answer) -> list[str]:
    """The cookies that go along, but those that only name an instance to a proxy."""
    names = [
        value.partition("=")[0].strip()
        for name, value in answer.head.headers
        if name.lower() == "set-cookie"
    ]
    for name, value in visit.options.headers.items():
        if name.lower() == "cookie" and value:
            names += [part.partition("=")[0].strip() for part in value.split(";")]
    return [name for name in names if name and name.lower() not in STICKY]


def _subprotocol(visit: Visit, answer: Answer) -> None:
    asked, got = visit.options.subprotocols, answer.head.get("Sec-WebSocket-Protocol")
    if got is None:
        code = "subprotocol.none" if asked else "subprotocol.unasked"
    else:
        code = "subprotocol.ok" if got in asked else "subprotocol.other"
    visit.report.add(code, asked=", ".join(asked), got=got or "none")
